//! An ENI in use is not deleted if no new ENI can be attached in its place.

use super::*;
use crate::lifecycle::tests::{attachment, eni};
use crate::observed::{AttachmentState, ObservedEni};
use crate::rollout::Turn;

/// A node whose ENIs at these indexes are in use, in its turn of the rollout.
fn in_use(nodeenis: Vec<NodeEni>, indexes: &[(&str, i32)]) -> World {
    let mut world = World::new(nodeenis);
    for (nodeeni, index) in indexes {
        let mut there = new_attachment("n0", *index, true);
        (there.nodeeni, there.nodeeni_uid) = ((*nodeeni).to_owned(), format!("uid-{nodeeni}"));
        there.name = attachment_name(nodeeni, &there.nodeeni_uid, INSTANCE, 0, *index);
        set(&mut there.status.conditions, ConditionUpdate::new(types::ATTACHED, true, "Test", ""), None, at(0));
        world.attachments.push(there);
    }
    let turn = || [("n0".to_owned(), Turn { had: 1, may_lose: true })].into();
    world.permits = ["uid-a", "uid-b"].map(|uid| (uid.to_owned(), turn())).into();
    world
}

/// A foreign ENI at this device index.
fn foreign(index: i32) -> ObservedEni {
    let mut at = attachment(AttachmentState::Attached);
    at.index = index;
    ObservedEni { tags: StringMap::default(), attachment: Some(at), ..eni(9) }
}

/// The device indexes of the ENIs that are deleted.
fn replaced(world: &World) -> Vec<i32> {
    let goes = world.assign().delete;
    let is_going = |eni_attachment: &&Attachment| goes.iter().any(|removal| removal.name == eni_attachment.name);
    world.attachments.iter().filter(is_going).map(|eni_attachment| eni_attachment.slot().1).collect()
}

#[test]
fn an_index_with_a_foreign_eni_removes_no_eni_and_takes_no_turn() {
    let mut world = in_use(vec![nodeeni("a", 2, &[SUBNET_A])], &[("a", 1)]);
    world.interfaces.as_mut().unwrap().enis = vec![foreign(2)];
    let kept = world.assign();
    assert!(kept.delete.is_empty() && kept.outdated.is_empty(), "{kept:?}");
    assert!(kept.refused.iter().any(|refusal| matches!(refusal.why, UnassignedReason::SlotTaken { slot: (0, 2), .. })));
    assert!(kept.recheck.is_some(), "the slot may become free");
    // The same without a turn.
    world.permits.clear();
    assert_eq!(world.assign().outdated, kept.outdated);

    world.interfaces.as_mut().unwrap().enis.clear();
    assert_eq!(world.assign().outdated.len(), 1, "the replacement waits for the rollout");
    assert!(!world.assign().needs.contains(&Need::LookupInterfaces(InstanceId::parse(INSTANCE).unwrap())));
}

#[test]
fn an_index_is_looked_up_just_before_an_eni_is_deleted_for_it() {
    let mut world = in_use(vec![nodeeni("a", 2, &[SUBNET_A])], &[("a", 1)]);
    let lookup = Need::LookupInterfaces(InstanceId::parse(INSTANCE).unwrap());
    let interfaces = world.interfaces.take();
    let asks = world.assign();
    assert!(asks.delete.is_empty() && asks.needs.contains(&lookup) && asks.outdated.len() == 1, "{asks:?}");
    world.interfaces = interfaces;
    world.now = at(1_000);
    let asks = world.assign();
    assert!(asks.delete.is_empty() && asks.needs.contains(&lookup) && asks.outdated.len() == 1, "{asks:?}");
    world.interfaces.as_mut().unwrap().as_of = at(974);
    assert!(replaced(&world).is_empty(), "the slot may have been taken since");
    world.interfaces.as_mut().unwrap().as_of = at(976);
    assert_eq!(replaced(&world), [1]);
}

#[test]
fn an_index_that_another_nodeeni_keeps_is_closed_and_two_nodeenis_may_swap_indexes() {
    let both = |a, b| vec![nodeeni("a", a, &[SUBNET_A]), nodeeni("b", b, &[SUBNET_A])];
    let mut world = in_use(both(2, 2), &[("a", 1), ("b", 2)]);
    assert!(replaced(&world).is_empty());
    world.nodeenis = both(2, 1);
    assert_eq!(replaced(&world).len(), 2);
}

/// NodeENI b waits for index 1, which an ENI of a keeps. So b never leaves index 2, for which another ENI of a waits.
#[test]
fn an_exchange_needs_both_slots_to_be_left() {
    let nodeenis = vec![nodeeni("a", 1, &[SUBNET_A, SUBNET_B]), nodeeni("b", 1, &[SUBNET_A])];
    let mut world = in_use(nodeenis, &[("a", 1), ("a", 3), ("b", 2)]);
    world.attachments[1].request.subnet_id = SUBNET_B.to_owned();
    assert_eq!(replaced(&world), [0; 0]);
    let is_held = |why: &UnassignedReason| matches!(why, UnassignedReason::SlotHeld { slot: (0, 2), .. });
    assert!(world.assign().refused.iter().any(|refusal| is_held(&refusal.why)), "{:?}", world.assign().refused);
}

#[test]
fn enis_are_replaced_only_if_all_of_them_get_a_slot() {
    // Two subnets whose ENIs move by two indexes: the second index has a foreign ENI.
    let mut world = in_use(vec![nodeeni("a", 3, &[SUBNET_A, SUBNET_B])], &[("a", 1), ("a", 2)]);
    world.attachments[1].request.subnet_id = SUBNET_B.to_owned();
    assert_eq!(replaced(&world).len(), 2);
    world.interfaces.as_mut().unwrap().enis = vec![foreign(4)];
    assert!(replaced(&world).is_empty());
}

#[test]
fn an_eni_in_a_listed_subnet_stays_if_an_adopted_eni_keeps_its_slot() {
    let mut world = in_use(vec![nodeeni("a", 3, &[SUBNET_A, SUBNET_B])], &[("a", 4), ("a", 2)]);
    world.attachments[0].adopted = EniId::parse("eni-00000001").ok();
    world.attachments[1].request.subnet_id = SUBNET_B.to_owned();
    let kept = world.assign();
    assert!(kept.delete.is_empty(), "{kept:?}");
    assert!(
        kept.refused.iter().any(|refusal| matches!(refusal.why, UnassignedReason::SlotPinned { slot: (0, 4), .. }))
    );
    world.nodeenis = vec![nodeeni("a", 3, &[SUBNET_A])];
    assert_eq!(replaced(&world), [2], "its subnet is no longer listed");
}

/// A lookup must not take a turn: the node would give the turn back at once and ask for the lookup again.
#[test]
fn the_outdated_enis_of_a_node_do_not_depend_on_its_turn() {
    // The index of a subnet without an ENI has a foreign ENI, and the other index needs a lookup.
    let mut world = in_use(vec![nodeeni("a", 3, &[SUBNET_B, SUBNET_A])], &[("a", 1)]);
    world.interfaces.as_mut().unwrap().enis = vec![foreign(3)];
    world.now = at(1_000);
    let asks = world.assign();
    assert!(
        asks.delete.is_empty() && asks.needs.contains(&Need::LookupInterfaces(InstanceId::parse(INSTANCE).unwrap()))
    );
    assert_eq!(asks.outdated.len(), 1);
    world.permits.clear();
    assert_eq!(world.assign().outdated, asks.outdated);
    // The index of the subnet with the ENI has a foreign ENI, and the other index needs a lookup: the node takes no turn, and
    // would lose a turn that it had.
    world.nodeenis = vec![nodeeni("a", 3, &[SUBNET_A, SUBNET_B])];
    assert!(world.assign().outdated.is_empty());
    world.permits = in_use(Vec::new(), &[]).permits;
    assert!(world.assign().outdated.is_empty());
}

/// The ENIs move by one index, because the list has one more subnet before theirs. Each index that becomes free is used by the
/// next ENI.
#[test]
fn all_enis_stay_if_the_last_one_gets_no_slot() {
    let before = || in_use(vec![nodeeni("a", 1, &["subnet-00000004", SUBNET_A, SUBNET_B])], &[("a", 1), ("a", 2)]);
    let more = |world: &mut World| {
        world.attachments[1].request.subnet_id = SUBNET_B.to_owned();
        let mut third = world.catalog.subnets.values().find(|subnet| subnet.zone == "z1").unwrap().clone();
        third.id = SubnetId::parse("subnet-00000004").unwrap();
        world.catalog.subnets.insert(third.id.clone(), third);
    };
    let mut world = before();
    more(&mut world);
    assert_eq!(replaced(&world), [1, 2]);
    world.interfaces.as_mut().unwrap().enis = vec![foreign(3)];
    assert!(replaced(&world).is_empty());
}

#[test]
fn of_two_enis_the_one_whose_subnet_left_the_list_is_deleted() {
    let mut world = in_use(vec![nodeeni("a", 5, &[SUBNET_B])], &[("a", 1), ("a", 2)]);
    world.attachments[1].request.subnet_id = SUBNET_B.to_owned();
    world.interfaces.as_mut().unwrap().enis = vec![foreign(5)];
    assert_eq!(replaced(&world), [1]);
}

#[test]
fn an_eni_whose_new_slot_another_eni_keeps_stays_too() {
    let third = "subnet-00000004";
    let mut world = in_use(vec![nodeeni("a", 3, &[SUBNET_A, SUBNET_B, third])], &[("a", 4), ("a", 5), ("a", 6)]);
    let mut observed_subnet = world.catalog.subnets.values().find(|subnet| subnet.zone == "z1").unwrap().clone();
    observed_subnet.id = SubnetId::parse(third).unwrap();
    world.catalog.subnets.insert(observed_subnet.id.clone(), observed_subnet);
    world.attachments[0].adopted = EniId::parse("eni-00000001").ok();
    world.attachments[1].request.subnet_id = SUBNET_B.to_owned();
    world.attachments[2].request.subnet_id = third.to_owned();
    let kept = world.assign();
    assert!(kept.delete.is_empty(), "{kept:?}");
    for slot in [(0, 4), (0, 5)] {
        let is_reported =
            |refusal: &Unassigned| matches!(&refusal.why, UnassignedReason::SlotPinned { slot: of, .. } if *of == slot);
        assert!(kept.refused.iter().any(is_reported), "{kept:?}");
    }
}

/// The cases differ in the holder of the slot, and in what becomes of the holder.
#[test]
fn an_eni_waits_until_the_holder_has_left_the_slot_unless_the_holder_waits_for_it() {
    let both = |b: i32| vec![nodeeni("a", 2, &[SUBNET_A]), nodeeni("b", b, &[SUBNET_A])];
    let case = |change: fn(&mut World)| {
        let mut world = in_use(both(5), &[("a", 1), ("b", 2)]);
        change(&mut world);
        let assignment = world.assign();
        let goes = assignment.delete.iter().any(|removal| removal.name == world.attachments[0].name);
        let why = assignment.refused.iter().find(|refusal| refusal.nodeeni_uid == "uid-a").map(|r| r.why.clone());
        (goes, assignment.outdated.contains_key("uid-a"), why)
    };
    let policies = SlotPolicies::default();
    let slot_is_taken =
        |leaving| Some(UnassignedReason::SlotHeld { slot: (0, 2), holder: "b".into(), leaving, policies });
    assert_eq!(
        case(|_| ()),
        (false, false, slot_is_taken(false)),
        "the ENI of b moves to another slot in its own turn"
    );
    assert_eq!(
        case(|world| world.interfaces.as_mut().unwrap().enis = vec![foreign(5)]),
        (false, false, slot_is_taken(false))
    );
    assert_eq!(
        case(|world| world.nodeenis[1].spec = Err(crate::nodeeni::Unreadable::NoSubnet)),
        (false, false, slot_is_taken(false))
    );
    assert_eq!(
        case(|world| world.nodeenis[1].deleting = true),
        (false, false, slot_is_taken(false)),
        "the ENI of b is being removed"
    );
    assert_eq!(case(|world| world.attachments[1].deleting = Some(at(50))), (false, false, slot_is_taken(true)));
    // An ENI that was recovered after a restore of etcd does not keep its slot, unlike an ENI that was adopted from upstream.
    let recovered = |world: &mut World| {
        world.nodeenis = vec![nodeeni("a", 2, &[SUBNET_A]), nodeeni("b", 1, &[SUBNET_A])];
        for eni_attachment in &mut world.attachments {
            (eni_attachment.adopted, eni_attachment.recovered) = (EniId::parse("eni-00000001").ok(), true);
        }
    };
    assert_eq!(case(recovered), (true, true, slot_is_taken(false)));
}

/// The lost ENI is in its slot already, so no other ENI must be deleted first.
#[test]
fn a_lost_eni_is_adopted_in_its_slot_although_another_eni_still_exists() {
    let mut world = in_use(vec![nodeeni("a", 2, &[SUBNET_A])], &[("a", 1)]);
    let mut lost = foreign(2);
    lost.tags = [
        (multi_eni_api::names::TAG_CLUSTER, "cluster"),
        (multi_eni_api::names::TAG_NODEENI_UID, "uid-a"),
        (multi_eni_api::names::TAG_ATTACHMENT_UID, "uid-of-another"),
    ]
    .into();
    lost.subnet = SubnetId::parse(SUBNET_A).ok();
    world.interfaces.as_mut().unwrap().enis = vec![lost];
    let adopts = world.assign();
    assert!(adopts.delete.is_empty() && adopts.create.len() == 1, "{adopts:?}");
    assert!(adopts.create[0].adopts.is_some());
}
