//! Addresses of subnets: as many Creates are tried as a subnet shows room for, and one at a time where one was refused in spite of
//! that. CIDR reservations keep addresses that `AvailableIpAddressCount` counts.

use crate::attachment::Attachment;
use crate::ec2_errors::{Call, CallError, Class, classify};
use crate::failure::Failure;
use crate::lifecycle::CallHistory;
use crate::observed::ObservedSubnet;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::EniRequest;
use std::collections::{BTreeMap, VecDeque};

/// After so many successes in a row the subnet is no longer full.
const ENOUGH: usize = 16;
/// So many Creates may rest on a look that is old.
const BY_AN_OLD_LOOKUP: usize = 10;
/// The wait between probes doubles so often.
const DOUBLINGS: u32 = 3;

/// What was taken is known for so long: no look at a subnet that decides anything is older.
const KNOWN: SignedDuration = SignedDuration::from_mins(15);

/// What is refused together: a subnet, and whether whole blocks are asked for there. Where no block is left, single addresses may be.
type Pool = (String, bool);

fn pool(request: &EniRequest) -> Pool {
    (request.subnet_id.clone(), request.ipv4_prefix_count.is_some_and(|blocks| blocks > 0))
}

/// What this process takes of subnets, by ID, and where they are full.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SubnetGate {
    used: BTreeMap<String, Used>,
    full: BTreeMap<Pool, Full>,
}

/// What this process asks of a subnet.
#[derive(Debug, Clone, Default, PartialEq)]
struct Used {
    /// UIDs of those whose Create has not been answered yet.
    trying: BTreeMap<String, Try>,
    /// What was taken, and when.
    taken: VecDeque<(Timestamp, i32)>,
}

/// One Create that has not been answered yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Try {
    /// The addresses that it needs.
    needs: i32,
    /// When the subnet had last refused one, as it was sent.
    refused_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq)]
struct Full {
    failure: Failure,
    /// When one was last counted as refused in spite of room: of those that were sent together one counts.
    counted: Timestamp,
    /// Creates that have succeeded since the refusal.
    successes: usize,
    /// How often in a row one was refused although there seemed to be room.
    in_spite: u32,
}

impl Used {
    /// Addresses that are free, less what was taken since that look and what is being asked for.
    fn left(&self, facts: &ObservedSubnet) -> i32 {
        facts
            .free_addresses
            .saturating_sub(self.taken_since(facts))
            .saturating_sub(self.trying.values().map(|one| one.needs).sum())
    }

    /// Whether so many have gone by this look, which is older than `valid`, that others may have filled the subnet meanwhile.
    fn outgrows(&self, facts: &ObservedSubnet, now: Timestamp, valid: SignedDuration) -> bool {
        let taken = self.taken.iter().rev().take_while(|(at, _)| now.duration_since(*at) < valid).count();
        now.duration_since(facts.as_of) >= valid && self.trying.len() + taken >= BY_AN_OLD_LOOKUP
    }

    /// Addresses that were taken since that look.
    fn taken_since(&self, facts: &ObservedSubnet) -> i32 {
        self.taken.iter().rev().take_while(|(at, _)| *at >= facts.as_of).map(|(_, needs)| needs).sum()
    }
}

/// What one may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Create.
    Try,
    /// Look at the subnet first.
    Lookup,
    /// Wait until then.
    Wait(Timestamp),
}

/// What keeps a request from its subnet.
#[derive(Debug, PartialEq)]
pub enum Standing<'a> {
    /// This was refused last, to it or to another one.
    Refused(&'a Failure),
    /// The subnet shows fewer free addresses than are needed, beside those that others of this cluster have got since.
    Short,
    /// There is room, but others are asking for it at this moment.
    Busy,
}

/// IPv4 addresses that a request takes from its subnet; a prefix is a block of 16.
pub fn needed(request: &EniRequest) -> i32 {
    let blocks = request.ipv4_prefix_count.unwrap_or(0);
    request.private_ip_count.unwrap_or(1).max(1).saturating_add(blocks.saturating_mul(16))
}

impl SubnetGate {
    /// What the statuses of ENIAttachments tell a process that has just begun.
    pub fn from_histories<'a>(call_histories: impl Iterator<Item = (&'a Attachment, CallHistory)>) -> Self {
        let mut subnets = Self::default();
        for (attachment, call_history) in call_histories {
            let full = call_history.failure.filter(|failure| failure.call == Call::Create && is_full(failure.class));
            if let Some(failure) = full.filter(|_| attachment.awaits_its_eni()) {
                subnets.refuse(pool(&attachment.request), failure);
            }
        }
        subnets
    }

    /// Whether a Create for this request may be sent now. `cooldown`: how often the subnet is looked at.
    pub fn judge(
        &self,
        request: &EniRequest,
        facts: Option<&ObservedSubnet>,
        now: Timestamp,
        cooldown: SignedDuration,
    ) -> Verdict {
        let after = |at: Timestamp, wait| at.saturating_add(wait).unwrap_or(Timestamp::MAX);
        let Some(full) = self.full.get(&pool(request)) else {
            let Some(facts) = facts else { return Verdict::Try };
            let used = self.used.get(&request.subnet_id);
            if tells(facts) && used.is_some_and(|used| used.outgrows(facts, now, cooldown)) {
                return Verdict::Lookup;
            }
            if !self.is_short(request, facts) {
                return Verdict::Try;
            }
            let until = after(facts.as_of, cooldown);
            return if now >= until { Verdict::Lookup } else { Verdict::Wait(until) };
        };
        let Some(facts) = facts.filter(|facts| facts.as_of > full.failure.at) else { return Verdict::Lookup };
        if tells(facts) && (facts.free_addresses < needed(request) || full.in_spite == 0) {
            if !self.is_short(request, facts) {
                return Verdict::Try;
            }
            let again = after(facts.as_of, cooldown);
            return if now >= again { Verdict::Lookup } else { Verdict::Wait(again) };
        }
        let pause = cooldown.checked_mul(1 << full.in_spite.min(DOUBLINGS)).unwrap_or(cooldown);
        let next = after(full.failure.at, pause);
        if self.used.get(&request.subnet_id).is_none_or(|used| used.trying.is_empty()) && now >= next {
            return Verdict::Try;
        }
        Verdict::Wait(if now < next { next } else { after(now, cooldown) })
    }

    /// What keeps this request waiting, whether the subnet is being looked at or not.
    pub fn standing(&self, request: &EniRequest, facts: Option<&ObservedSubnet>) -> Option<Standing<'_>> {
        match self.full.get(&pool(request)) {
            Some(full) => Some(Standing::Refused(&full.failure)),
            None => {
                let facts = facts.filter(|facts| self.is_short(request, facts))?;
                let taken = self.used.get(&request.subnet_id).map_or(0, |used| used.taken_since(facts));
                let has_room = facts.free_addresses.saturating_sub(taken) >= needed(request);
                Some(if has_room { Standing::Busy } else { Standing::Short })
            }
        }
    }

    /// Whether the subnet shows fewer free addresses than are needed.
    fn is_short(&self, request: &EniRequest, facts: &ObservedSubnet) -> bool {
        let used = self.used.get(&request.subnet_id);
        let left = used.map_or(facts.free_addresses, |used| used.left(facts));
        tells(facts) && left < needed(request)
    }

    /// A Create is sent.
    pub fn sent(&mut self, uid: &str, request: &EniRequest) {
        let refused_at = self.full.get(&pool(request)).map(|full| full.failure.at);
        let used = self.used.entry(request.subnet_id.clone()).or_default();
        used.trying.insert(uid.to_owned(), Try { needs: needed(request), refused_at });
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
        let pool = pool(request);
        let used = self.used.entry(request.subnet_id.clone()).or_default();
        let tried = used.trying.remove(uid);
        if result.is_ok() {
            used.taken.push_back((now, needed(request)));
        }
        let is_forgotten = |at: Timestamp| at.saturating_add(KNOWN).is_ok_and(|end| end < now);
        while used.taken.front().is_some_and(|(at, _)| is_forgotten(*at)) {
            used.taken.pop_front();
        }
        match result {
            Err(error) if is_full(classify(Call::Create, error)) => {
                if let Some(failure) = failure {
                    self.refuse(pool.clone(), failure.clone());
                }
                let knew = tried.and_then(|one| one.refused_at);
                if let Some(full) = self.full.get_mut(&pool).filter(|full| knew.is_some_and(|at| at >= full.counted)) {
                    full.in_spite += 1;
                    full.counted = now;
                }
                false
            }
            // What it would have taken is there for others.
            Err(_) => tried.is_some(),
            Ok(()) => {
                let Some(full) = self.full.get_mut(&pool) else { return false };
                full.successes += 1;
                let held_back = std::mem::take(&mut full.in_spite) > 0;
                if full.successes >= ENOUGH {
                    self.full.remove(&pool);
                    return true;
                }
                held_back
            }
        }
    }

    /// Its ENIAttachment is gone: what became of its Create nobody is told.
    pub fn forget(&mut self, uid: &str) {
        for used in self.used.values_mut() {
            used.trying.remove(uid);
        }
    }

    fn refuse(&mut self, pool: Pool, failure: Failure) {
        let new = Full { counted: failure.at, failure: failure.clone(), successes: 0, in_spite: 0 };
        let full = self.full.entry(pool).or_insert(new);
        if full.failure.at <= failure.at {
            full.failure = failure;
            full.successes = 0;
        }
    }
}

/// A subnet without IPv4 has no count that could tell.
fn tells(facts: &ObservedSubnet) -> bool {
    !facts.cidr.is_empty()
}

fn is_full(class: Class) -> bool {
    class == Class::SubnetFull
}

#[cfg(test)]
mod tests {
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

    fn facts(free_addresses: i32, seconds: i64) -> ObservedSubnet {
        ObservedSubnet {
            id: SubnetId::parse(SUBNET).unwrap(),
            zone: "z1".into(),
            vpc: "vpc-1".into(),
            cidr: "10.0.0.0/28".into(),
            owner: String::new(),
            name: None,
            free_addresses,
            grown: None,
            as_of: at(seconds),
        }
    }

    fn request() -> EniRequest {
        EniRequest { subnet_id: SUBNET.into(), ..new_attachment("n0", 1, false).request }
    }

    /// How many of 55 that wait send a Create at this moment.
    fn wave(subnets: &mut SubnetGate, facts: &ObservedSubnet, request: &EniRequest, now: i64) -> Vec<String> {
        let mut sent = Vec::new();
        for n in 0..55 {
            if subnets.judge(request, Some(facts), at(now), COOLDOWN) == Verdict::Try {
                subnets.sent(&n.to_string(), request);
                sent.push(n.to_string());
            }
        }
        sent
    }

    #[test]
    fn before_any_refusal_as_many_try_as_a_look_shows_room_for() {
        let request = request();
        let mut subnets = SubnetGate::default();
        let sent = wave(&mut subnets, &facts(5, 0), &request, 1);
        assert_eq!(sent.len(), 5);
        let shown = facts(5, 0);
        assert_eq!(subnets.judge(&request, Some(&shown), at(2), COOLDOWN), Verdict::Wait(at(120)));
        assert_eq!(subnets.standing(&request, Some(&shown)), Some(Standing::Busy));
        for uid in &sent[..4] {
            subnets.answered(uid, &request, &Ok(()), None, at(3));
        }
        // One is refused for another reason: its address is there for the next.
        assert!(subnets.answered(&sent[4], &request, &Err(CallError::NotSent("lost".into())), None, at(3)));
        let next = wave(&mut subnets, &shown, &request, 4);
        assert_eq!(next.len(), 1);
        subnets.answered(&next[0], &request, &Ok(()), None, at(5));
        assert_eq!(subnets.judge(&request, Some(&shown), at(120), COOLDOWN), Verdict::Lookup);
        assert_eq!(subnets.standing(&request, Some(&shown)), Some(Standing::Short));
        // A later look counts what was taken.
        assert_eq!(wave(&mut subnets, &facts(2, 120), &request, 121).len(), 2);
        let none = ObservedSubnet { cidr: String::new(), ..facts(0, 0) };
        assert_eq!(SubnetGate::default().judge(&request, Some(&none), at(1), COOLDOWN), Verdict::Try);
        assert_eq!(SubnetGate::default().judge(&request, None, at(1), COOLDOWN), Verdict::Try);
    }

    fn full(request: &EniRequest) -> SubnetGate {
        let mut subnets = SubnetGate::default();
        for n in 0..55 {
            subnets.answered(&n.to_string(), request, &refusal(), Some(&failure(1)), at(1));
        }
        subnets
    }

    #[test]
    fn one_address_that_becomes_free_is_one_create() {
        let request = request();
        let mut subnets = full(&request);
        assert_eq!(subnets.judge(&request, Some(&facts(9, 0)), at(2), COOLDOWN), Verdict::Lookup, "an old look");
        assert_eq!(wave(&mut subnets, &facts(0, 100), &request, 100), Vec::<String>::new());
        let sent = wave(&mut subnets, &facts(1, 200), &request, 200);
        assert_eq!(sent.len(), 1);
        subnets.answered(&sent[0], &request, &Ok(()), None, at(201));
        assert_eq!(wave(&mut subnets, &facts(1, 200), &request, 202).len(), 0, "it is taken");
        assert_eq!(wave(&mut subnets, &facts(7, 300), &request, 300).len(), 7);
        let other = EniRequest { subnet_id: "subnet-00000002".into(), ..request };
        assert_eq!(subnets.judge(&other, None, at(300), COOLDOWN), Verdict::Try, "other subnets do not wait");
    }

    #[test]
    fn where_no_block_is_left_single_addresses_are_not_held_back() {
        let blocks = EniRequest { ipv4_prefix_count: Some(1), ..request() };
        let subnets = full(&blocks);
        let seen = facts(100, 0);
        assert_eq!(subnets.judge(&blocks, Some(&seen), at(2), COOLDOWN), Verdict::Lookup);
        assert_eq!(subnets.judge(&request(), Some(&seen), at(2), COOLDOWN), Verdict::Try);
        assert_eq!(subnets.standing(&request(), Some(&seen)), None);
    }

    #[test]
    fn who_needs_a_block_counts_sixteen() {
        let request = EniRequest { ipv4_prefix_count: Some(1), ..request() };
        let mut subnets = full(&request);
        assert_eq!(wave(&mut subnets, &facts(16, 100), &request, 100).len(), 0);
        assert_eq!(wave(&mut subnets, &facts(35, 200), &request, 200).len(), 2);
    }

    /// Others may have filled it since.
    #[test]
    fn an_old_look_is_good_for_ten_and_then_the_subnet_is_described_again() {
        let request = request();
        let mut subnets = SubnetGate::default();
        let old = facts(200, 0);
        assert_eq!(wave(&mut subnets, &old, &request, 119).len(), 55, "a young one");
        let mut subnets = SubnetGate::default();
        let sent = wave(&mut subnets, &old, &request, 3600);
        assert_eq!(sent.len(), 10);
        for uid in &sent {
            subnets.answered(uid, &request, &Ok(()), None, at(3601));
        }
        assert_eq!(subnets.judge(&request, Some(&old), at(3602), COOLDOWN), Verdict::Lookup);
        assert_eq!(subnets.judge(&request, Some(&facts(190, 3602)), at(3603), COOLDOWN), Verdict::Try);
    }

    /// All that were sent by the same look are refused at once.
    #[test]
    fn one_wave_that_is_refused_in_spite_of_room_counts_once() {
        let request = request();
        let mut subnets = full(&request);
        let seen = facts(8, 120);
        let sent = wave(&mut subnets, &seen, &request, 121);
        assert_eq!(sent.len(), 8);
        for uid in &sent {
            subnets.answered(uid, &request, &refusal(), Some(&failure(122)), at(122));
        }
        assert!(wave(&mut subnets, &facts(8, 240), &request, 361).is_empty());
        assert_eq!(wave(&mut subnets, &facts(8, 360), &request, 362).len(), 1, "twice the wait, not eight times");
    }

    /// A CIDR reservation keeps addresses that are counted as free.
    #[test]
    fn what_is_refused_in_spite_of_room_is_tried_by_one_less_and_less_often() {
        let request = request();
        let mut subnets = full(&request);
        let mut sent = Vec::new();
        for now in (100..3700).step_by(5) {
            let seen = facts(8, now - now % 120);
            for uid in wave(&mut subnets, &seen, &request, now) {
                sent.push(now);
                subnets.answered(&uid, &request, &refusal(), Some(&failure(now)), at(now));
            }
        }
        assert!((3..=8 + 8).contains(&sent.len()), "{sent:?}");
        // What works lets as many try as there is room for.
        let now = 3700 + 1000;
        let probe = wave(&mut subnets, &facts(8, now), &request, now);
        assert_eq!(probe.len(), 1);
        assert!(subnets.answered(&probe[0], &request, &Ok(()), None, at(now)));
        assert_eq!(wave(&mut subnets, &facts(8, now + 1), &request, now + 1).len(), 8);
    }

    #[test]
    fn a_subnet_without_ipv4_is_not_full_by_its_count() {
        let request = request();
        let mut subnets = full(&request);
        let seen = ObservedSubnet { cidr: String::new(), ..facts(0, 300) };
        assert_eq!(wave(&mut subnets, &seen, &request, 300).len(), 1);
    }

    #[test]
    fn a_new_process_reads_it_from_the_statuses() {
        let call_history = || CallHistory { failure: Some(failure(1)), ..CallHistory::made(at(0)) };
        let (mut a, b) = (new_attachment("n0", 1, false), new_attachment("n1", 1, false));
        a.status.eni_id = None;
        a.request = request();
        let subnets = SubnetGate::from_histories([(&a, call_history()), (&b, CallHistory::made(at(0)))].into_iter());
        assert_eq!(subnets.judge(&request(), None, at(2), COOLDOWN), Verdict::Lookup);
    }
}
