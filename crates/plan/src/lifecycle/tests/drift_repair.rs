//! Changes in place: a refused change delays no other change and is reported; an edit is no repair.

use super::*;
use crate::ec2_errors::CallError;

fn refused(code: &str, message: &str) -> CallError {
    CallError::Answered { code: code.into(), message: message.into() }
}

/// An attached ENI that needs two changes.
fn world() -> World {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.spec.source_dest_check = false;
    world.spec.tags = [("team".to_owned(), "net".to_owned())].into();
    world
}

/// Sends the change that was decided, and records `answer`. Returns the attribute of the change.
fn send(world: &mut World, answer: impl Fn(&Change) -> Result<(), CallError>) -> Option<&'static str> {
    let Action::Modify { change, .. } = world.step().action else { return None };
    world.call_history.sends_change(&change, Some(&world.spec), world.now);
    match answer(&change) {
        Ok(()) => {
            world.call_history.succeeded(change.call(), world.now);
            let Observation::Seen(eni) = &mut world.observation else { panic!() };
            change.apply(eni);
        }
        Err(error) => world.call_history.failed(change.call(), &error, world.now),
    }
    Some(change.attribute().name())
}

#[test]
fn a_refused_change_delays_no_other_and_is_reported() {
    let mut world = world();
    let no_check = |change: &Change| match change {
        Change::SourceDestCheck(_) => Err(refused("InvalidParameterValue", "no")),
        _ => Ok(()),
    };
    assert_eq!(send(&mut world, no_check), Some("sourceDestCheck"));
    assert_eq!(send(&mut world, no_check), Some("tags"));
    let step = world.step();
    assert_eq!(step.action, Action::Wait, "the refused one waits still");
    let attached = step.status.conditions.iter().find(|c| c.type_ == types::ATTACHED).unwrap();
    assert_eq!((attached.status.as_str(), attached.reason.as_str()), ("True", "Refused"), "{attached:?}");
    // After the spec is corrected, the next change is sent at once.
    world.spec.source_dest_check = true;
    world.spec.description = "other".into();
    assert_eq!(send(&mut world, |_| Ok(())), Some("description"));
    assert_eq!(world.step().status.last_error, None);
}

/// One change's failure must not remove the other change's back-off.
#[test]
fn two_refused_changes_back_off_separately() {
    let mut world = world();
    let mut sent = Vec::new();
    for seconds in 30..3630 {
        world.now = at(seconds);
        world.set_shown_at(seconds);
        sent.extend(send(&mut world, |_| Err(refused("InternalError", "no"))));
    }
    assert!(sent.len() <= 60, "{}: {sent:?}", sent.len());
}

#[test]
fn edits_do_not_count_as_undone_repairs() {
    let mut world = world();
    world.spec.tags.clear();
    for n in 0..8 {
        world.spec.source_dest_check = n % 2 == 1;
        assert_eq!(send(&mut world, |_| Ok(())), Some("sourceDestCheck"), "{n}: at once");
        assert_eq!(world.step().status.last_error, None);
    }
    // A change that fails is no repair either.
    world.spec.source_dest_check = false;
    for _ in 0..6 {
        world.now = world.now.saturating_add(jiff::SignedDuration::from_secs(120)).unwrap();
        let Observation::Seen(eni) = &mut world.observation else { panic!() };
        eni.shown_at = world.now;
        let Action::Modify { change, .. } = world.step().action else { panic!() };
        world.call_history.sends_change(&change, Some(&world.spec), world.now);
        world.call_history.failed(Call::Modify, &refused("RequestLimitExceeded", "slower"), world.now);
    }
    assert_eq!(world.call_history.repairs.undone_often(world.now), None);
}

/// The timeouts of connection tracking are changed in one call, and only if the NodeENI asks for one that EC2 does not show.
#[test]
fn a_timeout_that_is_not_asked_for_stays_as_ec2_shows_it() {
    let timeouts = |tcp, udp| ConnectionTracking {
        tcp_established_timeout_seconds: tcp,
        udp_stream_timeout_seconds: None,
        udp_timeout_seconds: udp,
    };
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    let Observation::Seen(eni) = &mut world.observation else { panic!() };
    eni.connection_tracking = timeouts(Some(600), Some(45));
    assert_eq!(send(&mut world, |_| Ok(())), None, "nothing is asked for");
    world.spec.connection_tracking = timeouts(Some(350), None);
    let Action::Modify { change, .. } = world.step().action else { panic!() };
    assert_eq!(change, Change::ConnectionTracking(timeouts(Some(350), Some(45))));
    assert_eq!(send(&mut world, |_| Ok(())), Some("connectionTracking"));
    assert_eq!(send(&mut world, |_| Ok(())), None);
    world.spec.connection_tracking = ConnectionTracking::default();
    assert_eq!(send(&mut world, |_| Ok(())), None, "a timeout that is removed from the spec stays");
}
