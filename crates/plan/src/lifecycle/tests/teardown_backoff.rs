//! The back-off of the calls of a teardown, and when it is reported.

use super::*;

/// Somebody attaches the ENI again, or EC2 does not execute the Detach that it accepted.
#[test]
fn a_detach_that_does_not_last_backs_off_and_is_reported() {
    for attachments in [1, 1000] {
        let mut world = World::new(seen(Some(AttachmentState::Attached)));
        world.attachment.deleting = Some(at(25));
        let mut sent = Vec::new();
        for seconds in 30..830 {
            world.now = at(seconds);
            let Observation::Seen(eni) = &mut world.observation else { panic!("nothing is seen") };
            eni.attachment.as_mut().unwrap().id = format!("eni-attach-{}", sent.len() % attachments);
            world.set_shown_at(seconds);
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

/// Each answer has a wait of its own, which begins anew after the other answer.
#[test]
fn alternating_answers_share_a_back_off_and_are_reported() {
    let turns =
        [("RequestLimitExceeded", "Request limit exceeded."), ("UnauthorizedOperation", "You are not authorized")];
    let mut world = World::new(seen(None));
    let mut sent = Vec::new();
    for seconds in 30..3630 {
        world.now = at(seconds);
        world.set_shown_at(seconds);
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

/// DeleteNetworkInterface answers InUse without end. The other passing answers are treated the same.
#[test]
fn a_constant_answer_backs_off_and_is_reported_after_three_minutes() {
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
            world.set_shown_at(seconds);
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
fn the_back_off_continues_over_different_answers_and_lost_answers() {
    let mut world = World::new(seen(None));
    world.attachment.deleting = Some(at(25));
    let mut sent = 0;
    for seconds in 30..3630 {
        world.now = at(seconds);
        world.set_shown_at(seconds);
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

/// With the documented IAM policy, EC2 gives this answer for an ENI whose tags EC2 does not see yet, and for an ENI that
/// is gone.
#[test]
fn an_unauthorized_call_is_retried_within_seconds_after_a_lookup() {
    for (call, mut world) in
        [(Call::Detach, World::new(seen(Some(AttachmentState::Attached)))), (Call::Delete, World::new(seen(None)))]
    {
        world.attachment.deleting = Some(at(25));
        let mut sent = Vec::new();
        for seconds in 30..90 {
            world.now = at(seconds);
            match world.step().action {
                Action::LookupById(_) => world.set_shown_at(seconds),
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
        // The ENI is gone: there is nothing left to refuse.
        world.call_history.failure.as_mut().unwrap().count = 1;
        world.observation = missed_twice(at(91), at(91), Some(at(91)));
        world.attachment.status.eni_id = Some(eni(1).id.to_string());
        assert_eq!(world.step().action, Action::Release);
    }
}

#[test]
fn an_unanswered_call_without_a_token_needs_a_lookup_before_it_is_repeated() {
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
