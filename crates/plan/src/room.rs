//! Subnets that are full: as many Creates are tried as the subnet shows room for, and one at a time where one was refused in
//! spite of that. CIDR reservations keep addresses that `AvailableIpAddressCount` counts.

use crate::errors::{Call, CallError, Class, classify};
use crate::facts::SubnetFacts;
use crate::held::Held;
use crate::step::{Failure, Memory};
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::EniRequest;
use std::collections::BTreeMap;

/// After so many successes in a row the subnet is no longer full.
const ENOUGH: usize = 16;
/// The wait between probes doubles so often.
const DOUBLINGS: u32 = 3;

/// Full subnets, by ID.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Room {
    full: BTreeMap<String, Full>,
}

#[derive(Debug, Clone, PartialEq)]
struct Full {
    failure: Failure,
    /// UIDs of those whose Create has not been answered yet, and the addresses that each needs.
    trying: BTreeMap<String, i32>,
    /// What was taken since the refusal, and when.
    taken: Vec<(Timestamp, i32)>,
    /// How often in a row one was refused although there seemed to be room.
    in_spite: u32,
}

/// What one may do.
#[derive(Debug, PartialEq)]
pub enum Verdict<'a> {
    /// Create.
    Try,
    /// Look at the subnet first.
    Look,
    /// Wait; this is what was refused last.
    Wait(&'a Failure, Timestamp),
}

/// IPv4 addresses that a request takes from its subnet; a prefix is a block of 16.
pub fn needed(request: &EniRequest) -> i32 {
    let blocks = request.ipv4_prefix_count.unwrap_or(0);
    request.private_ip_count.unwrap_or(1).max(1).saturating_add(blocks.saturating_mul(16))
}

impl Room {
    /// What the statuses of ENIAttachments tell a process that has just begun.
    pub fn told<'a>(memories: impl Iterator<Item = (&'a Held, Memory)>) -> Self {
        let mut room = Self::default();
        for (held, memory) in memories {
            let full = memory.failure.filter(|failure| failure.call == Call::Create && is_full(failure.class));
            if let Some(failure) = full.filter(|_| held.awaits_its_eni()) {
                room.refuse(&held.request.subnet_id, failure);
            }
        }
        room
    }

    /// Whether a Create for this request may be sent now. `cooldown`: how often the subnet is looked at.
    pub fn judge(
        &self,
        request: &EniRequest,
        facts: Option<&SubnetFacts>,
        now: Timestamp,
        cooldown: SignedDuration,
    ) -> Verdict<'_> {
        let Some(full) = self.full.get(&request.subnet_id) else { return Verdict::Try };
        let Some(facts) = facts.filter(|facts| facts.as_of > full.failure.at) else { return Verdict::Look };
        let after = |at: Timestamp, wait| at.saturating_add(wait).unwrap_or(Timestamp::MAX);
        // A subnet without IPv4 has no count that could tell.
        let tells = !facts.cidr.is_empty();
        if tells && (facts.free_addresses < needed(request) || full.in_spite == 0) {
            let taken: i32 = full.taken.iter().filter(|(at, _)| *at >= facts.as_of).map(|(_, needs)| needs).sum();
            let asked: i32 = full.trying.values().sum();
            if facts.free_addresses - taken - asked >= needed(request) {
                return Verdict::Try;
            }
            let again = after(facts.as_of, cooldown);
            return if now >= again { Verdict::Look } else { Verdict::Wait(&full.failure, again) };
        }
        let pause = cooldown.checked_mul(1 << full.in_spite.min(DOUBLINGS)).unwrap_or(cooldown);
        let next = after(full.failure.at, pause);
        if full.trying.is_empty() && now >= next {
            return Verdict::Try;
        }
        Verdict::Wait(&full.failure, if now < next { next } else { after(now, cooldown) })
    }

    /// A Create is sent.
    pub fn sent(&mut self, uid: &str, request: &EniRequest) {
        if let Some(full) = self.full.get_mut(&request.subnet_id) {
            full.trying.insert(uid.to_owned(), needed(request));
        }
    }

    /// A Create has ended; `failure` is what is remembered of it. True if others may try now.
    pub fn answered(
        &mut self,
        uid: &str,
        request: &EniRequest,
        result: &Result<(), CallError>,
        failure: Option<&Failure>,
        now: Timestamp,
    ) -> bool {
        let id = &request.subnet_id;
        let tried = self.full.get_mut(id).and_then(|full| full.trying.remove(uid));
        match result {
            Err(error) if is_full(classify(Call::Create, error)) => {
                if let Some(failure) = failure {
                    self.refuse(id, failure.clone());
                }
                if let Some(full) = self.full.get_mut(id).filter(|_| tried.is_some()) {
                    full.in_spite += 1;
                }
                false
            }
            Err(_) => tried.is_some(),
            Ok(()) => {
                let Some(full) = self.full.get_mut(id) else { return false };
                full.taken.push((now, needed(request)));
                let held_back = std::mem::take(&mut full.in_spite) > 0;
                if full.taken.len() >= ENOUGH {
                    self.full.remove(id);
                    return true;
                }
                held_back
            }
        }
    }

    /// Its ENIAttachment is gone: what became of its Create nobody is told.
    pub fn forget(&mut self, uid: &str) {
        for full in self.full.values_mut() {
            full.trying.remove(uid);
        }
    }

    fn refuse(&mut self, subnet: &str, failure: Failure) {
        let new = Full { failure: failure.clone(), trying: BTreeMap::new(), taken: Vec::new(), in_spite: 0 };
        let full = self.full.entry(subnet.to_owned()).or_insert(new);
        if full.failure.at <= failure.at {
            full.failure = failure;
            full.taken.clear();
        }
    }
}

fn is_full(class: Class) -> bool {
    class == Class::SubnetFull
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assign::tests::{at, held};
    use multi_eni_api::ids::SubnetId;

    const COOLDOWN: SignedDuration = SignedDuration::from_secs(120);
    const SUBNET: &str = "subnet-0f59b4f14737be9ad";

    fn refusal() -> Result<(), CallError> {
        Err(CallError::Answered { code: "InsufficientFreeAddressesInSubnet".into(), message: "full".into() })
    }

    fn failure(seconds: i64) -> Failure {
        let mut memory = Memory::made(at(0));
        memory.failed(Call::Create, &refusal().unwrap_err(), at(seconds), at(seconds));
        memory.failure.unwrap()
    }

    fn facts(free_addresses: i32, seconds: i64) -> SubnetFacts {
        SubnetFacts {
            id: SubnetId::parse(SUBNET).unwrap(),
            zone: "z1".into(),
            vpc: "vpc-1".into(),
            cidr: "10.0.0.0/28".into(),
            name: None,
            free_addresses,
            grown: None,
            as_of: at(seconds),
        }
    }

    fn request() -> EniRequest {
        EniRequest { subnet_id: SUBNET.into(), ..held("n0", 1, false).request }
    }

    /// How many of 55 that wait send a Create at this moment.
    fn wave(room: &mut Room, facts: &SubnetFacts, request: &EniRequest, now: i64) -> Vec<String> {
        let mut sent = Vec::new();
        for n in 0..55 {
            if room.judge(request, Some(facts), at(now), COOLDOWN) == Verdict::Try {
                room.sent(&n.to_string(), request);
                sent.push(n.to_string());
            }
        }
        sent
    }

    fn full(request: &EniRequest) -> Room {
        let mut room = Room::default();
        for n in 0..55 {
            room.answered(&n.to_string(), request, &refusal(), Some(&failure(1)), at(1));
        }
        room
    }

    #[test]
    fn one_address_that_becomes_free_is_one_create() {
        let request = request();
        let mut room = full(&request);
        assert_eq!(room.judge(&request, Some(&facts(9, 0)), at(2), COOLDOWN), Verdict::Look, "an old look");
        assert_eq!(wave(&mut room, &facts(0, 100), &request, 100), Vec::<String>::new());
        let sent = wave(&mut room, &facts(1, 200), &request, 200);
        assert_eq!(sent.len(), 1);
        room.answered(&sent[0], &request, &Ok(()), None, at(201));
        assert_eq!(wave(&mut room, &facts(1, 200), &request, 202).len(), 0, "it is taken");
        assert_eq!(wave(&mut room, &facts(7, 300), &request, 300).len(), 7);
        let other = EniRequest { subnet_id: "subnet-00000002".into(), ..request };
        assert_eq!(room.judge(&other, None, at(300), COOLDOWN), Verdict::Try, "other subnets do not wait");
    }

    #[test]
    fn who_needs_a_block_counts_sixteen() {
        let request = EniRequest { ipv4_prefix_count: Some(1), ..request() };
        let mut room = full(&request);
        assert_eq!(wave(&mut room, &facts(16, 100), &request, 100).len(), 0);
        assert_eq!(wave(&mut room, &facts(35, 200), &request, 200).len(), 2);
    }

    /// A CIDR reservation keeps addresses that are counted as free.
    #[test]
    fn what_is_refused_in_spite_of_room_is_tried_by_one_less_and_less_often() {
        let request = request();
        let mut room = full(&request);
        let mut sent = Vec::new();
        for now in (100..3700).step_by(5) {
            let seen = facts(8, now - now % 120);
            for uid in wave(&mut room, &seen, &request, now) {
                sent.push(now);
                room.answered(&uid, &request, &refusal(), Some(&failure(now)), at(now));
            }
        }
        assert!((3..=8 + 8).contains(&sent.len()), "{sent:?}");
        // What works lets as many try as there is room for.
        let now = 3700 + 1000;
        let probe = wave(&mut room, &facts(8, now), &request, now);
        assert_eq!(probe.len(), 1);
        assert!(room.answered(&probe[0], &request, &Ok(()), None, at(now)));
        assert_eq!(wave(&mut room, &facts(8, now + 1), &request, now + 1).len(), 8);
    }

    #[test]
    fn a_subnet_without_ipv4_is_not_full_by_its_count() {
        let request = request();
        let mut room = full(&request);
        let seen = SubnetFacts { cidr: String::new(), ..facts(0, 300) };
        assert_eq!(wave(&mut room, &seen, &request, 300).len(), 1);
    }

    #[test]
    fn a_new_process_reads_it_from_the_statuses() {
        let memory = || Memory { failure: Some(failure(1)), ..Memory::made(at(0)) };
        let (mut a, b) = (held("n0", 1, false), held("n1", 1, false));
        a.status.eni_id = None;
        a.request = request();
        let room = Room::told([(&a, memory()), (&b, Memory::made(at(0)))].into_iter());
        assert_eq!(room.judge(&request(), None, at(2), COOLDOWN), Verdict::Look);
    }
}
