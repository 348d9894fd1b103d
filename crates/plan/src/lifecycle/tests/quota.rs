//! What is reported while gates hold a Create back.

use super::*;

#[test]
fn an_own_failure_is_reported_whatever_the_quota_gate_holds_back() {
    let mut world = World::new(absent(25));
    let refused = CallError::Answered { code: crate::gates::quota::CODE.into(), message: String::new() };
    world.fail(Call::Create, "InsufficientFreeAddressesInSubnet", "");
    world.quota.answered("another", at(28), &Err(refused), at(29));
    world.now = at(300);
    let ready = |step: &Step| step.status.conditions.iter().find(|c| c.type_ == types::READY).unwrap().reason.clone();
    assert_eq!(ready(&world.step()), "SubnetFull");
    world.quota.freed();
    assert_eq!(ready(&world.step()), "SubnetFull");
}

#[test]
fn all_creates_wait_for_the_quota_and_report_it() {
    let mut world = World::new(absent(25));
    let refused =
        CallError::Answered { code: crate::gates::quota::CODE.into(), message: "Maximum of 5000 reached.".into() };
    world.quota.answered("another", at(28), &Err(refused.clone()), at(29));
    let waiting = world.step();
    assert_eq!((waiting.action, waiting.recheck), (Action::Wait, Some(at(629))));
    assert_eq!(waiting.status.phase, Phase::Blocked);
    let ready = waiting.status.conditions.iter().find(|c| c.type_ == types::READY).unwrap();
    assert_eq!(ready.reason, "LimitExceeded");
    assert!(ready.message.contains("Maximum of 5000 reached. Raise the quota"), "{}", ready.message);
    // An ENIAttachment that was refused itself waits as long as the others.
    world.call_history.failed(Call::Create, &refused, at(29));
    assert_eq!((world.step().action, world.step().recheck), (Action::Wait, Some(at(629))));
    world.quota.freed();
    // The refused Create may have ignored its token. No Create follows before a lookup proves that no ENI was made.
    assert_eq!(world.step().action, Action::Wait);
    world.call_history.create_unknown = None;
    assert!(matches!(world.step().action, Action::Create { .. }));
    // If the gate knows no refusal, the ENIAttachment's own call history counts.
    world.quota = QuotaGate::default();
    assert_eq!(world.step().action, Action::Wait);
}

/// The quota gate lets one call try from time to time, and then the permission gate holds that call back.
#[test]
fn the_report_does_not_depend_on_the_gate_that_holds_the_create_back() {
    let mut world = World::new(absent(25));
    let refused =
        CallError::Answered { code: crate::gates::quota::CODE.into(), message: "Maximum of 5000 reached.".into() };
    world.quota.answered("another", at(28), &Err(refused), at(29));
    let denied = CallError::Answered { code: "UnauthorizedOperation".into(), message: "no".into() };
    for uid in ["a", "b", "c"] {
        let mut call_history = CallHistory::made(at(0));
        call_history.failed(Call::Create, &denied, at(29));
        world.permissions.answered(uid, Call::Create, &Err(denied.clone()), call_history.failure.as_ref(), at(29));
    }
    let first = world.step();
    assert_eq!((first.action, first.status.phase), (Action::Wait, Phase::Blocked));
    world.attachment.status = first.status.clone();
    world.quota.freed();
    let next = world.step();
    assert_eq!((next.action, &next.status), (Action::Wait, &first.status));
    // The status stays also while the Create is tried, because the Create may be withdrawn.
    world.now = at(100);
    let tries = world.step();
    assert!(matches!(tries.action, Action::Create { .. }), "{:?}", tries.action);
    assert_eq!(tries.status, first.status);
}
