//! The way out.

use super::*;

#[test]
fn the_way_out_is_detach_delete_release() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.held.deleting = Some(at(25));
    assert!(matches!(world.step().action, Action::Detach { force: false, .. }));
    world.sight = seen(Some(AttachmentState::Detaching));
    assert_eq!(world.step().action, Action::Wait);
    world.sight = seen(None);
    assert!(matches!(world.step().action, Action::Delete { .. }));
    world.sight = Sight::Absent { by_tag: at(0), by_id: None, deleted: Some(at(29)) };
    assert_eq!(world.step().action, Action::Release);
}

#[test]
fn a_young_attachment_is_not_detached_while_it_arrives_and_never_by_force() {
    let mut world = World::new(seen(Some(AttachmentState::Attaching)));
    world.held.deleting = Some(at(25));
    for seconds in [30, 89, 299] {
        world.now = at(seconds);
        assert_eq!(world.step().action, Action::Wait, "{seconds}");
    }
    world.now = at(301);
    assert_eq!(world.step().action, Action::LookById(eni(1).id), "an old look cannot tell that it is stuck");
    world.looked(301);
    assert!(matches!(world.step().action, Action::Detach { force: false, .. }));
    world.now = at(1000);
    assert_eq!(world.step().action, Action::LookById(eni(1).id));
    world.looked(1000);
    assert!(matches!(world.step().action, Action::Detach { force: true, .. }));
    // EC2 has accepted it: that may take a while.
    world.called(1000);
    for seconds in [1000, 1059] {
        world.now = at(seconds);
        assert_eq!(world.step().action, Action::Wait, "{seconds}");
    }
    world.now = at(1060);
    assert!(matches!(world.step().action, Action::Detach { force: true, .. }));
}

#[test]
fn an_attachment_that_ec2_no_longer_knows_is_looked_for_before_it_is_detached_again() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.held.deleting = Some(at(25));
    let unknown = CallError::Answered { code: "InvalidAttachmentID.NotFound".into(), message: String::new() };
    world.memory.failed(Call::Detach, &unknown, at(30), at(30));
    world.now = at(40);
    assert_eq!(world.step().action, Action::LookById(eni(1).id));
    // A stale answer: EC2 still shows what it no longer knows.
    world.looked(40);
    assert!(matches!(world.step().action, Action::Detach { force: false, .. }));
}

#[test]
fn a_finalizer_is_not_removed_before_an_unseen_eni_is_ruled_out() {
    // Made before this process led: an earlier one may have sent its Create at the last moment.
    let mut world = World::new(absent(25));
    world.memory.made_here = false;
    world.held.deleting = Some(at(26));
    assert_eq!(world.step().action, Action::Wait);
    world.now = at(71);
    assert_eq!(world.step().action, Action::LookByTag);
    world.sight = absent(71);
    assert_eq!(world.step().action, Action::Release);
    // Made by this process, no Create sent: nothing can exist.
    let mut own = World::new(absent(25));
    own.held.deleting = Some(at(26));
    assert_eq!(own.step().action, Action::Release);
    own.memory.failed(Call::Create, &CallError::Unknown("timeout".into()), at(28), at(30));
    assert_eq!(own.step().action, Action::Wait, "a Create of ours got no answer");
}

/// As after a crash in a Delete that had landed.
#[test]
fn an_eni_deleted_by_an_earlier_process_is_let_go_after_a_look_by_id_that_cannot_be_lag() {
    let mut world = World::new(absent(25));
    world.memory.made_here = false;
    world.held.deleting = Some(at(8));
    world.held.status.eni_id = Some(eni(1).id.to_string());
    assert_eq!(world.step().action, Action::Wait);
    world.now = at(71);
    assert_eq!(world.step().action, Action::LookById(eni(1).id));
    world.sight = Sight::Absent { by_tag: at(25), by_id: Some(at(71)), deleted: None };
    assert_eq!(world.step().action, Action::Release);
}

#[test]
fn a_terminated_instance_gets_no_detach_but_looks_until_ec2_lets_go() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.held.deleting = Some(at(25));
    world.instance = Some(InstanceLook::first(crate::instance::InstanceState::Terminated, at(26)));
    world.now = at(3);
    assert_eq!(world.step().action, Action::Wait);
    world.now = at(30);
    assert_eq!(world.step().action, Action::LookById(eni(1).id));
    world.sight = seen(None);
    assert!(matches!(world.step().action, Action::Delete { .. }));
}

#[test]
fn a_call_without_a_token_that_got_no_answer_is_looked_after_before_it_is_repeated() {
    for (call, sight) in [(Call::Detach, seen(Some(AttachmentState::Attached))), (Call::Delete, seen(None))] {
        let mut world = World::new(sight);
        world.held.deleting = Some(at(25));
        world.memory.failed(call, &CallError::Unknown("timeout".into()), at(30), at(40));
        world.now = at(45);
        assert_eq!(world.step().action, Action::LookById(eni(1).id), "{call:?}");
        let Sight::Seen(seen) = &mut world.sight else { unreachable!() };
        seen.shown_at = at(46);
        world.now = at(47);
        assert!(matches!(world.step().action, Action::Detach { .. } | Action::Delete { .. }), "{call:?}");
    }
}
