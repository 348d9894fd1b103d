//! Instances that are terminated before their Node is deleted, and lookups that do not show an instance.

use super::*;
use crate::lookup_failure::LookupFailure;
use crate::observed::Unshown;

fn instance() -> InstanceId {
    InstanceId::parse(INSTANCE).unwrap()
}

/// A world in which EC2 does not show the primary interface any more.
fn without_primary() -> World {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    let unshown = Some(Unshown { since: at(99), as_of: at(99) });
    world.interfaces = Some(InstanceInterfaces { without_primary: unshown, ..world.interfaces.clone().unwrap() });
    world
}

#[test]
fn nothing_is_created_for_an_instance_whose_primary_interface_is_not_shown() {
    let mut world = without_primary();
    let next = world.assign();
    assert!(next.create.is_empty() && next.needs.contains(&Need::InstanceState(instance())), "{next:?}");
    world.state = Some(InstanceObservation::first(InstanceState::Terminated, at(100)));
    let next = world.assign();
    assert!(next.create.is_empty() && next.needs.is_empty(), "{next:?}");
    let why = &next.refused[0].why;
    assert!(why.reason() == INSTANCE_GONE && why.is_transient(), "{why:?}");
    // A Node that exists long after its instance was terminated is a problem.
    world.now = at(800);
    assert!(!world.assign().refused[0].why.is_transient());
}

#[test]
fn an_instance_that_one_lookup_did_not_show_is_no_lookup_that_is_awaited() {
    let mut world = without_primary();
    let moment = at(100).saturating_add(SignedDuration::from_nanos(225_065_286)).unwrap();
    let missed = InstanceObservation::first(InstanceState::Missing, moment);
    (world.state, world.now) = (Some(missed), at(101));
    let next = world.assign();
    let why = &next.refused[0].why;
    assert_eq!((why.reason(), why.is_transient(), next.create.len()), ("InstanceNotShown", true, 0));
    let said = format!(
        "EC2 has not shown its instance {INSTANCE} since 2027-01-15T08:01:40Z, and another lookup, at least a minute later, and a complete \
         resync decide whether the instance is gone"
    );
    assert!(why.sentence(world.now).starts_with(&said), "{}", why.sentence(world.now));
    // The second lookup proves that it is gone, since the first one.
    (world.state, world.now) = (Some(missed.then(InstanceState::Missing, at(161))), at(162));
    let next = world.assign();
    assert_eq!(next.refused[0].why.reason(), INSTANCE_GONE);
}

#[test]
fn a_sentence_names_times_in_whole_seconds() {
    let since = at(100).saturating_add(SignedDuration::from_nanos(225_065_286)).unwrap();
    for is_lasting in [false, true] {
        let gone = UnassignedReason::InstanceGone { instance: instance(), since, is_lasting };
        let unshown = UnassignedReason::PrimaryNotShown { instance: instance(), since, is_lasting };
        for why in [gone, unshown] {
            assert!(why.sentence(at(900)).contains("since 2027-01-15T08:01:40Z"), "{}", why.sentence(at(900)));
        }
    }
}

#[test]
fn a_later_lookup_that_shows_the_primary_interface_wins() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    let missed = InstanceObservation::first(InstanceState::Missing, at(10)).then(InstanceState::Missing, at(80));
    world.state = Some(missed);
    assert_eq!(world.assign().create.len(), 1);
    // Terminated is final.
    world.state = Some(InstanceObservation::first(InstanceState::Terminated, at(80)));
    assert_eq!(world.assign().create.len(), 0);
}

/// A Node that was deleted at 100, and its ENIAttachment.
fn node_gone() -> World {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.settle();
    world.attachments[0].deselected_since = Some(at(100));
    (world.node, world.now) = (None, at(110));
    world
}

#[test]
fn one_lookup_that_misses_a_running_instance_proves_nothing() {
    let mut world = node_gone();
    let missed = InstanceObservation::first(InstanceState::Missing, at(105));
    world.state = Some(missed);
    assert!(world.assign().delete.is_empty() && world.assign().recheck == Some(at(165)));
    // Two lookups, far enough apart, have missed the instance. The grace period is not over.
    world.state = Some(missed.then(InstanceState::Missing, at(165)));
    world.now = at(166);
    assert!(world.assign().delete.is_empty());
    // A later lookup shows the instance running, which corrects the conclusion.
    world.state = Some(missed.then(InstanceState::Missing, at(165)).then(InstanceState::Running, at(230)));
    world.now = at(231);
    assert!(world.assign().delete.is_empty() && world.assign().recheck == Some(at(400)));
    // After the grace period, one lookup that misses the instance after lookups that showed it is not enough either.
    let late = InstanceObservation::first(InstanceState::Missing, at(401));
    (world.state, world.now) = (Some(late), at(402));
    assert!(world.assign().delete.is_empty());
    (world.state, world.now) = (Some(late.then(InstanceState::Missing, at(461))), at(462));
    assert_eq!(world.assign().delete.len(), 1);
}

#[test]
fn a_gone_node_whose_instance_lookup_fails_is_reported() {
    let mut world = node_gone();
    let code = "UnauthorizedOperation".to_owned();
    world.states_failure = Some(LookupFailure {
        since: at(105),
        action: "DescribeInstances",
        code,
        message: "You are not authorized.".into(),
    });
    assert!(world.assign().problems.is_empty() && world.assign().recheck == Some(at(165)));
    world.now = at(165);
    let next = world.assign();
    let (uid, problem) = &next.problems[0];
    assert_eq!((uid.as_str(), problem.reason), ("uid-a", "InstanceStateUnknown"));
    assert!(problem.message.contains("ec2:DescribeInstances"), "{problem:?}");
    assert!(next.nodeenis().contains(uid) && next.delete.is_empty());
    // An earlier lookup has missed the instance once, and no later one is answered.
    world.state = Some(InstanceObservation::first(InstanceState::Missing, at(150)));
    assert_eq!(world.assign().problems.len(), 1);
}

/// EC2 may show nothing yet of a new instance: it is looked up again after a wait.
#[test]
fn a_vpc_that_is_not_shown_is_looked_up_again_with_growing_waits() {
    let mut named = nodeeni("a", 1, &[SUBNET_A]);
    if let Ok(spec) = &mut named.spec {
        spec.subnets = vec![crate::nodeeni::SubnetRef::Name("storage".into())];
    }
    let mut world = World::new(vec![named]);
    let subnet = SubnetId::parse(SUBNET_A).unwrap();
    world.catalog.subnets_named.insert("storage".into(), [subnet].into());
    let unshown = |as_of| Some(Unshown { since: at(99), as_of });
    world.interfaces =
        Some(InstanceInterfaces { as_of: at(99), without_primary: unshown(at(100)), ..Default::default() });
    world.state = Some(InstanceObservation::first(InstanceState::Running, at(100)));
    let soon = world.assign();
    assert!(soon.needs.is_empty() && soon.recheck == Some(at(101)), "{soon:?}");
    world.now = at(101);
    assert!(world.assign().needs.contains(&Need::LookupInterfaces(InstanceId::parse(INSTANCE).unwrap())));
    // The wait grows, and after minutes the problem is reported.
    world.interfaces =
        Some(InstanceInterfaces { as_of: at(99), without_primary: unshown(at(199)), ..Default::default() });
    world.now = at(290);
    let slow = world.assign();
    assert!(slow.needs.is_empty() && slow.recheck == Some(at(299)), "{slow:?}");
    assert_eq!((slow.refused[0].why.reason(), slow.refused[0].why.is_transient()), ("PrimaryInterfaceNotShown", false));
}

#[test]
fn an_eni_that_outlives_its_instance_is_deleted_although_the_node_exists() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.settle();
    world.state = Some(InstanceObservation::first(InstanceState::Terminated, at(100)));
    world.now = at(100 + 599);
    let waits = world.assign();
    assert_eq!((waits.delete.len(), waits.recheck), (0, Some(at(700))));
    world.now = at(700);
    let goes = world.assign();
    assert_eq!(goes.delete.iter().map(|removal| removal.why).collect::<Vec<_>>(), [RemovalReason::NodeGone]);
    world.attachments.clear();
    let gone = world.assign();
    assert!(gone.create.is_empty() && gone.refused[0].why.reason() == INSTANCE_GONE, "{gone:?}");
    // An instance that lookups miss may be shown again.
    world.settle();
    world.state =
        Some(InstanceObservation::first(InstanceState::Missing, at(100)).then(InstanceState::Missing, at(300)));
    assert_eq!(world.assign().delete.len(), 0);
}
