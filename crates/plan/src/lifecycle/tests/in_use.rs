//! An ENI that EC2 calls in use without an attachment.

use super::*;

fn in_use(since: i64, seen_at: i64) -> World {
    let shown = ObservedEni { in_use_since: Some(at(since)), shown_at: at(seen_at), ..eni(1) };
    let mut world = World::new(Observation::Seen(Box::new(shown)));
    world.attachment.status.eni_id = Some(eni(1).id.to_string());
    world
}

#[test]
fn an_eni_in_use_is_neither_attached_nor_deleted_and_is_reported() {
    for leaving in [false, true] {
        let mut world = in_use(100, 102);
        world.attachment.deleting = leaving.then(|| at(90));
        world.now = at(103);
        let step = world.step();
        assert!(matches!(step.action, Action::Wait) && step.status.phase != Phase::Blocked, "just detached: {step:?}");
        assert_eq!(step.recheck, Some(at(107)));
        world.now = at(107);
        assert!(matches!(world.step().action, Action::LookupById(_)));
        // The state lasts.
        let mut world = World { attachment: world.attachment, ..in_use(100, 700) };
        world.now = at(701);
        let step = world.step();
        let ready = step.status.conditions.iter().find(|condition| condition.type_ == types::READY).unwrap();
        assert_eq!((step.status.phase, ready.reason.as_str()), (Phase::Blocked, "InUseWithoutAttachment"));
        assert_eq!(step.recheck, Some(at(820)), "the ENI is looked up at growing intervals");
        let Observation::Seen(seen) = &mut world.observation else { panic!() };
        seen.in_use_since = Some(at(100) + jiff::SignedDuration::from_nanos(225_065_286));
        let step = world.step();
        let ready = step.status.conditions.iter().find(|condition| condition.type_ == types::READY).unwrap();
        assert!(ready.message.contains(&format!("since {}: ", at(100))), "{}", ready.message);
    }
}

#[test]
fn an_eni_that_becomes_free_is_attached() {
    let mut world = in_use(100, 102);
    world.now = at(103);
    let Observation::Seen(seen) = &mut world.observation else { panic!() };
    seen.in_use_since = None;
    assert!(matches!(world.step().action, Action::Attach { .. }));
}

/// An object that cannot be read stays as it is.
#[test]
fn an_unreadable_object_causes_no_action() {
    for leaving in [false, true] {
        let mut world = World::new(absent(25));
        world.now = at(5000);
        world.attachment.unreadable = Some("missing field".into());
        world.attachment.deleting = leaving.then(|| at(90));
        let step = world.step();
        assert_eq!((step.action, step.status), (Action::Settled, world.attachment.status.clone()));
    }
}
