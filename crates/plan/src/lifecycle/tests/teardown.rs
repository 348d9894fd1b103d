//! The way out.

use super::*;

#[test]
fn the_way_out_is_detach_delete_release() {
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
fn a_young_attachment_is_not_detached_while_it_arrives_and_never_by_force() {
    let mut world = World::new(seen(Some(AttachmentState::Attaching)));
    world.attachment.deleting = Some(at(25));
    for seconds in [30, 89, 299] {
        world.now = at(seconds);
        assert_eq!(world.step().action, Action::Wait, "{seconds}");
    }
    world.now = at(301);
    assert_eq!(world.step().action, Action::LookupById(eni(1).id), "an old look cannot tell that it is stuck");
    world.looked(301);
    assert!(matches!(world.step().action, Action::Detach { force: false, .. }));
    // However long that lasts: EC2 has accepted none yet.
    world.now = at(2000);
    world.looked(2000);
    assert!(matches!(world.step().action, Action::Detach { force: false, .. }));
    world.accepts(2000);
    world.observation = seen(Some(AttachmentState::Detaching));
    since(&mut world, 2000);
    world.now = at(2899);
    world.looked(2899);
    assert_eq!(world.step().action, Action::Wait);
    world.now = at(2900);
    assert_eq!(world.step().action, Action::LookupById(eni(1).id));
    world.looked(2900);
    assert!(matches!(world.step().action, Action::Detach { force: true, .. }));
    // EC2 has accepted it: that may take a while.
    world.called(2900);
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

/// A controller that was down for hours, that may not detach, or that comes to the last of thousands.
#[test]
fn a_healthy_attachment_gets_a_plain_detach_first_whatever_time_has_passed() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.attachment.deleting = Some(at(25));
    for seconds in [30, 1000, 100_000] {
        world.now = at(seconds);
        world.looked(seconds);
        assert!(matches!(world.step().action, Action::Detach { force: false, .. }), "{seconds}");
        world.fail(Call::Detach, "UnauthorizedOperation", "You are not authorized");
        world.now = at(seconds + 900);
        world.looked(seconds + 900);
        assert!(matches!(world.step().action, Action::Detach { force: false, .. }), "{seconds}");
    }
}

/// EC2 accepts it, and shows the ENI attached again.
#[test]
fn what_comes_back_is_detached_plainly_again_and_by_force_when_the_first_is_old_enough() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.attachment.deleting = Some(at(25));
    world.accepts(40);
    for seconds in [100, 300, 939] {
        world.now = at(seconds);
        world.looked(seconds);
        assert!(matches!(world.step().action, Action::Detach { force: false, .. }), "{seconds}");
        world.accepts(seconds);
    }
    world.now = at(940);
    world.looked(940);
    assert!(matches!(world.step().action, Action::Detach { force: true, .. }));
    // Of another attachment none was accepted.
    let Observation::Seen(eni) = &mut world.observation else { panic!("nothing is seen") };
    eni.attachment.as_mut().unwrap().id = "eni-attach-2".into();
    world.now = at(960);
    assert!(matches!(world.step().action, Action::Detach { force: false, .. }));
}

/// Somebody attaches what we detach, or EC2 does not do what it accepted.
#[test]
fn a_detach_that_does_not_last_is_repeated_less_and_less_and_said() {
    for attachments in [1, 1000] {
        let mut world = World::new(seen(Some(AttachmentState::Attached)));
        world.attachment.deleting = Some(at(25));
        let mut sent = Vec::new();
        for seconds in 30..830 {
            world.now = at(seconds);
            let Observation::Seen(eni) = &mut world.observation else { panic!("nothing is seen") };
            eni.attachment.as_mut().unwrap().id = format!("eni-attach-{}", sent.len() % attachments);
            world.looked(seconds);
            if let Action::Detach { attachment, force: false, .. } = world.step().action {
                world.call_history.sends_detach(&attachment, false, true);
                world.call_history.succeeded(Call::Detach, world.now);
                sent.push(seconds);
            }
        }
        assert!(sent.len() <= 11 && sent[3] < 40, "{sent:?}");
        let error = world.step().status.last_error.unwrap();
        assert!(error.code == "RepairUndone" && error.message.contains("AttachNetworkInterface"), "{error:?}");
    }
}

/// Each answer has a wait of its own, and begins anew after the other.
#[test]
fn answers_that_take_turns_back_off_together_and_are_said() {
    let turns =
        [("RequestLimitExceeded", "Request limit exceeded."), ("UnauthorizedOperation", "You are not authorized")];
    let mut world = World::new(seen(None));
    let mut sent = Vec::new();
    for seconds in 30..3630 {
        world.now = at(seconds);
        world.looked(seconds);
        if let Action::Attach { .. } = world.step().action {
            let (code, message) = turns[sent.len() % 2];
            world.fail(Call::Attach, code, message);
            sent.push(seconds);
        }
    }
    assert!(sent.len() <= 25, "{sent:?}");
    let error = world.step().status.last_error.unwrap();
    assert_eq!((error.action.as_str(), error.at.unwrap().0), ("AttachNetworkInterface", at(30)));
    world.now = at(3630);
    world.call_history.succeeded(Call::Attach, world.now);
    assert!(world.call_history.failure.is_none());
}

/// A look at a final state is kept for an hour, and the Node's instance is needed for longer.
#[test]
fn that_an_instance_has_ended_is_looked_at_again_before_it_is_forgotten() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.attachment.deleting = Some(at(25));
    world.instance = Some(InstanceObservation::first(InstanceState::Terminated, at(30)));
    for (seconds, again) in [(1829, false), (1830, true)] {
        world.now = at(seconds);
        world.looked(seconds);
        assert_eq!(matches!(world.step().action, Action::LookupInstance(_)), again, "{seconds}");
    }
}

#[test]
fn an_attachment_that_ec2_no_longer_knows_is_looked_for_before_it_is_detached_again() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.attachment.deleting = Some(at(25));
    let unknown = CallError::Answered { code: "InvalidAttachmentID.NotFound".into(), message: String::new() };
    world.call_history.failed(Call::Detach, &unknown, at(30));
    world.now = at(40);
    assert_eq!(world.step().action, Action::LookupById(eni(1).id));
    // A stale answer: EC2 still shows what it no longer knows.
    world.looked(40);
    assert!(matches!(world.step().action, Action::Detach { force: false, .. }));
}

#[test]
fn a_finalizer_is_not_removed_before_an_unseen_eni_is_ruled_out() {
    // Made before this process led: an earlier one may have sent its Create at the last moment.
    let mut world = World::new(absent(25));
    world.call_history.made_here = false;
    world.attachment.deleting = Some(at(26));
    assert_eq!(world.step().action, Action::Wait);
    world.now = at(71);
    assert_eq!(world.step().action, Action::LookupByTag);
    world.observation = absent(71);
    assert_eq!(world.step().action, Action::Wait, "another account shows none either");
    world.home_shown = Some(at(71));
    assert_eq!(world.step().action, Action::LookupByTag);
    world.observation = Observation::Absent { by_tag: at(72), home: Some(at(71)), by_id: None, deleted: None };
    assert_eq!(world.step().action, Action::Release);
    // Made by this process, no Create sent: nothing can exist.
    let mut own = World::new(absent(25));
    own.attachment.deleting = Some(at(26));
    assert_eq!(own.step().action, Action::Release);
    own.call_history.failed(Call::Create, &CallError::Unknown("timeout".into()), at(30));
    assert_eq!(own.step().action, Action::Wait, "a Create of ours got no answer");
    // EC2 answered with an ENI, the status could not be written, and now another account is looked at.
    let mut made = World::new(absent(200));
    made.attachment.deleting = Some(at(26));
    made.call_history.succeeded(Call::Create, at(30));
    made.call_history.created_eni = Some(eni(1).id);
    made.now = at(201);
    made.observation = Observation::Absent { by_tag: at(200), home: Some(at(100)), by_id: None, deleted: None };
    assert_eq!(made.step().action, Action::LookupById(eni(1).id));
    // It had waited for its turn for minutes: a look counts from when it ended.
    own.now = at(401);
    own.call_history.failed(Call::Create, &CallError::Unknown("broken".into()), at(400));
    own.observation = absent(399);
    assert_eq!(own.step().action, Action::Wait);
    own.observation = absent(461);
    own.now = at(462);
    own.observation = Observation::Absent { by_tag: at(461), home: Some(at(460)), by_id: None, deleted: None };
    assert_eq!(own.step().action, Action::Release);
}

/// As after a crash in a Delete that had landed.
#[test]
fn an_eni_deleted_by_an_earlier_process_is_let_go_after_a_look_by_id_that_cannot_be_lag() {
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

/// The role is another account's since the process began: that shows none of this cluster's ENIs.
#[test]
fn an_eni_that_ec2_does_not_show_is_let_go_only_where_ec2_has_shown_this_cluster_since() {
    let mut world = World::new(missed_twice(at(90), at(131), Some(at(70))));
    world.attachment.deleting = Some(at(8));
    world.attachment.status.eni_id = Some(eni(1).id.to_string());
    world.now = at(132);
    (world.home_shown, world.unlooked) = (Some(at(70)), true);
    let instance = world.attachment.instance.clone().unwrap();
    assert_eq!(world.step().action, Action::LookupInstance(instance));
    // It is not known here.
    (world.instance, world.unlooked) = (Some(InstanceObservation::first(InstanceState::Missing, at(132))), false);
    assert_eq!(world.step().action, Action::Wait, "a sweep tells");
    world.home_shown = Some(at(72));
    assert_eq!(
        world.step().action,
        Action::LookupById(eni(1).id),
        "the looks before that may have been at another place"
    );
    world.observation = missed_twice(at(90), at(132), Some(at(72)));
    assert_eq!(world.step().action, Action::Release);
    // EC2's word counts, once it has shown something of this cluster.
    world.observation =
        Observation::Absent { by_tag: at(90), home: None, by_id: Some(Missed::said(at(131))), deleted: None };
    assert_eq!(world.step().action, Action::Wait);
    world.home_shown = Some(at(131));
    assert_eq!(world.step().action, Action::LookupById(eni(1).id));
    let said = Missed::said(at(131)).and(at(132)).after(Some(at(131)));
    world.observation = Observation::Absent { by_tag: at(90), home: None, by_id: Some(said), deleted: None };
    assert_eq!(world.step().action, Action::Release);
    // The end of its instance explains it.
    (world.home_shown, world.observation) =
        (None, Observation::Absent { by_tag: at(90), home: None, by_id: Some(Missed::once(at(95))), deleted: None });
    world.instance = Some(InstanceObservation::first(InstanceState::Terminated, at(60)));
    assert!(matches!(world.step().action, Action::LookupInstance(_)), "it is shown here still");
    world.home_shown = Some(at(133));
    assert_eq!(world.step().action, Action::LookupById(eni(1).id));
    let missed = Missed::once(at(95)).and(at(134)).after(Some(at(133)));
    world.observation = Observation::Absent { by_tag: at(90), home: None, by_id: Some(missed), deleted: None };
    assert_eq!(world.step().action, Action::Release);
}

#[test]
fn a_terminated_instance_gets_no_detach_but_looks_until_ec2_lets_go() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.attachment.deleting = Some(at(25));
    world.instance = Some(InstanceObservation::first(crate::instance::InstanceState::Terminated, at(26)));
    world.now = at(3);
    assert_eq!(world.step().action, Action::Wait);
    world.now = at(30);
    assert_eq!(world.step().action, Action::LookupById(eni(1).id));
    world.observation = seen(None);
    assert!(matches!(world.step().action, Action::Delete { .. }));
}

#[test]
fn a_call_without_a_token_that_got_no_answer_is_looked_after_before_it_is_repeated() {
    for (call, observation) in [(Call::Detach, seen(Some(AttachmentState::Attached))), (Call::Delete, seen(None))] {
        let mut world = World::new(observation);
        world.attachment.deleting = Some(at(25));
        world.call_history.failed(call, &CallError::Unknown("timeout".into()), at(40));
        world.now = at(45);
        assert_eq!(world.step().action, Action::LookupById(eni(1).id), "{call:?}");
        let Observation::Seen(seen) = &mut world.observation else { unreachable!() };
        seen.shown_at = at(46);
        world.now = at(47);
        assert!(matches!(world.step().action, Action::Detach { .. } | Action::Delete { .. }), "{call:?}");
    }
}

/// DeleteNetworkInterface answers InUse without end; every other passing answer is of the same kind.
#[test]
fn what_is_answered_the_same_for_ever_backs_off_and_is_said_after_three_minutes() {
    let rows = [
        (Call::Delete, "InvalidNetworkInterface.InUse", None),
        (Call::Delete, "InternalError", None),
        (Call::Delete, "IncorrectInstanceState", None),
        (Call::Detach, "IncorrectState", Some(AttachmentState::Attached)),
        (Call::Detach, "Unavailable", Some(AttachmentState::Attached)),
        (Call::Detach, "RequestLimitExceeded", Some(AttachmentState::Attached)),
    ];
    for (call, code, state) in rows {
        let mut world = World::new(seen(state));
        world.attachment.deleting = Some(at(25));
        let (mut sent, mut said) = (0, None);
        for seconds in 30..3630 {
            world.now = at(seconds);
            world.looked(seconds);
            let step = world.step();
            if step.status.phase == Phase::Blocked {
                said.get_or_insert(seconds);
                let ready = step.status.conditions.iter().find(|c| c.type_ == types::READY).unwrap();
                assert!(ready.reason == "EC2Refuses" && ready.message.contains("since"), "{ready:?}");
            }
            if matches!(step.action, Action::Delete { .. } | Action::Detach { .. }) {
                sent += 1;
                world.fail(call, code, &format!("again (Request ID: 8f2d1c00-1111-4222-8333-{seconds:012})"));
            }
        }
        assert!(sent <= 36, "{call:?} {code}: {sent}");
        assert!(said.is_some_and(|at| at <= 30 + 240), "{call:?} {code}: {said:?}");
    }
}

#[test]
fn where_ec2_answers_now_this_way_and_now_not_at_all_the_back_off_goes_on() {
    let mut world = World::new(seen(None));
    world.attachment.deleting = Some(at(25));
    let mut sent = 0;
    for seconds in 30..3630 {
        world.now = at(seconds);
        world.looked(seconds);
        if matches!(world.step().action, Action::Delete { .. }) {
            sent += 1;
            match sent % 3 {
                2 => world.fail(Call::Delete, "InvalidNetworkInterface.InUse", "in use"),
                0 => world.call_history.failed(Call::Delete, &CallError::Unknown("timed out".into()), at(seconds)),
                _ => world.fail(Call::Delete, "InternalError", "again"),
            }
        }
    }
    assert!(sent <= 36, "{sent}");
}

/// By our policy EC2 answers so for an ENI whose tags it does not see yet, and for one that is gone.
#[test]
fn who_is_not_authorized_looks_at_the_eni_first_and_tries_again_in_seconds() {
    for (call, mut world) in
        [(Call::Detach, World::new(seen(Some(AttachmentState::Attached)))), (Call::Delete, World::new(seen(None)))]
    {
        world.attachment.deleting = Some(at(25));
        let mut sent = Vec::new();
        for seconds in 30..90 {
            world.now = at(seconds);
            match world.step().action {
                Action::LookupById(_) => world.looked(seconds),
                Action::Detach { .. } | Action::Delete { .. } => {
                    assert!(
                        sent.is_empty() || world.call_history.failure.as_ref().unwrap().count > 3 || {
                            let Observation::Seen(eni) = &world.observation else { panic!("it is seen") };
                            eni.shown_at > world.call_history.failure.as_ref().unwrap().at
                        }
                    );
                    sent.push(seconds);
                    let blob = format!("no. Encoded authorization failure message: {seconds}x");
                    world.fail(call, "UnauthorizedOperation", &blob);
                    assert_eq!(world.step().status.phase == Phase::Blocked, sent.len() == 4, "{sent:?}");
                }
                _ => {}
            }
        }
        assert_eq!(sent.len(), 4, "{sent:?}");
        let status = world.step().status;
        assert!(status.last_error.is_some_and(|error| error.message == "no."));
        // It is gone: nothing is left to be refused.
        world.call_history.failure.as_mut().unwrap().count = 1;
        world.observation = missed_twice(at(91), at(91), Some(at(91)));
        world.attachment.status.eni_id = Some(eni(1).id.to_string());
        assert_eq!(world.step().action, Action::Release);
    }
}

#[test]
fn since_when_it_detaches_is_noted_after_a_minute_and_a_new_process_goes_on_from_there() {
    let mut world = World::new(seen(Some(AttachmentState::Detaching)));
    world.attachment.deleting = Some(at(25));
    since(&mut world, 100);
    world.now = at(159);
    world.looked(159);
    let young = world.step();
    assert_eq!((young.status.detaching_since.is_none(), young.recheck), (true, Some(at(160))));
    world.now = at(160);
    let noted = world.step().status;
    assert_eq!(noted.detaching_since.as_ref().map(|since| since.0), Some(at(100)));
    // Another process sees it detaching for the first time at 990.
    world.attachment.status = noted;
    world.attachment.status.attachment_id = Some(attachment(AttachmentState::Detaching).id);
    since(&mut world, 990);
    world.now = at(1000);
    world.looked(1000);
    let forced = world.step();
    assert!(matches!(forced.action, Action::Detach { force: true, .. }), "{forced:?}");
    assert!(forced.status.detaching_since.is_some());
    // What was noted of another attachment says nothing.
    world.attachment.status.attachment_id = Some("eni-attach-other".to_owned());
    assert_eq!(world.step().action, Action::Wait);
    world.observation = seen(Some(AttachmentState::Attached));
    assert_eq!(world.step().status.detaching_since, None);
}
