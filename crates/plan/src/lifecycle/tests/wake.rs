//! A user asks for a new try: the back-off of the object's calls ends once, the gates of the quota and of permissions let one call
//! try, and rate limits stay.

use super::*;
use crate::gates::quota;
use crate::observed::ObservedSubnet;
use crate::string_map::StringMap;

fn creates(world: &World) -> bool {
    matches!(world.step().action, Action::Create { .. })
}

#[test]
fn a_request_ends_the_wait_once_and_the_back_off_goes_on_after_a_failed_try() {
    let mut world = World::new(absent(25));
    world.fail(Call::Create, "NeverHeardOf", "no");
    world.now = at(100);
    assert_eq!(world.step().action, Action::Wait);
    world.call_history.wake(at(100));
    assert!(creates(&world));
    world.now = at(101);
    world.fail(Call::Create, "NeverHeardOf", "no");
    world.now = at(400);
    assert_eq!(world.step().action, Action::Wait, "the request was for one try");
    world.call_history.wake(at(400));
    assert!(creates(&world));
}

#[test]
fn a_request_right_after_a_failure_waits_for_a_second() {
    let mut world = World::new(absent(25));
    world.fail(Call::Create, "NeverHeardOf", "no");
    world.now = at(30) + jiff::SignedDuration::from_millis(500);
    world.call_history.wake(world.now);
    let step = world.step();
    assert_eq!((step.action, step.recheck), (Action::Wait, Some(at(31))));
    world.now = at(31);
    assert!(creates(&world));
}

fn refused(code: &str) -> CallError {
    CallError::Answered { code: code.into(), message: String::new() }
}

#[test]
fn a_request_lets_one_create_try_while_the_quota_is_used_up() {
    for has_failed in [true, false] {
        let mut world = World::new(absent(25));
        world.quota.answered("another", at(28), &Err(refused(quota::CODE)), at(29));
        if has_failed {
            world.call_history.failed(Call::Create, &refused(quota::CODE), at(29));
        }
        // A lookup that proves that the refused Create made no ENI.
        world.observation = absent(100);
        world.now = at(100);
        assert_eq!(world.step().action, Action::Wait, "{has_failed}");
        world.call_history.wake(at(100));
        assert!(creates(&world), "{has_failed}");
        world.quota.sent(&world.attachment.uid, at(100));
        world.quota.answered(&world.attachment.uid, at(100), &Err(refused(quota::CODE)), at(101));
        world.call_history.failed(Call::Create, &refused(quota::CODE), at(101));
        world.now = at(200);
        world.observation = absent(200);
        let waits = world.step();
        assert_eq!((waits.action, waits.recheck), (Action::Wait, Some(at(701))), "the request was for one try");
    }
}

#[test]
fn a_request_lets_one_call_try_while_a_permission_is_missing() {
    let mut world = World::new(absent(25));
    let denied = refused("UnauthorizedOperation");
    let fail = |world: &mut World, seconds| {
        world.call_history.failed(Call::Create, &denied, at(seconds));
        let failure = world.call_history.failure.clone();
        let uid = world.attachment.uid.clone();
        world.permissions.answered(&uid, Call::Create, &Err(denied.clone()), failure.as_ref(), at(seconds));
    };
    (0..4).for_each(|_| fail(&mut world, 29));
    world.now = at(50);
    assert_eq!(world.step().action, Action::Wait, "one call a minute tries for all that lack the permission");
    world.call_history.wake(at(50));
    assert!(creates(&world));
    world.permissions.sent(Call::Create, at(50));
    fail(&mut world, 51);
    world.now = at(60);
    assert_eq!(world.step().action, Action::Wait, "the request was for one try");

    // Others were refused, and this ENIAttachment has not tried yet.
    let mut world = World::new(absent(25));
    let mut history = CallHistory::made(at(0));
    (0..4).for_each(|_| history.failed(Call::Create, &denied, at(29)));
    for uid in ["x", "y", "z"] {
        world.permissions.answered(uid, Call::Create, &Err(denied.clone()), history.failure.as_ref(), at(29));
    }
    world.now = at(50);
    assert_eq!(world.step().action, Action::Wait);
    world.call_history.wake(at(50));
    assert!(creates(&world));
}

#[test]
fn a_request_does_not_shorten_the_wait_that_a_throttling_answer_asks_for() {
    let mut world = World::new(absent(25));
    for _ in 0..12 {
        world.fail(Call::Create, "RequestLimitExceeded", "slow down");
    }
    world.now = at(32);
    world.call_history.wake(at(32));
    assert_eq!(world.step().action, Action::Wait);
}

#[test]
fn a_request_describes_a_full_subnet_at_once_and_sends_no_create_before_it_has_room() {
    let id = SubnetId::parse("subnet-0f59b4f14737be9ad").unwrap();
    let described = |free, seconds| ObservedSubnet {
        id: id.clone(),
        zone: "z1".into(),
        outpost: None,
        vpc: "vpc-1".into(),
        cidr: "10.0.0.0/24".into(),
        owner: String::new(),
        name: None,
        tags: StringMap::default(),
        tags_since: None,
        free_addresses: free,
        grown: None,
        as_of: at(seconds),
    };
    let mut world = World::new(absent(25));
    world.fail(Call::Create, "InsufficientFreeAddressesInSubnet", "full");
    world.catalog.subnets = [(id.clone(), described(0, 200))].into();
    world.now = at(210);
    assert_eq!(world.step().action, Action::Wait);
    world.call_history.wake(at(210));
    assert_eq!(world.step().action, Action::LookupSubnet(id.clone()));
    world.catalog.subnets = [(id.clone(), described(0, 211))].into();
    world.now = at(212);
    assert_eq!(world.step().action, Action::Wait);
    world.catalog.subnets = [(id.clone(), described(1, 211))].into();
    assert!(creates(&world));
}

#[test]
fn a_request_shortens_the_wait_before_what_others_undo_is_repaired_once() {
    let mut call_history = CallHistory::made(at(10));
    for n in 0..6 {
        call_history.repairs.attached_again(at(30 + n));
    }
    assert_eq!(call_history.repairs.detached(at(40)), Some((6, at(67))));
    call_history.wake(at(40));
    assert_eq!(call_history.repairs.detached(at(40)), Some((6, at(36))));
    call_history.repairs.attached_again(at(41));
    assert_eq!(call_history.repairs.detached(at(41)), Some((7, at(105))));
}
