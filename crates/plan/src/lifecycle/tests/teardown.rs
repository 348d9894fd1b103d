//! Teardown: detach, delete, and the removal of the finalizer.

use super::*;

#[test]
fn teardown_is_detach_delete_release() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.attachment.deleting = Some(at(25));
    assert!(matches!(world.step().action, Action::Detach { force: false, .. }));
    world.observation = seen(Some(AttachmentState::Detaching));
    assert_eq!(world.step().action, Action::Wait);
    world.observation = seen(None);
    assert!(matches!(world.step().action, Action::Delete { .. }));
    world.observation = Observation::Absent { by_tag: at(0), home: None, by_id: None, deleted: Some(at(29)) };
    assert_eq!(world.step().action, Action::Release);
}

#[test]
fn a_young_attachment_is_not_detached_and_not_forced() {
    let mut world = World::new(seen(Some(AttachmentState::Attaching)));
    world.attachment.deleting = Some(at(25));
    for seconds in [30, 89, 299] {
        world.now = at(seconds);
        assert_eq!(world.step().action, Action::Wait, "{seconds}");
    }
    world.now = at(301);
    assert_eq!(
        world.step().action,
        Action::LookupById(eni(1).id),
        "an old observation does not prove that the ENI is stuck"
    );
    world.set_shown_at(301);
    assert!(matches!(world.step().action, Action::Detach { force: false, .. }));
    // However long this lasts, EC2 has accepted no Detach yet.
    world.now = at(2000);
    world.set_shown_at(2000);
    assert!(matches!(world.step().action, Action::Detach { force: false, .. }));
    world.accept_detach(2000);
    world.observation = seen(Some(AttachmentState::Detaching));
    since(&mut world, 2000);
    world.now = at(2899);
    world.set_shown_at(2899);
    assert_eq!(world.step().action, Action::Wait);
    world.now = at(2900);
    assert_eq!(world.step().action, Action::LookupById(eni(1).id));
    world.set_shown_at(2900);
    assert!(matches!(world.step().action, Action::Detach { force: true, .. }));
    // EC2 has accepted the forced Detach, which may take a while.
    world.set_last_call(2900);
    for seconds in [2900, 2959] {
        world.now = at(seconds);
        assert_eq!(world.step().action, Action::Wait, "{seconds}");
    }
    world.now = at(2960);
    assert!(matches!(world.step().action, Action::Detach { force: true, .. }));
}

fn since(world: &mut World, seconds: i64) {
    let Observation::Seen(eni) = &mut world.observation else { panic!("nothing is seen") };
    if let Some(attachment) = &mut eni.attachment {
        attachment.since = at(seconds);
    }
}

/// The controller was down for hours, lacks the permission to detach, or has thousands of other ENIs to detach first.
#[test]
fn a_plain_detach_comes_first_whatever_time_has_passed() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.attachment.deleting = Some(at(25));
    for seconds in [30, 1000, 100_000] {
        world.now = at(seconds);
        world.set_shown_at(seconds);
        assert!(matches!(world.step().action, Action::Detach { force: false, .. }), "{seconds}");
        world.fail(Call::Detach, "UnauthorizedOperation", "You are not authorized");
        world.now = at(seconds + 900);
        world.set_shown_at(seconds + 900);
        assert!(matches!(world.step().action, Action::Detach { force: false, .. }), "{seconds}");
    }
}

/// EC2 accepts the Detach, and shows the ENI attached again.
#[test]
fn a_detach_that_does_not_last_is_forced_15_min_after_the_first() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.attachment.deleting = Some(at(25));
    world.accept_detach(40);
    for seconds in [100, 300, 939] {
        world.now = at(seconds);
        world.set_shown_at(seconds);
        assert!(matches!(world.step().action, Action::Detach { force: false, .. }), "{seconds}");
        world.accept_detach(seconds);
    }
    world.now = at(940);
    world.set_shown_at(940);
    assert!(matches!(world.step().action, Action::Detach { force: true, .. }));
    // EC2 has accepted no Detach of the other attachment.
    let Observation::Seen(eni) = &mut world.observation else { panic!("nothing is seen") };
    eni.attachment.as_mut().unwrap().id = "eni-attach-2".into();
    world.now = at(960);
    assert!(matches!(world.step().action, Action::Detach { force: false, .. }));
}

/// The state of a terminated instance is kept for an hour, and the teardown may need it for longer.
#[test]
fn a_terminated_instance_is_looked_up_again_within_the_hour() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.attachment.deleting = Some(at(25));
    world.instance = Some(InstanceObservation::first(InstanceState::Terminated, at(30)));
    for (seconds, again) in [(1829, false), (1830, true)] {
        world.now = at(seconds);
        world.set_shown_at(seconds);
        assert_eq!(matches!(world.step().action, Action::LookupInstance(_)), again, "{seconds}");
    }
}

#[test]
fn an_attachment_unknown_to_ec2_is_looked_up_before_the_next_detach() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.attachment.deleting = Some(at(25));
    let unknown = CallError::Answered { code: "InvalidAttachmentID.NotFound".into(), message: String::new() };
    world.call_history.failed(Call::Detach, &unknown, at(30));
    world.now = at(40);
    assert_eq!(world.step().action, Action::LookupById(eni(1).id));
    // A stale answer: EC2 still shows an attachment that it no longer knows.
    world.set_shown_at(40);
    assert!(matches!(world.step().action, Action::Detach { force: false, .. }));
}

#[test]
fn a_finalizer_is_not_removed_before_an_unseen_eni_is_ruled_out() {
    // The ENIAttachment existed before this process led. An earlier process may have sent its Create at the last moment.
    let mut world = World::new(absent(25));
    world.call_history.made_here = false;
    world.attachment.deleting = Some(at(26));
    assert_eq!(world.step().action, Action::Wait);
    world.now = at(71);
    assert_eq!(world.step().action, Action::LookupByTag);
    world.observation = absent(71);
    assert_eq!(world.step().action, Action::Wait, "another account shows no ENI either");
    world.home_shown = Some(at(71));
    assert_eq!(world.step().action, Action::LookupByTag);
    world.observation = Observation::Absent { by_tag: at(72), home: Some(at(71)), by_id: None, deleted: None };
    assert_eq!(world.step().action, Action::Release);
    // This process created the ENIAttachment and sent no Create, so no ENI can exist.
    let mut own = World::new(absent(25));
    own.attachment.deleting = Some(at(26));
    assert_eq!(own.step().action, Action::Release);
    own.call_history.failed(Call::Create, &CallError::Unknown("timeout".into()), at(30));
    assert_eq!(own.step().action, Action::Wait, "a Create of this process got no answer");
    // EC2 answered with an ENI, the status could not be written, and now the lookups go to another account.
    let mut made = World::new(absent(200));
    made.attachment.deleting = Some(at(26));
    made.call_history.succeeded(Call::Create, at(30));
    made.call_history.created_eni = Some(eni(1).id);
    made.now = at(201);
    made.observation = Observation::Absent { by_tag: at(200), home: Some(at(100)), by_id: None, deleted: None };
    assert_eq!(made.step().action, Action::LookupById(eni(1).id));
    // The Create had waited for the rate limiter for minutes. A lookup counts from the end of the call.
    own.now = at(401);
    own.call_history.failed(Call::Create, &CallError::Unknown("broken".into()), at(400));
    own.observation = absent(399);
    assert_eq!(own.step().action, Action::Wait);
    own.observation = absent(461);
    own.now = at(462);
    own.observation = Observation::Absent { by_tag: at(461), home: Some(at(460)), by_id: None, deleted: None };
    assert_eq!(own.step().action, Action::Release);
}

/// An earlier process crashed during a Delete that EC2 had executed.
#[test]
fn an_eni_deleted_by_an_earlier_process_is_released_after_two_lookups_by_id() {
    let mut world = World::new(absent(25));
    world.call_history.made_here = false;
    world.attachment.deleting = Some(at(8));
    world.attachment.status.eni_id = Some(eni(1).id.to_string());
    assert_eq!(world.step().action, Action::Wait);
    world.now = at(71);
    assert_eq!(world.step().action, Action::LookupById(eni(1).id));
    world.observation =
        Observation::Absent { by_tag: at(25), home: None, by_id: Some(Missed::once(at(71))), deleted: None };
    let doubted = world.step();
    assert_eq!((doubted.action, doubted.recheck), (Action::Wait, Some(at(131))), "one answer may be an error");
    world.now = at(131);
    assert_eq!(world.step().action, Action::LookupById(eni(1).id));
    world.observation = missed_twice(at(25), at(131), Some(at(75)));
    assert_eq!(world.step().action, Action::Release);
}

/// Since the process began, its role belongs to another account, which shows no ENI of this cluster.
#[test]
fn a_missing_eni_is_released_only_once_ec2_has_shown_this_cluster_since() {
    let mut world = World::new(missed_twice(at(90), at(131), Some(at(70))));
    world.attachment.deleting = Some(at(8));
    world.attachment.status.eni_id = Some(eni(1).id.to_string());
    world.now = at(132);
    (world.home_shown, world.unlooked) = (Some(at(70)), true);
    let instance = world.attachment.instance.clone().unwrap();
    assert_eq!(world.step().action, Action::LookupInstance(instance));
    // EC2 does not show the instance here.
    (world.instance, world.unlooked) = (Some(InstanceObservation::first(InstanceState::Missing, at(132))), false);
    assert_eq!(world.step().action, Action::Wait, "the next resync decides");
    world.home_shown = Some(at(72));
    assert_eq!(
        world.step().action,
        Action::LookupById(eni(1).id),
        "the earlier lookups may have been in another account"
    );
    world.observation = missed_twice(at(90), at(132), Some(at(72)));
    assert_eq!(world.step().action, Action::Release);
    // EC2's own word counts once EC2 has shown something of this cluster.
    world.observation =
        Observation::Absent { by_tag: at(90), home: None, by_id: Some(Missed::by_delete(at(131))), deleted: None };
    assert_eq!(world.step().action, Action::Wait);
    world.home_shown = Some(at(131));
    assert_eq!(world.step().action, Action::LookupById(eni(1).id));
    let said = Missed::by_delete(at(131)).and(at(132)).after(Some(at(131)));
    world.observation = Observation::Absent { by_tag: at(90), home: None, by_id: Some(said), deleted: None };
    assert_eq!(world.step().action, Action::Release);
    // The end of the instance explains the missing ENI.
    (world.home_shown, world.observation) =
        (None, Observation::Absent { by_tag: at(90), home: None, by_id: Some(Missed::once(at(95))), deleted: None });
    world.instance = Some(InstanceObservation::first(InstanceState::Terminated, at(60)));
    assert!(matches!(world.step().action, Action::LookupInstance(_)), "EC2 still shows the ENI");
    world.home_shown = Some(at(133));
    assert_eq!(world.step().action, Action::LookupById(eni(1).id));
    let missed = Missed::once(at(95)).and(at(134)).after(Some(at(133)));
    world.observation = Observation::Absent { by_tag: at(90), home: None, by_id: Some(missed), deleted: None };
    assert_eq!(world.step().action, Action::Release);
}

#[test]
fn a_terminated_instance_gets_lookups_and_no_detach() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.attachment.deleting = Some(at(25));
    world.instance = Some(InstanceObservation::first(crate::instance_life::InstanceState::Terminated, at(26)));
    world.now = at(3);
    assert_eq!(world.step().action, Action::Wait);
    world.now = at(30);
    assert_eq!(world.step().action, Action::LookupById(eni(1).id));
    world.observation = seen(None);
    assert!(matches!(world.step().action, Action::Delete { .. }));
}

#[test]
fn the_start_of_a_long_detach_is_noted_for_the_next_process() {
    let mut world = World::new(seen(Some(AttachmentState::Detaching)));
    world.attachment.deleting = Some(at(25));
    since(&mut world, 100);
    world.now = at(159);
    world.set_shown_at(159);
    let young = world.step();
    assert_eq!((young.status.detaching_since.is_none(), young.recheck), (true, Some(at(160))));
    world.now = at(160);
    let noted = world.step().status;
    assert_eq!(noted.detaching_since.as_ref().map(|since| since.0), Some(at(100)));
    // Another process first observes the ENI detaching at 990.
    world.attachment.status = noted;
    world.attachment.status.attachment_id = Some(attachment(AttachmentState::Detaching).id);
    since(&mut world, 990);
    world.now = at(1000);
    world.set_shown_at(1000);
    let forced = world.step();
    assert!(matches!(forced.action, Action::Detach { force: true, .. }), "{forced:?}");
    assert!(forced.status.detaching_since.is_some());
    // A note about another attachment does not count.
    world.attachment.status.attachment_id = Some("eni-attach-other".to_owned());
    assert_eq!(world.step().action, Action::Wait);
    world.observation = seen(Some(AttachmentState::Attached));
    assert_eq!(world.step().status.detaching_since, None);
}
