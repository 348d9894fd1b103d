//! An instance that dies before its Node: no ENI is called lost, created or attached for it.

use super::*;
use crate::assign::INSTANCE_GONE;
use crate::lookup_failure::LookupFailure;

fn instance() -> InstanceId {
    InstanceId::parse("i-0123456789abcdef0").unwrap()
}

fn ready(step: &Step) -> (&str, Phase) {
    let ready = step.status.conditions.iter().find(|c| c.type_ == types::READY).unwrap();
    (ready.reason.as_str(), step.status.phase)
}

/// An ENIAttachment whose ENI was attached, and a lookup by ID does not show the ENI.
fn vanished() -> World {
    let mut world = World::new(Observation::Absent {
        by_tag: at(100),
        home: None,
        by_id: Some(Missed::once(at(110))),
        deleted: None,
    });
    world.attachment.status.eni_id = Some(eni(1).id.to_string());
    world.attachment.status.attachment_id = Some("eni-attach-1".into());
    (world.now, world.unlooked) = (at(120), true);
    world
}

#[test]
fn an_eni_that_vanished_is_lost_only_if_its_instance_lives() {
    let mut world = vanished();
    let next = world.step();
    assert_eq!(
        (next.action, &next.status),
        (Action::LookupInstance(instance()), &world.attachment.status),
        "nothing is reported yet"
    );
    world.unlooked = false;
    world.instance = Some(InstanceObservation::first(InstanceState::Running, at(105)));
    assert_eq!(world.step().action, Action::LookupInstance(instance()), "that lookup is older");
    world.instance = Some(InstanceObservation::first(InstanceState::Running, at(115)));
    assert_eq!(ready(&world.step()), ("ENILost", Phase::Blocked));
    for dead in [InstanceState::ShuttingDown, InstanceState::Terminated] {
        world.instance = Some(InstanceObservation::first(dead, at(60)));
        let next = world.step();
        assert_eq!((next.action.clone(), ready(&next)), (Action::Wait, (INSTANCE_GONE, Phase::Pending)));
        assert!(next.recheck.is_some());
        let mut later =
            World { attachment: Attachment { status: next.status, ..world.attachment.clone() }, ..vanished() };
        (later.instance, later.unlooked, later.now) = (world.instance, false, at(800));
        assert_eq!(ready(&later.step()), (INSTANCE_GONE, Phase::Blocked), "the Node outlives it");
    }
}

#[test]
fn one_lookup_that_misses_an_instance_is_no_proof() {
    let mut world = vanished();
    world.unlooked = false;
    let missed = InstanceObservation::first(InstanceState::Missing, at(115));
    world.instance = Some(missed);
    let next = world.step();
    assert_eq!((next.action, next.recheck, &next.status), (Action::Wait, Some(at(175)), &world.attachment.status));
    world.now = at(175);
    assert_eq!(world.step().action, Action::LookupInstance(instance()));
    world.instance = Some(missed.then(InstanceState::Missing, at(176)));
    world.now = at(177);
    assert_eq!(ready(&world.step()).0, INSTANCE_GONE);
    world.now = at(237);
    assert_eq!(world.step().action, Action::LookupInstance(instance()), "it may be shown again");
    world.instance = world.instance.map(|lookup| lookup.then(InstanceState::Running, at(238)));
    world.now = at(239);
    assert_eq!(ready(&world.step()).0, "ENILost");
}

#[test]
fn an_attach_that_is_refused_for_the_instance_leads_to_a_lookup() {
    for code in ["InvalidInstanceID.NotFound", "IncorrectInstanceState", "IncorrectState"] {
        let mut world = World::new(Observation::Seen(Box::new(eni(1))));
        world.unlooked = true;
        assert!(matches!(world.step().action, Action::Attach { .. }), "the usual path needs no lookup");
        world.fail(Call::Attach, code, "");
        assert_eq!(world.step().action, Action::LookupInstance(instance()), "{code}");
        world.unlooked = false;
        world.instance = Some(InstanceObservation::first(InstanceState::Terminated, at(31)));
        (world.now, world.attachment.created) = (at(32), at(20));
        let next = world.step();
        assert_eq!((next.action.clone(), ready(&next).0), (Action::Wait, INSTANCE_GONE), "{code}");
        world.instance = Some(InstanceObservation::first(InstanceState::Stopped, at(60)));
        world.set_shown_at(60);
        world.now = at(62);
        assert!(matches!(world.step().action, Action::Attach { .. }), "{code}: the instance is only stopped");
    }
}

#[test]
fn an_observation_is_valid_for_two_and_a_half_resyncs() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.attachment.deleting = Some(at(25));
    world.set_shown_at(30);
    let mut action = |took: i64, now: i64| {
        (world.resync_took, world.now) = (SignedDuration::from_secs(took), at(now));
        world.step().action
    };
    assert!(matches!(action(1, 180), Action::Detach { .. }));
    assert_eq!(action(1, 181), Action::LookupById(eni(1).id));
    assert!(matches!(action(100, 280), Action::Detach { .. }), "the resync takes 100 s");
    assert_eq!(action(100, 281), Action::LookupById(eni(1).id));
    assert!(matches!(action(1800, 630), Action::Detach { .. }));
    assert_eq!(action(1800, 631), Action::LookupById(eni(1).id), "ten minutes at most");
}

#[test]
fn a_late_create_and_an_attach_of_an_eni_that_came_loose_need_a_living_instance() {
    let mut world = World::new(Observation::Seen(Box::new(eni(1))));
    world.unlooked = true;
    world.now = at(200);
    world.set_shown_at(200);
    assert!(matches!(world.step().action, Action::Attach { .. }), "its first Attach: EC2's answer says as much");
    world.attachment.status.attachment_id = Some("eni-attach-1".into());
    let next = world.step();
    assert_eq!((next.action, &next.status), (Action::LookupInstance(instance()), &world.attachment.status));
    let mut world = World::new(absent(25));
    world.unlooked = true;
    assert!(matches!(world.step().action, Action::Create { .. }));
    world.now = at(200);
    assert_eq!(world.step().action, Action::LookupInstance(instance()));
}

#[test]
fn a_failed_lookup_of_the_instance_is_reported() {
    let mut world = vanished();
    let code = "UnauthorizedOperation".to_owned();
    world.states_failure =
        Some(LookupFailure { since: at(100), action: "DescribeInstances", code, message: String::new() });
    assert_eq!(world.step().status, world.attachment.status);
    world.now = at(160);
    assert_eq!(ready(&world.step()), ("InstanceStateUnknown", Phase::Blocked));
}

/// Which Create may try changes with each answer to others. The report of a gone instance does not.
#[test]
fn a_gone_instance_is_reported_whatever_the_gates_hold_back() {
    let mut world = World::new(absent(25));
    (world.now, world.unlooked) = (at(1_000), false);
    world.instance = Some(InstanceObservation::first(InstanceState::Terminated, at(900)));
    let refusal =
        crate::ec2_errors::CallError::Answered { code: crate::gates::quota::CODE.into(), message: "no more".into() };
    world.quota.answered("another", at(940), &Err(refusal), at(941));
    for _ in 0..2 {
        let step = world.step();
        assert_eq!((step.action.clone(), ready(&step)), (Action::Wait, (INSTANCE_GONE, Phase::Pending)));
        world.quota.freed();
    }
}
