//! What works is not given up for what has no place.

use super::*;
use crate::facts::{AttachmentState, EniSeen};
use crate::rollout::Turn;
use crate::step::tests::{attachment, eni};

/// A node whose ENIs at these indexes are in use, and whose turn it is.
fn in_use(intents: Vec<Intent>, indexes: &[(&str, i32)]) -> World {
    let mut world = World::new(intents);
    for (nodeeni, index) in indexes {
        let mut there = held("n0", *index, true);
        (there.nodeeni, there.nodeeni_uid) = ((*nodeeni).to_owned(), format!("uid-{nodeeni}"));
        there.name = attachment_name(nodeeni, &there.nodeeni_uid, INSTANCE, 0, *index);
        set(&mut there.status.conditions, Wanted::new(types::ATTACHED, true, "Test", ""), None, at(0));
        world.held.push(there);
    }
    let turn = || [("n0".to_owned(), Turn { had: 1, may_lose: true })].into();
    world.permits = ["uid-a", "uid-b"].map(|uid| (uid.to_owned(), turn())).into();
    world
}

/// Somebody else's, at that index.
fn foreign(index: i32) -> EniSeen {
    let mut at = attachment(AttachmentState::Attached);
    at.index = index;
    EniSeen { tags: Pairs::default(), attachment: Some(at), ..eni(9) }
}

/// The device indexes of those that go.
fn replaced(world: &World) -> Vec<i32> {
    let goes = world.assign().delete;
    let is_going = |held: &&Held| goes.iter().any(|removal| removal.name == held.name);
    world.held.iter().filter(is_going).map(|held| held.slot().1).collect()
}

#[test]
fn an_index_that_somebody_else_has_takes_no_eni_away_and_no_nodes_turn() {
    let mut world = in_use(vec![intent("a", 2, &[SUBNET_A])], &[("a", 1)]);
    world.sight.as_mut().unwrap().enis = vec![foreign(2)];
    let kept = world.assign();
    assert!(kept.delete.is_empty() && kept.outdated.is_empty(), "{kept:?}");
    assert!(kept.refused.iter().any(|refusal| matches!(refusal.why, Refused::SlotTaken { slot: (0, 2), .. })));
    assert!(kept.recheck.is_some(), "it may become free");
    // The same before it is its turn.
    world.permits.clear();
    assert_eq!(world.assign().outdated, kept.outdated);

    world.sight.as_mut().unwrap().enis.clear();
    assert_eq!(world.assign().outdated.len(), 1, "it waits for its turn");
    assert!(!world.assign().needs.contains(&Need::LookAtInstance(InstanceId::parse(INSTANCE).unwrap())));
}

#[test]
fn an_index_is_looked_at_just_before_an_eni_goes_for_it() {
    let mut world = in_use(vec![intent("a", 2, &[SUBNET_A])], &[("a", 1)]);
    let look = Need::LookAtInstance(InstanceId::parse(INSTANCE).unwrap());
    let sight = world.sight.take();
    let asks = world.assign();
    assert!(asks.delete.is_empty() && asks.needs.contains(&look) && asks.outdated.len() == 1, "{asks:?}");
    world.sight = sight;
    world.now = at(1_000);
    let asks = world.assign();
    assert!(asks.delete.is_empty() && asks.needs.contains(&look) && asks.outdated.len() == 1, "{asks:?}");
    world.sight.as_mut().unwrap().as_of = at(974);
    assert!(replaced(&world).is_empty(), "somebody may have taken it since");
    world.sight.as_mut().unwrap().as_of = at(976);
    assert_eq!(replaced(&world), [1]);
}

#[test]
fn another_nodeeni_that_stays_at_the_index_is_no_place_and_two_may_change_places() {
    let both = |a, b| vec![intent("a", a, &[SUBNET_A]), intent("b", b, &[SUBNET_A])];
    let mut world = in_use(both(2, 2), &[("a", 1), ("b", 2)]);
    assert!(replaced(&world).is_empty());
    world.intents = both(2, 1);
    assert_eq!(replaced(&world).len(), 2);
}

#[test]
fn as_many_go_as_find_a_place() {
    // Two subnets, one index further on: the second place is somebody else's.
    let mut world = in_use(vec![intent("a", 3, &[SUBNET_A, SUBNET_B])], &[("a", 1), ("a", 2)]);
    world.held[1].request.subnet_id = SUBNET_B.to_owned();
    assert_eq!(replaced(&world).len(), 2);
    world.sight.as_mut().unwrap().enis = vec![foreign(4)];
    assert!(replaced(&world).is_empty());
}

#[test]
fn what_works_in_a_listed_subnet_stays_where_its_place_is_kept_by_what_was_taken_over() {
    let mut world = in_use(vec![intent("a", 3, &[SUBNET_A, SUBNET_B])], &[("a", 4), ("a", 2)]);
    world.held[0].adopted = EniId::parse("eni-00000001").ok();
    world.held[1].request.subnet_id = SUBNET_B.to_owned();
    let kept = world.assign();
    assert!(kept.delete.is_empty(), "{kept:?}");
    assert!(kept.refused.iter().any(|refusal| matches!(refusal.why, Refused::SlotPinned { slot: (0, 4), .. })));
    world.intents = vec![intent("a", 3, &[SUBNET_A])];
    assert_eq!(replaced(&world), [2], "its subnet is not listed any more");
}

/// Asking takes the turn from nobody: it would be given back at once, and asked again.
#[test]
fn whether_it_is_a_nodes_turn_changes_nothing_of_what_is_outdated_there() {
    // The place of a subnet that has nothing yet is taken, and the other one is to be looked at.
    let mut world = in_use(vec![intent("a", 3, &[SUBNET_B, SUBNET_A])], &[("a", 1)]);
    world.sight.as_mut().unwrap().enis = vec![foreign(3)];
    world.now = at(1_000);
    let asks = world.assign();
    assert!(asks.delete.is_empty() && asks.needs.contains(&Need::LookAtInstance(InstanceId::parse(INSTANCE).unwrap())));
    assert_eq!(asks.outdated.len(), 1);
    world.permits.clear();
    assert_eq!(world.assign().outdated, asks.outdated);
    // Its own subnet's place is taken, and it would be looked at, too: it takes no turn, and had it one, it would lose it.
    world.intents = vec![intent("a", 3, &[SUBNET_A, SUBNET_B])];
    assert!(world.assign().outdated.is_empty());
    world.permits = in_use(Vec::new(), &[]).permits;
    assert!(world.assign().outdated.is_empty());
}

/// One index further, with one subnet more before them: each slot that is left is taken by the next.
#[test]
fn where_the_last_has_no_place_all_stay() {
    let before = || in_use(vec![intent("a", 1, &["subnet-00000004", SUBNET_A, SUBNET_B])], &[("a", 1), ("a", 2)]);
    let more = |world: &mut World| {
        world.held[1].request.subnet_id = SUBNET_B.to_owned();
        let mut third = world.network.subnets.values().find(|subnet| subnet.zone == "z1").unwrap().clone();
        third.id = SubnetId::parse("subnet-00000004").unwrap();
        world.network.subnets.insert(third.id.clone(), third);
    };
    let mut world = before();
    more(&mut world);
    assert_eq!(replaced(&world), [1, 2]);
    world.sight.as_mut().unwrap().enis = vec![foreign(3)];
    assert!(replaced(&world).is_empty());
}

#[test]
fn of_two_the_one_whose_subnet_left_the_list_goes() {
    let mut world = in_use(vec![intent("a", 5, &[SUBNET_B])], &[("a", 1), ("a", 2)]);
    world.held[1].request.subnet_id = SUBNET_B.to_owned();
    world.sight.as_mut().unwrap().enis = vec![foreign(5)];
    assert_eq!(replaced(&world), [1]);
}

#[test]
fn what_would_go_to_where_another_one_stays_stays_too() {
    let third = "subnet-00000004";
    let mut world = in_use(vec![intent("a", 3, &[SUBNET_A, SUBNET_B, third])], &[("a", 4), ("a", 5), ("a", 6)]);
    let mut facts = world.network.subnets.values().find(|subnet| subnet.zone == "z1").unwrap().clone();
    facts.id = SubnetId::parse(third).unwrap();
    world.network.subnets.insert(facts.id.clone(), facts);
    world.held[0].adopted = EniId::parse("eni-00000001").ok();
    world.held[1].request.subnet_id = SUBNET_B.to_owned();
    world.held[2].request.subnet_id = third.to_owned();
    let kept = world.assign();
    assert!(kept.delete.is_empty(), "{kept:?}");
    for slot in [(0, 4), (0, 5)] {
        let is_said = |refusal: &Refusal| matches!(&refusal.why, Refused::SlotPinned { slot: of, .. } if *of == slot);
        assert!(kept.refused.iter().any(is_said), "{kept:?}");
    }
}

/// Who holds the place, and what becomes of him.
#[test]
fn a_place_is_waited_for_until_its_holder_has_left_it_unless_he_waits_in_turn() {
    let both = |b: i32| vec![intent("a", 2, &[SUBNET_A]), intent("b", b, &[SUBNET_A])];
    let case = |change: fn(&mut World)| {
        let mut world = in_use(both(5), &[("a", 1), ("b", 2)]);
        change(&mut world);
        let assignment = world.assign();
        let goes = assignment.delete.iter().any(|removal| removal.name == world.held[0].name);
        let why = assignment.refused.iter().find(|refusal| refusal.nodeeni_uid == "uid-a").map(|r| r.why.clone());
        (goes, assignment.outdated.contains_key("uid-a"), why)
    };
    let held = |leaving| Some(Refused::SlotHeld { slot: (0, 2), holder: "b".into(), leaving });
    assert_eq!(case(|_| ()), (false, false, held(false)), "b goes elsewhere, in its own turn");
    assert_eq!(case(|world| world.sight.as_mut().unwrap().enis = vec![foreign(5)]), (false, false, held(false)));
    assert_eq!(
        case(|world| world.intents[1].ask = Err(crate::intent::Unreadable::NoSubnet)),
        (false, false, held(false))
    );
    assert_eq!(case(|world| world.intents[1].deleting = true), (false, false, held(false)), "it goes at this moment");
    assert_eq!(case(|world| world.held[1].deleting = Some(at(50))), (false, false, held(true)));
    // Recovered after etcd was restored: what was taken over from upstream keeps its place, and this does not.
    let recovered = |world: &mut World| {
        world.intents = vec![intent("a", 2, &[SUBNET_A]), intent("b", 1, &[SUBNET_A])];
        for held in &mut world.held {
            (held.adopted, held.recovered) = (EniId::parse("eni-00000001").ok(), true);
        }
    };
    assert_eq!(case(recovered), (true, true, held(false)));
}

/// It is there already, and nothing need go for it.
#[test]
fn a_lost_eni_is_adopted_where_it_is_wanted_though_another_is_still_there() {
    let mut world = in_use(vec![intent("a", 2, &[SUBNET_A])], &[("a", 1)]);
    let mut lost = foreign(2);
    lost.tags = [
        (multi_eni_api::names::TAG_CLUSTER, "cluster"),
        (multi_eni_api::names::TAG_NODEENI_UID, "uid-a"),
        (multi_eni_api::names::TAG_ATTACHMENT_UID, "uid-of-another"),
    ]
    .into();
    lost.subnet = SubnetId::parse(SUBNET_A).ok();
    world.sight.as_mut().unwrap().enis = vec![lost];
    let adopts = world.assign();
    assert!(adopts.delete.is_empty() && adopts.create.len() == 1, "{adopts:?}");
    assert!(adopts.create[0].adopts.is_some());
}
