//! ENIs that EC2 does not finish to attach or detach, and ENIs that are elsewhere or gone.

use super::*;

/// Somebody detached the ENI, or this controller did because the attachment was stuck.
#[test]
fn a_stuck_detach_is_forced_after_a_lookup() {
    let mut world = World::new(seen(Some(AttachmentState::Detaching)));
    world.now = at(899);
    assert_eq!(world.step().action, Action::Wait);
    world.now = at(900);
    assert_eq!(world.step().action, Action::LookupById(eni(1).id));
    world.set_shown_at(900);
    assert!(matches!(world.step().action, Action::Detach { force: true, .. }));
}

#[test]
fn a_stuck_attach_is_reported_at_90_s_detached_at_5_min_and_forced_15_min_after_an_accepted_detach() {
    let mut world = World::new(seen(Some(AttachmentState::Attaching)));
    let reason =
        |world: &World| world.step().status.conditions.iter().find(|c| c.type_ == types::READY).unwrap().reason.clone();
    world.now = at(89);
    assert_eq!((world.step().action, reason(&world).as_str()), (Action::Wait, "Attaching"));
    world.now = at(90);
    assert_eq!((world.step().action, reason(&world).as_str()), (Action::Wait, "StuckAttaching"));
    let mut finely = World::new(seen(Some(AttachmentState::Attaching)));
    let Observation::Seen(shown) = &mut finely.observation else { panic!() };
    shown.attachment.as_mut().unwrap().since += jiff::SignedDuration::from_nanos(225_065_286);
    finely.now = at(91);
    let ready = finely.step().status.conditions.into_iter().find(|c| c.type_ == types::READY).unwrap();
    assert!(ready.message.contains(&format!("since {}: ", at(0))), "{}", ready.message);
    world.now = at(300);
    assert_eq!(
        world.step().action,
        Action::LookupById(eni(1).id),
        "an old observation does not prove that the ENI is stuck"
    );
    world.set_shown_at(300);
    assert!(matches!(world.step().action, Action::Detach { force: false, .. }));
    world.now = at(899);
    world.fail(Call::Detach, "IncorrectState", "not now");
    world.now = at(901);
    world.set_shown_at(901);
    assert!(matches!(world.step().action, Action::Detach { force: false, .. }), "EC2 has accepted none yet");
    world.accept_detach(901);
    world.now = at(1801);
    world.set_shown_at(1801);
    assert!(matches!(world.step().action, Action::Detach { force: true, .. }));
    world.fail(Call::Detach, "RequestLimitExceeded", "slower");
    assert_eq!(world.step().action, Action::Wait, "a forced Detach that failed is not repeated at once");
}

/// Somebody may put the tags back or detach the ENI. Only a lookup by ID shows this, because a resync finds ENIs by tag.
#[test]
fn an_eni_without_our_tags_is_looked_up_by_its_id() {
    let mut theirs = eni(1);
    theirs.tags.remove(names::TAG_CLUSTER);
    let mut world = World::new(Observation::Seen(Box::new(theirs)));
    world.now = at(599);
    assert_eq!(world.step().action, Action::Wait);
    world.now = at(601);
    assert_eq!(world.step().action, Action::LookupById(eni(1).id));
}

#[test]
fn an_eni_attached_elsewhere_is_not_touched() {
    let mut moved = eni(1);
    let mut at_ = attachment(AttachmentState::Attached);
    at_.instance = InstanceId::parse("i-0fedcba9876543210").ok();
    moved.attachment = Some(at_);
    let mut world = World::new(Observation::Seen(Box::new(moved)));
    assert_eq!((world.step().action, world.step().status.phase), (Action::Wait, Phase::Blocked));
    world.attachment.deleting = Some(at(25));
    assert_eq!(world.step().action, Action::Wait);
}

#[test]
fn a_deleted_eni_is_lost_only_after_a_lookup_by_id() {
    let mut world = World::new(absent(80));
    world.attachment.status = World::new(seen(Some(AttachmentState::Attached))).step().status;
    world.now = at(100);
    let step = world.step();
    assert_eq!(step.action, Action::LookupById(eni(1).id));
    assert_eq!(step.status, world.attachment.status, "a resync that does not show the ENI yet changes nothing");
    world.observation =
        Observation::Absent { by_tag: at(80), home: None, by_id: Some(Missed::once(at(100))), deleted: None };
    let step = world.step();
    assert_eq!(step.action, Action::Wait);
    world.attachment.status = step.status;
    assert!(world.attachment.lost());
}

/// Resyncs keep observations young. If Describes fail, no action may follow from an old observation.
#[test]
fn an_old_observation_is_renewed_before_an_action() {
    let mut world = World::new(seen(None));
    world.now = at(150);
    assert!(matches!(world.step().action, Action::Attach { .. }));
    world.now = at(151);
    assert_eq!(world.step().action, Action::LookupById(eni(1).id));
    world.set_shown_at(151);
    assert!(matches!(world.step().action, Action::Attach { .. }));
    // The answer of this process's own call is younger, and says nothing about the tags.
    let Observation::Seen(observation) = &mut world.observation else { panic!("it is seen") };
    observation.last_call = Some(at(300));
    world.now = at(302);
    assert_eq!(world.step().action, Action::LookupById(eni(1).id));
}
