//! Tests of what a process may send: `only-the-leader`, `budget`.

use super::*;
use crate::checker::budget::Budgets;
use crate::replica::{Machine, Process};
use multi_eni_plan::gates::quota;
use multi_eni_sim::clock::SimClock;
use multi_eni_sim::ec2::{Fault, Incoming, Loss};
use multi_eni_sim::kube::RequestInfo;
use std::sync::Arc;

/// The `number`th process of the first replica.
pub(super) fn process(number: u32) -> Process {
    let machine = Machine::new(SimClock::starting_at(Timestamp::UNIX_EPOCH), 0);
    Process::new(0, number, Arc::new(machine), false)
}

/// A call whose parameters differ from those of other numbers.
fn incoming(action: &str, number: u64) -> Incoming {
    Incoming {
        number,
        at: Timestamp::UNIX_EPOCH,
        action: action.to_owned(),
        parameters: [("NetworkInterfaceId".to_owned(), format!("eni-{number:08}"))].into(),
        user_agent: REPLICA.to_owned(),
    }
}

fn request(verb: &str, resource: &str) -> RequestInfo {
    RequestInfo {
        verb: verb.to_owned(),
        resource: resource.to_owned(),
        name: ATTACHMENT.to_owned(),
        ..RequestInfo::default()
    }
}

/// A process sent a renewal of the Lease at 1 s, and received the answer.
fn renewed(replicas: usize, holder: &str, taken: bool) -> World {
    let mut world = World::new(Setting { replicas, ..Setting::default() });
    world.state.sends_kube(1_000, &process(1), &request("update", "leases"));
    let lease = json!({ "metadata": { "name": "lease" }, "spec": { "holderIdentity": holder } });
    world.stores(1_500, REPLICA, "leases", lease);
    world.state.leases.answered(REPLICA, REPLICA, taken);
    world
}

#[test]
fn a_changing_request_that_could_end_after_the_lease_breaks_only_the_leader() {
    let calls = |mut world: World, at, action| {
        world.state.sends_ec2(at, &process(1), &incoming(action, 1));
        world
    };
    // The Lease lasts 15 s from when its renewal was sent; a call may take 8 s.
    let lead = || renewed(2, REPLICA, true);
    let late = calls(lead(), 8_000, "CreateNetworkInterface");
    breaks(&late, Invariant::OnlyTheLeader, "a1 sends CreateNetworkInterface, and its Lease ends at 16000 ms");
    holds(&calls(lead(), 7_999, "CreateNetworkInterface"));
    holds(&calls(lead(), 60_000, "DescribeNetworkInterfaces"));
    let refused = calls(renewed(2, REPLICA, false), 2_000, "CreateTags");
    breaks(&refused, Invariant::OnlyTheLeader, "its Lease ends at 0 ms");
    breaks(&calls(renewed(2, "b1", true), 2_000, "CreateTags"), Invariant::OnlyTheLeader, "b1 holds the Lease");
    breaks(&calls(renewed(2, "", true), 2_000, "CreateTags"), Invariant::OnlyTheLeader, "nobody holds the Lease");
    holds(&calls(renewed(1, "", false), 60_000, "CreateTags"));
    let writes = |at, verb, resource| {
        let mut world = lead();
        world.state.sends_kube(at, &process(1), &request(verb, resource));
        world
    };
    let late = writes(8_000, "patch", "eniattachments");
    breaks(&late, Invariant::OnlyTheLeader, "a1 sends patch eniattachments e1-1, and its Lease ends");
    holds(&writes(7_999, "patch", "eniattachments"));
    for reads in ["get", "list", "watch"] {
        holds(&writes(60_000, reads, "eniattachments"));
    }
    holds(&writes(60_000, "update", "leases"));
}

#[test]
fn calls_faster_than_the_budget_break_it() {
    let calls = |buckets_percent, at: fn(u64) -> (Millis, u32), count: u64| {
        let mut world = World::new(Setting { buckets_percent, ..Setting::default() });
        for number in 0..count {
            let (at, nth) = at(number);
            world.state.sends_ec2(at, &process(nth), &incoming("CreateNetworkInterface", number));
        }
        world
    };
    let mut unknown = World::new(Setting::default());
    unknown.state.sends_ec2(0, &process(1), &incoming("AssignPrivateIpAddresses", 1));
    breaks(&unknown, Invariant::Budget, "a1 calls AssignPrivateIpAddresses, which has no rate limit");
    // A bucket of 100, and one call of slack.
    breaks(
        &calls(100, |_| (0, 1), 102),
        Invariant::Budget,
        "a1 calls CreateNetworkInterface faster than its rate limit",
    );
    holds(&calls(100, |_| (0, 1), 101));
    holds(&calls(100, |number| (0, if number < 101 { 1 } else { 2 }), 202));
    breaks(&calls(10, |_| (0, 1), 12), Invariant::Budget, "faster than its rate limit");
    holds(&calls(10, |_| (0, 1), 11));
    // Four a second is 80 % of EC2's rate.
    breaks(&calls(100, |number| (number * 225, 1), 1_200), Invariant::Budget, "faster than its rate limit");
    holds(&calls(100, |number| (number * 250, 1), 1_200));
}

#[test]
fn the_very_same_request_again_and_again_breaks_the_budget() {
    let calls = |at: [Millis; 5], same: bool| {
        let mut world = World::new(Setting::default());
        for (number, at) in (0..).zip(at) {
            let call = incoming("DescribeNetworkInterfaces", if same { 0 } else { number });
            world.state.sends_ec2(at, &process(1), &call);
        }
        world
    };
    breaks(
        &calls([0, 0, 0, 0, 999], true),
        Invariant::Budget,
        "a1 sends the same request too often: DescribeNetworkInterfaces",
    );
    holds(&calls([0, 0, 0, 0, 1_000], true));
    holds(&calls([0, 0, 0, 0, 999], false));
    let writes = |last, verb| {
        let mut world = World::new(Setting::default());
        for at in [0, 0, 0, 0, 0, 0, 0, 0, last] {
            world.state.sends_kube(at, &process(1), &request(verb, "eniattachments"));
        }
        world
    };
    breaks(&writes(999, "patch"), Invariant::Budget, "a1 sends the same request too often: patch eniattachments e1-1");
    holds(&writes(1_000, "patch"));
    holds(&writes(999, "get"));
}

#[test]
fn a_create_that_the_quota_forbids_is_not_sent_again_before_the_quota_eases() {
    let refused = |actor: &str| CallRecord {
        outcome: Outcome::Refused(quota::CODE.to_owned()),
        ..call(actor, "CreateNetworkInterface")
    };
    let again = |at, actor: &str, between: &dyn Fn(&mut World)| {
        let mut world = World::new(Setting::default());
        world.state.ec2(0, &Happening::Landed(&refused(actor)));
        between(&mut world);
        world.state.ec2(at, &Happening::Landed(&refused(actor)));
        world
    };
    let words = "a1 sends another Create while the quota of ENIs is used up";
    breaks(&again(60_000, REPLICA, &|_| ()), Invariant::Budget, words);
    breaks(&again(579_999, REPLICA, &|_| ()), Invariant::Budget, words);
    holds(&again(59_999, REPLICA, &|_| ()));
    holds(&again(580_000, REPLICA, &|_| ()));
    holds(&again(60_000, KUBECTL, &|_| ()));
    for eased in ["CreateNetworkInterface", "DeleteNetworkInterface"] {
        let done = call(REPLICA, eased);
        holds(&again(60_000, REPLICA, &|world| world.state.ec2(1, &Happening::Landed(&done))));
    }
    holds(&again(60_000, REPLICA, &|world| world.state.quota_is_forgotten(REPLICA)));
    // The Delete took effect before the refusal, and its answer came after it: one more try.
    let deleted = call(REPLICA, "DeleteNetworkInterface");
    let mut world = World::new(Setting::default());
    world.state.ec2(0, &Happening::Landed(&deleted));
    for at in [100, 60_100] {
        world.state.ec2(at, &Happening::Landed(&refused(REPLICA)));
    }
    holds(&world);
    world.state.ec2(130_000, &Happening::Landed(&refused(REPLICA)));
    breaks(&world, Invariant::Budget, words);
    // No process received the second answer.
    let mut world = again(0, REPLICA, &|_| ());
    let fault = Some(Fault::LoseAnswer(Loss::Broken));
    world.state.ec2(60_000, &Happening::Landed(&CallRecord { fault, ..refused(REPLICA) }));
    holds(&world);
}

#[test]
fn a_request_for_a_new_try_permits_one_create_while_the_quota_is_used_up() {
    let mut budgets = Budgets::new(100, 0, Vec::new());
    assert!(budgets.quota_refuses(REPLICA, 0));
    budgets.new_try_is_requested();
    assert!(budgets.quota_refuses(REPLICA, 70_000));
    assert!(!budgets.quota_refuses(REPLICA, 80_000), "the request was for one try");
}

#[test]
fn a_frozen_process_may_not_know_of_the_quota() {
    let mut budgets = Budgets::new(100, 0, vec![9_000..72_000, 900_000..901_000]);
    assert!(budgets.quota_refuses(REPLICA, 10_000));
    assert!(budgets.quota_refuses(REPLICA, 73_000));
    assert!(!budgets.quota_refuses(REPLICA, 140_000), "it was awake the second time");
    let mut awake = Budgets::new(100, 0, vec![9_000..72_000, 900_000..901_000]);
    assert!(awake.quota_refuses(REPLICA, 8_999));
    assert!(!awake.quota_refuses(REPLICA, 73_000));
}
