//! `deviceIndexPolicy: highestFree`: which index an ENI gets, and that it keeps it.

use super::*;
use crate::ec2_errors::Call;
use crate::gates::instance_type::Subject;
use crate::lifecycle::CallHistory;
use crate::lifecycle::tests::{attachment, eni};
use crate::observed::{AttachmentState, InstanceLimits, ObservedEni};
use multi_eni_api::DeviceIndexPolicy;
use multi_eni_api::eniattachment::LastError;

fn highest(name: &str, subnets: &[&str]) -> NodeEni {
    let mut nodeeni = nodeeni(name, 1, subnets);
    nodeeni.spec.as_mut().unwrap().index_policy = DeviceIndexPolicy::HighestFree;
    nodeeni
}

/// A Node whose type has network cards with these maxima.
fn world(nodeenis: Vec<NodeEni>, cards: &[i32]) -> World {
    let mut world = World::new(nodeenis);
    world.node.as_mut().unwrap().instance_type = Some("m5.large".into());
    let (enis, cards) = (cards.iter().sum(), cards.to_vec());
    let limits = InstanceLimits { enis, cards, ipv4_per_eni: 10, ipv6_per_eni: 10 };
    world.catalog.instance_types.insert("m5.large".into(), Some(limits));
    world
}

/// An interface that is not this cluster's, at an index of card 0.
fn foreign(n: u32, index: i32) -> ObservedEni {
    let mut foreign = eni(n);
    foreign.tags = StringMap::default();
    foreign.attachment = Some(attachment(AttachmentState::Attached));
    let at = foreign.attachment.as_mut().unwrap();
    (at.card, at.index) = (0, index);
    foreign
}

fn shows(world: &mut World, indexes: &[i32]) {
    let enis = (50..).zip(indexes).map(|(n, index)| foreign(n, *index)).collect();
    world.interfaces.as_mut().unwrap().enis = enis;
}

fn created(world: &World) -> Vec<(String, i32)> {
    let of = |new: &NewAttachment| (new.spec.node_eni_name.clone(), new.spec.request.device_index);
    world.assign().create.iter().map(of).collect()
}

/// One NodeENI per zone over one node group: those of other zones ask for nothing here.
#[test]
fn an_index_of_a_nodeeni_that_does_not_cover_the_node_is_free() {
    let mut world = world(vec![highest("a", &[SUBNET_A]), nodeeni("far", 7, &[SUBNET_B])], &[8]);
    assert_eq!(created(&world)[0], ("a".to_owned(), 6), "the NodeENI covers the node, and asks for index 7");
    world.catalog.subnets.get_mut(&SubnetId::parse(SUBNET_B).unwrap()).unwrap().zone = "z2".into();
    assert_eq!(created(&world), [("a".to_owned(), 7)]);
}

#[test]
fn each_eni_gets_the_highest_index_that_nobody_has_or_asks_for() {
    let mut world = world(vec![highest("a", &[SUBNET_B, SUBNET_A]), highest("b", &[SUBNET_A])], &[8]);
    shows(&mut world, &[0, 1, 6]);
    assert_eq!(created(&world), [("a".to_owned(), 7), ("a".to_owned(), 5), ("b".to_owned(), 4)]);
    // A younger NodeENI names index 7, and has it although it is decided later.
    let mut exact = nodeeni("c", 7, &[SUBNET_A]);
    exact.created = at(50);
    world.nodeenis.push(exact);
    let with_exact = [("a".to_owned(), 5), ("a".to_owned(), 4), ("b".to_owned(), 3), ("c".to_owned(), 7)];
    assert_eq!(created(&world), with_exact);
    // An index that is only asked for comes last, before no index at all.
    let mut small = self::world(vec![highest("a", &[SUBNET_A]), nodeeni("c", 1, &[SUBNET_B])], &[2]);
    shows(&mut small, &[0]);
    assert_eq!(created(&small), [("a".to_owned(), 1)]);
    let held = &small.assign().refused[0].why;
    assert!(matches!(held, UnassignedReason::SlotHeld { slot: (0, 1), .. }));
    // deviceIndex of the holder has no effect.
    let text = held.sentence(at(100));
    assert!(
        text.contains("(deviceIndexPolicy highestFree): give this NodeENI another deviceIndex, or delete"),
        "{text}"
    );
    world.settle();
    assert_eq!(world.attachments.len(), 4);
}

#[test]
fn an_eni_keeps_its_index_when_others_become_free_and_when_the_policy_changes() {
    let mut w = world(vec![highest("a", &[SUBNET_A])], &[4]);
    shows(&mut w, &[0, 3]);
    w.settle();
    assert_eq!(w.indexes(), [(SUBNET_A.to_owned(), 2)]);
    shows(&mut w, &[0]);
    assert!(w.assign().is_settled(), "{:?}", w.assign());
    // A new process knows only what is stored. The type is unknown by now, which concerns new ENIs only.
    w.catalog.instance_types.insert("m5.large".into(), None);
    assert!(w.assign().is_settled() && w.assign().refused.is_empty(), "{:?}", w.assign());
    // A second subnet gets another index, in whatever place of the list it is.
    let mut two = world(vec![highest("a", &[SUBNET_B, SUBNET_A])], &[4]);
    (two.attachments, two.interfaces) = (w.attachments.clone(), w.interfaces.clone());
    two.settle();
    assert_eq!(two.indexes(), [(SUBNET_A.to_owned(), 2), (SUBNET_B.to_owned(), 3)]);

    // From exact to highestFree nothing moves; to exact the ENI is outdated.
    let mut exact = world(vec![nodeeni("a", 1, &[SUBNET_A])], &[4]);
    exact.settle();
    exact.attached_on_ec2.insert(exact.attachments[0].name.clone());
    exact.nodeenis = vec![highest("a", &[SUBNET_A])];
    let moved = exact.assign();
    assert!(moved.is_settled() && moved.outdated.is_empty() && moved.refused.is_empty(), "{moved:?}");
    exact.nodeenis = vec![nodeeni("a", 2, &[SUBNET_A])];
    assert!(exact.assign().outdated.contains_key("uid-a"));
}

#[test]
fn another_subnet_takes_the_index_of_the_eni_that_it_replaces() {
    let mut w = world(vec![highest("a", &[SUBNET_A])], &[4]);
    shows(&mut w, &[0, 3]);
    w.settle();
    w.attached_on_ec2.insert(w.attachments[0].name.clone());
    shows(&mut w, &[0]);
    w.nodeenis = vec![highest("a", &[SUBNET_B])];
    let waits = w.assign();
    assert!(waits.is_settled() && waits.outdated.contains_key("uid-a"), "{waits:?}");
    assert_eq!(waits.slots_of("uid-a"), Some([(0, 2)].as_slice()));
}

#[test]
fn without_the_limits_of_the_type_no_index_is_chosen() {
    let mut world = world(vec![highest("a", &[SUBNET_A])], &[4]);
    let reason = |world: &World| {
        let assignment = world.assign();
        assert!(assignment.create.is_empty(), "{assignment:?}");
        (assignment.refused[0].why.reason(), assignment.refused[0].why.sentence(at(100)))
    };
    world.catalog.instance_types.insert("m5.large".into(), None);
    let (unknown, sentence) = reason(&world);
    assert!(unknown == "InstanceTypeUnknown" && sentence.contains("no instance type m5.large"), "{sentence}");
    world.catalog.instance_types.clear();
    assert_eq!(reason(&world).0, "Looking");
    assert!(world.assign().needs.contains(&Need::InstanceType("m5.large".into())));
    world.node.as_mut().unwrap().instance_type = None;
    assert_eq!(reason(&world).0, "InstanceTypeUnknown");
}

#[test]
fn a_full_card_a_missing_card_and_a_missing_lookup_are_reasons() {
    let mut w = world(vec![highest("a", &[SUBNET_A])], &[3]);
    shows(&mut w, &[0, 1, 2]);
    let full = UnassignedReason::InstanceFull { kind: "m5.large".into(), card: Some(0), most: 3 };
    assert_eq!(w.assign().refused[0].why, full);
    assert!(w.assign().create.is_empty() && w.assign().recheck.is_some(), "the card is looked up again later");
    w.interfaces = None;
    let asks = w.assign();
    assert!(asks.create.is_empty() && asks.needs.iter().any(|need| matches!(need, Need::LookupInterfaces(_))));

    let on_card = |card: i32| {
        let mut nodeeni = highest("a", &[SUBNET_A, SUBNET_B]);
        nodeeni.spec.as_mut().unwrap().card = card;
        world(vec![nodeeni], &[4, 2])
    };
    assert_eq!(created(&on_card(1)), [("a".to_owned(), 1), ("a".to_owned(), 0)], "index 0 of card 1 is no primary");
    assert!(matches!(on_card(2).assign().refused[0].why, UnassignedReason::NoSuchCard { card: 2, cards: 2, .. }));
}

#[test]
fn an_eni_that_lost_its_eniattachment_is_adopted_at_its_index() {
    let mut world = world(vec![highest("a", &[SUBNET_A])], &[4]);
    let mut lost = eni(1);
    lost.attachment = Some(attachment(AttachmentState::Attached));
    lost.attachment.as_mut().unwrap().index = 2;
    // The orphan check leaves it alone, whatever its index.
    let node = world.node.as_ref().unwrap();
    assert!(may_be_adopted(&lost, node, &[&world.nodeenis[0]], |_| true));
    assert!(!may_be_adopted(&lost, node, &[&nodeeni("a", 1, &[SUBNET_A])], |_| true));
    world.interfaces.as_mut().unwrap().enis = vec![foreign(50, 0), lost];
    let adopts = world.assign().create;
    assert_eq!((adopts.len(), adopts[0].spec.request.device_index), (1, 2));
    assert!(adopts[0].spec.recovered && adopts[0].adopts.is_some());
}

#[test]
fn an_eni_without_an_eniattachment_is_no_orphan_while_its_instance_is_not_looked_up() {
    let mut world = world(vec![highest("a", &[SUBNET_A])], &[4]);
    world.interfaces = None;
    for is_known in [true, false] {
        if !is_known {
            world.catalog.instance_types.insert("m5.large".into(), None);
        }
        let waits = world.assign();
        assert!(waits.needs.iter().any(|need| matches!(need, Need::LookupInterfaces(_))), "{waits:?}");
        assert!(waits.of_nodeeni("uid-a").is_open_at((0, 3)) && waits.create.is_empty(), "{waits:?}");
    }
    // Without the limits of the type, an ENI that a lookup shows keeps its index.
    let mut lost = eni(1);
    lost.attachment = Some(attachment(AttachmentState::Attached));
    lost.attachment.as_mut().unwrap().index = 3;
    world.interfaces = World::new(Vec::new()).interfaces;
    world.interfaces.as_mut().unwrap().enis = vec![foreign(50, 0), lost];
    let adopts = world.assign();
    assert_eq!(adopts.create.iter().map(|new| new.spec.request.device_index).collect::<Vec<_>>(), [3], "{adopts:?}");
}

#[test]
fn an_eni_in_use_comes_before_an_eniattachment_that_has_none() {
    let mut world = world(vec![highest("a", &[SUBNET_A])], &[4]);
    shows(&mut world, &[0]);
    world.settle();
    assert_eq!(world.indexes(), [(SUBNET_A.to_owned(), 3)]);
    // The API server was restored to a time before the ENI got index 2.
    world.attachments[0].status = Default::default();
    let mut lost = eni(1);
    lost.attachment = Some(attachment(AttachmentState::Attached));
    lost.attachment.as_mut().unwrap().index = 2;
    world.interfaces.as_mut().unwrap().enis.push(lost);
    assert_eq!(world.assign().slots_of("uid-a"), Some([(0, 2)].as_slice()));
}

#[test]
fn an_eniattachment_that_cannot_be_read_keeps_its_index() {
    let mut world = world(vec![highest("a", &[SUBNET_A])], &[4]);
    shows(&mut world, &[0]);
    world.settle();
    world.attachments[0].unreadable = Some("no spec".to_owned());
    world.attachments[0].request.subnet_id = String::new();
    let assignment = world.assign();
    assert!(assignment.create.is_empty() && assignment.delete.is_empty(), "{assignment:?}");
}

/// The VPC CNI took index 3 between the decision and the Attach.
fn beaten_at_3() -> World {
    let mut world = world(vec![highest("a", &[SUBNET_A])], &[4]);
    shows(&mut world, &[0]);
    world.settle();
    world.attachments[0].status.eni_id = Some("eni-0123456789abcdef0".to_owned());
    world.attachments[0].status.last_error = Some(LastError {
        action: "AttachNetworkInterface".to_owned(),
        code: "InvalidParameterValue".to_owned(),
        message: format!("Instance '{INSTANCE}' already has an interface attached at device index '3'."),
        at: Some(Time(at(100))),
        count: 3,
    });
    world
}

#[test]
fn an_eni_that_was_never_attached_gives_up_a_taken_index_after_half_a_minute() {
    let mut world = beaten_at_3();
    shows(&mut world, &[0, 3]);
    world.now = at(129);
    assert_eq!((world.assign().delete, world.assign().recheck), (vec![], Some(at(130))));
    world.now = at(130);
    let gives_up = world.assign();
    assert_eq!(gives_up.delete.iter().map(|removal| removal.why).collect::<Vec<_>>(), [RemovalReason::Unattachable]);
    // Until the ENI is gone, no other one is created.
    let mut leaving = World { attachments: world.attachments.clone(), ..beaten_at_3() };
    shows(&mut leaving, &[0, 3]);
    (leaving.now, leaving.attachments[0].deleting) = (at(131), Some(at(130)));
    assert!(leaving.assign().create.is_empty());
    world.apply(&gives_up);
    world.now = at(131);
    assert_eq!(created(&world), [("a".to_owned(), 2)]);
}

#[test]
fn an_eni_that_was_attached_once_is_kept_as_with_an_exact_index() {
    let mut world = beaten_at_3();
    shows(&mut world, &[0, 3]);
    let conditions = &mut world.attachments[0].status.conditions;
    set(conditions, ConditionUpdate::new(types::CREATED, true, "Created", ""), None, at(20));
    set(conditions, ConditionUpdate::new(types::ATTACHED, true, "Attached", ""), None, at(22));
    set(conditions, ConditionUpdate::new(types::ATTACHED, false, "DeviceIndexTaken", ""), None, at(90));
    world.now = at(131);
    assert_eq!(world.assign().delete, []);
    world.now = at(100) + world.settings.unattachable_kept;
    assert_eq!(world.assign().delete.len(), 1);
}

/// EC2 calls the slot occupied, and its lookups do not show the occupant.
#[test]
fn an_index_with_a_hidden_occupant_is_not_chosen_again() {
    let mut world = beaten_at_3();
    world.now = at(130);
    let error = CallError::Answered {
        code: "InvalidParameterValue".into(),
        message: "already has an interface attached".into(),
    };
    let at_refusal = InstanceAtRefusal::after(&error, at(100)).unwrap();
    let gone = world.attachments.pop().unwrap();
    let record = AttachRefusal::of(&gone, world.node.as_ref(), world.interfaces.as_ref(), &at_refusal, world.now);
    world.refused_attach.insert(gone.name.clone(), record);
    assert_eq!(created(&world), [("a".to_owned(), 2)]);
    // Another interface on the instance may have been that occupant.
    shows(&mut world, &[0, 1]);
    assert_eq!(created(&world), [("a".to_owned(), 3)]);
}

/// EC2 refuses this index on another node of the type, although DescribeInstanceTypes shows more.
fn refuse_index(world: &mut World, index: i32) {
    let message = format!("Invalid device index {index} for network card 0 on m5.large");
    let error = CallError::Answered { code: "InvalidParameterValue".into(), message };
    let mut history = CallHistory::made(at(0));
    history.failed(Call::Attach, &error, at(90));
    let gate = &mut world.instance_type_gate;
    gate.answered("another", &subject(index), Call::Attach, &Err(error), history.failure.as_ref(), at(90));
}

fn subject(index: i32) -> Subject<'static> {
    Subject { kind: "m5.large", is_known: true, most: Some(4), on: 0, index, on_card: 2, in_all: 2, addresses: (1, 0) }
}

#[test]
fn an_index_that_ec2_refused_for_the_type_is_not_chosen_on_any_node() {
    let mut w = world(vec![highest("a", &[SUBNET_A])], &[4]);
    shows(&mut w, &[0]);
    assert_eq!(created(&w), [("a".to_owned(), 3)]);
    refuse_index(&mut w, 3);
    assert_eq!(created(&w), [("a".to_owned(), 2)]);
    let mut other = w.node.clone().unwrap();
    other.instance_type = Some("m5.xlarge".into());
    let limits = w.catalog.instance_types["m5.large"].clone();
    w.catalog.instance_types.insert("m5.xlarge".into(), limits);
    let of_type = w.node.replace(other);
    assert_eq!(created(&w), [("a".to_owned(), 3)], "another type");
    w.node = of_type;
    refuse_index(&mut w, 2);
    assert_eq!(created(&w), [("a".to_owned(), 1)], "the next one down");
    refuse_index(&mut w, 1);
    let refused = UnassignedReason::IndexRefused { kind: "m5.large".into(), slot: (0, 1) };
    assert_eq!(w.assign().refused[0].why, refused);
    let sentence = refused.sentence(at(100));
    assert!(sentence.contains("EC2 refused device index 1 on network card 0 of m5.large"), "{sentence}");
    w.now = at(90 + 3600);
    w.interfaces.as_mut().unwrap().as_of = w.now;
    assert_eq!(created(&w), [("a".to_owned(), 1)], "the lowest refused index is tried again each hour");
}

/// While one ENI tries the refused index again, the others move down.
#[test]
fn the_eni_that_tries_a_refused_index_again_stays_there() {
    let mut w = world(vec![highest("a", &[SUBNET_A])], &[4]);
    shows(&mut w, &[0]);
    w.settle();
    refuse_index(&mut w, 3);
    let uid = w.attachments[0].uid.clone();
    w.now = at(90 + 3600);
    w.interfaces.as_mut().unwrap().as_of = w.now;
    w.attachments[0].created = w.now;
    assert!(w.assign().delete.is_empty(), "the try is due");
    let tries = |w: &mut World, uid: &str| {
        w.instance_type_gate.sent(uid, &subject(3), w.now);
        w.assign().delete.len()
    };
    assert_eq!((tries(&mut w, &uid), tries(&mut w, "another")), (0, 1));
}

#[test]
fn an_eni_at_a_refused_index_moves_down_unless_it_was_attached_or_has_an_exact_index() {
    for (has_eni, is_attached, is_exact) in
        [(false, false, false), (true, false, false), (true, true, false), (false, false, true)]
    {
        let mut w = world(vec![highest("a", &[SUBNET_A])], &[4]);
        shows(&mut w, &[0]);
        w.settle();
        assert_eq!(w.indexes(), [(SUBNET_A.to_owned(), 3)]);
        if is_exact {
            w.nodeenis = vec![nodeeni("a", 3, &[SUBNET_A])];
        }
        w.attachments[0].status.eni_id = has_eni.then(|| "eni-0123456789abcdef0".to_owned());
        if is_attached {
            w.attached_on_ec2.insert(w.attachments[0].name.clone());
        }
        refuse_index(&mut w, 3);
        let moves = w.assign();
        let why: Vec<_> = moves.delete.iter().map(|removal| removal.why).collect();
        let expected = if is_attached || is_exact { vec![] } else { vec![RemovalReason::Unattachable] };
        assert_eq!(why, expected, "{has_eni} {is_attached} {is_exact}");
        if !expected.is_empty() {
            // A new process looks the instance up first: the status may be older than the state on EC2.
            let interfaces = w.interfaces.take();
            let asks = w.assign();
            assert!(asks.delete.is_empty(), "{asks:?}");
            assert!(asks.needs.iter().any(|need| matches!(need, Need::LookupInterfaces(_))), "{asks:?}");
            w.interfaces = interfaces;
            w.apply(&moves);
            assert_eq!(created(&w), [("a".to_owned(), 2)]);
        }
    }
}
