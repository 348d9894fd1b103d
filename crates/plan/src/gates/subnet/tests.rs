//! Tests of the gate for full subnets.

use super::*;
use crate::assign::tests::{at, new_attachment};
use multi_eni_api::ids::SubnetId;

const COOLDOWN: SignedDuration = SignedDuration::from_secs(120);
const SUBNET: &str = "subnet-0f59b4f14737be9ad";

fn refusal() -> Result<(), CallError> {
    Err(CallError::Answered { code: "InsufficientFreeAddressesInSubnet".into(), message: "full".into() })
}

fn failure(seconds: i64) -> Failure {
    let mut call_history = CallHistory::made(at(0));
    call_history.failed(Call::Create, &refusal().unwrap_err(), at(seconds));
    call_history.failure.unwrap()
}

fn observed_subnet(free_addresses: i32, seconds: i64) -> ObservedSubnet {
    ObservedSubnet {
        id: SubnetId::parse(SUBNET).unwrap(),
        zone: "z1".into(),
        outpost: None,
        vpc: "vpc-1".into(),
        cidr: "10.0.0.0/28".into(),
        owner: String::new(),
        tags: Default::default(),
        tags_since: None,
        name: None,
        free_addresses,
        grown: None,
        as_of: at(seconds),
    }
}

fn request() -> EniRequest {
    EniRequest { subnet_id: SUBNET.into(), ..EniRequest::clone(&new_attachment("n0", 1, false).request) }
}

/// Sends the Creates of 55 waiting ENIAttachments that may be sent at this moment; returns their UIDs.
fn wave(subnets: &mut SubnetGate, observed_subnet: &ObservedSubnet, request: &EniRequest, now: i64) -> Vec<String> {
    let mut sent = Vec::new();
    for n in 0..55 {
        if subnets.judge(request, Some(observed_subnet), at(now), COOLDOWN) == SubnetDecision::Try {
            subnets.sent(&n.to_string(), request);
            sent.push(n.to_string());
        }
    }
    sent
}

#[test]
fn without_a_refusal_as_many_creates_are_sent_as_the_describe_shows_addresses() {
    let request = request();
    let mut subnets = SubnetGate::default();
    let sent = wave(&mut subnets, &observed_subnet(5, 0), &request, 1);
    assert_eq!(sent.len(), 5);
    let shown = observed_subnet(5, 0);
    assert_eq!(subnets.judge(&request, Some(&shown), at(2), COOLDOWN), SubnetDecision::Wait(at(120)));
    assert_eq!(subnets.standing(&request, Some(&shown)), Some(Standing::Busy));
    for uid in &sent[..4] {
        subnets.answered(uid, &request, &Ok(()), None, at(3));
    }
    // One Create fails for another reason: its address is free for the next.
    assert!(subnets.answered(&sent[4], &request, &Err(CallError::NotSent("lost".into())), None, at(3)));
    let next = wave(&mut subnets, &shown, &request, 4);
    assert_eq!(next.len(), 1);
    subnets.answered(&next[0], &request, &Ok(()), None, at(5));
    assert_eq!(subnets.judge(&request, Some(&shown), at(120), COOLDOWN), SubnetDecision::Lookup);
    assert_eq!(subnets.standing(&request, Some(&shown)), Some(Standing::Short));
    // A later Describe includes the addresses that were taken.
    assert_eq!(wave(&mut subnets, &observed_subnet(2, 120), &request, 121).len(), 2);
    let none = ObservedSubnet { cidr: String::new(), ..observed_subnet(0, 0) };
    assert_eq!(SubnetGate::default().judge(&request, Some(&none), at(1), COOLDOWN), SubnetDecision::Try);
    assert_eq!(SubnetGate::default().judge(&request, None, at(1), COOLDOWN), SubnetDecision::Try);
}

fn full(request: &EniRequest) -> SubnetGate {
    let mut subnets = SubnetGate::default();
    for n in 0..55 {
        subnets.answered(&n.to_string(), request, &refusal(), Some(&failure(1)), at(1));
    }
    subnets
}

#[test]
fn one_address_that_becomes_free_permits_one_create() {
    let request = request();
    let mut subnets = full(&request);
    assert_eq!((subnets.closed(), SubnetGate::default().closed()), (1, 0));
    assert_eq!(
        subnets.judge(&request, Some(&observed_subnet(9, 0)), at(2), COOLDOWN),
        SubnetDecision::Lookup,
        "the Describe is older than the refusal"
    );
    assert_eq!(wave(&mut subnets, &observed_subnet(0, 100), &request, 100), Vec::<String>::new());
    let sent = wave(&mut subnets, &observed_subnet(1, 200), &request, 200);
    assert_eq!(sent.len(), 1);
    subnets.answered(&sent[0], &request, &Ok(()), None, at(201));
    assert_eq!(wave(&mut subnets, &observed_subnet(1, 200), &request, 202).len(), 0, "the address is taken");
    assert_eq!(wave(&mut subnets, &observed_subnet(7, 300), &request, 300).len(), 7);
    let other = EniRequest { subnet_id: "subnet-00000002".into(), ..request };
    assert_eq!(subnets.judge(&other, None, at(300), COOLDOWN), SubnetDecision::Try, "other subnets do not wait");
}

#[test]
fn a_subnet_without_a_free_block_still_gives_single_addresses() {
    let blocks = EniRequest { ipv4_prefix_count: Some(1), ..request() };
    let subnets = full(&blocks);
    let seen = observed_subnet(100, 0);
    assert_eq!(subnets.judge(&blocks, Some(&seen), at(2), COOLDOWN), SubnetDecision::Lookup);
    assert_eq!(subnets.judge(&request(), Some(&seen), at(2), COOLDOWN), SubnetDecision::Try);
    assert_eq!(subnets.standing(&request(), Some(&seen)), None);
}

#[test]
fn a_block_counts_as_sixteen_addresses() {
    let request = EniRequest { ipv4_prefix_count: Some(1), ..request() };
    let mut subnets = full(&request);
    assert_eq!(wave(&mut subnets, &observed_subnet(16, 100), &request, 100).len(), 0);
    assert_eq!(wave(&mut subnets, &observed_subnet(35, 200), &request, 200).len(), 2);
}

/// Other clients may have filled the subnet since.
#[test]
fn ten_creates_may_rely_on_an_old_describe_before_the_next_describe() {
    let request = request();
    let mut subnets = SubnetGate::default();
    let old = observed_subnet(200, 0);
    assert_eq!(wave(&mut subnets, &old, &request, 119).len(), 55, "a young Describe");
    let mut subnets = SubnetGate::default();
    let sent = wave(&mut subnets, &old, &request, 3600);
    assert_eq!(sent.len(), 10);
    for uid in &sent {
        subnets.answered(uid, &request, &Ok(()), None, at(3601));
    }
    assert_eq!(subnets.judge(&request, Some(&old), at(3602), COOLDOWN), SubnetDecision::Lookup);
    assert_eq!(subnets.judge(&request, Some(&observed_subnet(190, 3602)), at(3603), COOLDOWN), SubnetDecision::Try);
}

/// All Creates that relied on the same Describe are refused at once.
#[test]
fn creates_sent_together_and_refused_in_spite_of_room_count_once() {
    let request = request();
    let mut subnets = full(&request);
    let seen = observed_subnet(8, 120);
    let sent = wave(&mut subnets, &seen, &request, 121);
    assert_eq!(sent.len(), 8);
    for uid in &sent {
        subnets.answered(uid, &request, &refusal(), Some(&failure(122)), at(122));
    }
    assert!(wave(&mut subnets, &observed_subnet(8, 240), &request, 361).is_empty());
    assert_eq!(wave(&mut subnets, &observed_subnet(8, 360), &request, 362).len(), 1, "twice the wait, not eight times");
}

/// A CIDR reservation keeps addresses that EC2 counts as free.
#[test]
fn after_refusals_in_spite_of_room_one_create_is_sent_with_growing_waits() {
    let request = request();
    let mut subnets = full(&request);
    let mut sent = Vec::new();
    for now in (100..3700).step_by(5) {
        let seen = observed_subnet(8, now - now % 120);
        for uid in wave(&mut subnets, &seen, &request, now) {
            sent.push(now);
            subnets.answered(&uid, &request, &refusal(), Some(&failure(now)), at(now));
        }
    }
    assert!((3..=8 + 8).contains(&sent.len()), "{sent:?}");
    // A success permits as many Creates as there is room for.
    let now = 3700 + 1000;
    let probe = wave(&mut subnets, &observed_subnet(8, now), &request, now);
    assert_eq!(probe.len(), 1);
    assert!(subnets.answered(&probe[0], &request, &Ok(()), None, at(now)));
    assert_eq!(wave(&mut subnets, &observed_subnet(8, now + 1), &request, now + 1).len(), 8);
}

#[test]
fn a_subnet_without_ipv4_is_not_full_because_of_its_count() {
    let request = request();
    let mut subnets = full(&request);
    let seen = ObservedSubnet { cidr: String::new(), ..observed_subnet(0, 300) };
    assert_eq!(wave(&mut subnets, &seen, &request, 300).len(), 1);
}

#[test]
fn a_new_process_restores_the_gate_from_the_statuses() {
    let call_history = || CallHistory { failure: Some(failure(1)), ..CallHistory::made(at(0)) };
    let (mut a, b) = (new_attachment("n0", 1, false), new_attachment("n1", 1, false));
    a.status.eni_id = None;
    a.request = request().into();
    let subnets = SubnetGate::from_histories([(&a, call_history()), (&b, CallHistory::made(at(0)))].into_iter());
    assert_eq!(subnets.judge(&request(), None, at(2), COOLDOWN), SubnetDecision::Lookup);
}
