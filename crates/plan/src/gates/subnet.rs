//! The gate for the free addresses of subnets. As many Creates are sent as the subnet has addresses for by its last Describe, and
//! one at a time if EC2 refused a Create although there seemed to be room. This happens because `AvailableIpAddressCount`
//! includes addresses that CIDR reservations keep. The gate is given the answers of Creates and the observed subnets, and sends
//! no call.

use crate::attachment::Attachment;
use crate::ec2_errors::{Call, CallError, Class, classify};
use crate::failure::Failure;
use crate::lifecycle::call_history::CallHistory;
use crate::observed::ObservedSubnet;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::EniRequest;
use std::collections::{BTreeMap, VecDeque};

/// After this many successes in a row the subnet no longer counts as full.
const ENOUGH: usize = 16;
/// How many Creates may rely on an old Describe.
const BY_AN_OLD_LOOKUP: usize = 10;
/// The wait between probes doubles at most this often.
const DOUBLINGS: u32 = 3;

/// How long this process remembers the addresses that its Creates took. No Describe that a decision uses is older.
const KNOWN: SignedDuration = SignedDuration::from_mins(15);

/// The unit that is full or not: a subnet, and whether the request asks for whole blocks (prefixes). A subnet without a free
/// block may still have single addresses.
type Pool = (String, bool);

fn pool(request: &EniRequest) -> Pool {
    (request.subnet_id.clone(), request.ipv4_prefix_count.is_some_and(|blocks| blocks > 0))
}

/// The state of the gate in one process: the addresses that its Creates use, by subnet ID, and the pools that are full.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SubnetGate {
    used: BTreeMap<String, Used>,
    full: BTreeMap<Pool, Full>,
}

/// What this process uses of one subnet.
#[derive(Debug, Clone, Default, PartialEq)]
struct Used {
    /// The Creates that have not been answered yet, by UID of the ENIAttachment.
    trying: BTreeMap<String, Try>,
    /// The Creates that succeeded: when, and how many addresses each took.
    taken: VecDeque<(Timestamp, i32)>,
}

/// One Create that has not been answered yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Try {
    /// The addresses that it needs.
    needs: i32,
    /// The last refusal in this pool when the Create was sent.
    refused_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq)]
struct Full {
    failure: Failure,
    /// When a Create was last counted in `in_spite`. Of the Creates that were sent together only one counts.
    counted: Timestamp,
    /// Creates that have succeeded since the refusal.
    successes: usize,
    /// How often in a row EC2 refused a Create although there seemed to be room.
    in_spite: u32,
}

impl Used {
    /// The free addresses by this Describe, less those that this process took since and those of its unanswered Creates.
    fn left(&self, observed_subnet: &ObservedSubnet) -> i32 {
        observed_subnet
            .free_addresses
            .saturating_sub(self.taken_since(observed_subnet))
            .saturating_sub(self.trying.values().map(|one| one.needs).sum())
    }

    /// Whether so many Creates rely on this Describe, which is older than `valid`, that other clients may have filled the subnet
    /// since.
    fn outgrows(&self, observed_subnet: &ObservedSubnet, now: Timestamp, valid: SignedDuration) -> bool {
        let taken = self.taken.iter().rev().take_while(|(at, _)| now.duration_since(*at) < valid).count();
        now.duration_since(observed_subnet.as_of) >= valid && self.trying.len() + taken >= BY_AN_OLD_LOOKUP
    }

    /// The addresses that this process took since this Describe.
    fn taken_since(&self, observed_subnet: &ObservedSubnet) -> i32 {
        self.taken.iter().rev().take_while(|(at, _)| *at >= observed_subnet.as_of).map(|(_, needs)| needs).sum()
    }
}

/// What an ENIAttachment may do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubnetDecision {
    /// Send the Create.
    Try,
    /// Describe the subnet first.
    Lookup,
    /// Wait until this time.
    Wait(Timestamp),
}

/// Why a request waits for its subnet.
#[derive(Debug, PartialEq)]
pub enum Standing<'a> {
    /// EC2 refused a Create: the last failure, of this ENIAttachment or of another one.
    Refused(&'a Failure),
    /// The subnet has fewer free addresses than the request needs, less those that this cluster took since the Describe.
    Short,
    /// The subnet has room, but unanswered Creates of others may use it.
    Busy,
}

/// IPv4 addresses that a request takes from its subnet; a prefix is a block of 16.
pub fn needed(request: &EniRequest) -> i32 {
    let blocks = request.ipv4_prefix_count.unwrap_or(0);
    request.private_ip_count.unwrap_or(1).max(1).saturating_add(blocks.saturating_mul(16))
}

impl SubnetGate {
    /// Restores the gate from the failures in the statuses of ENIAttachments, when a process starts.
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

    /// Whether a Create for this request may be sent now. `observed_subnet`: the last Describe of the subnet. `cooldown`: the interval at
    /// which the subnet is described.
    pub fn judge(
        &self,
        request: &EniRequest,
        observed_subnet: Option<&ObservedSubnet>,
        now: Timestamp,
        cooldown: SignedDuration,
    ) -> SubnetDecision {
        let after = |at: Timestamp, wait| at.saturating_add(wait).unwrap_or(Timestamp::MAX);
        let Some(full) = self.full.get(&pool(request)) else {
            let Some(observed_subnet) = observed_subnet else { return SubnetDecision::Try };
            let used = self.used.get(&request.subnet_id);
            if has_ipv4_count(observed_subnet) && used.is_some_and(|used| used.outgrows(observed_subnet, now, cooldown))
            {
                return SubnetDecision::Lookup;
            }
            if !self.is_short(request, observed_subnet) {
                return SubnetDecision::Try;
            }
            let until = after(observed_subnet.as_of, cooldown);
            return if now >= until { SubnetDecision::Lookup } else { SubnetDecision::Wait(until) };
        };
        let Some(observed_subnet) = observed_subnet.filter(|observed_subnet| observed_subnet.as_of > full.failure.at)
        else {
            return SubnetDecision::Lookup;
        };
        if has_ipv4_count(observed_subnet) && (observed_subnet.free_addresses < needed(request) || full.in_spite == 0) {
            if !self.is_short(request, observed_subnet) {
                return SubnetDecision::Try;
            }
            let again = after(observed_subnet.as_of, cooldown);
            return if now >= again { SubnetDecision::Lookup } else { SubnetDecision::Wait(again) };
        }
        let pause = cooldown.checked_mul(1 << full.in_spite.min(DOUBLINGS)).unwrap_or(cooldown);
        let next = after(full.failure.at, pause);
        if self.used.get(&request.subnet_id).is_none_or(|used| used.trying.is_empty()) && now >= next {
            return SubnetDecision::Try;
        }
        SubnetDecision::Wait(if now < next { next } else { after(now, cooldown) })
    }

    /// When EC2 last refused a Create in this subnet because the subnet is full, if the subnet has not shown more free addresses
    /// since.
    pub fn refused_at(&self, request: &EniRequest, observed_subnet: &ObservedSubnet) -> Option<Timestamp> {
        let at = self.full.get(&pool(request))?.failure.at;
        observed_subnet.grown.is_none_or(|grown| grown <= at).then_some(at)
    }

    /// The free addresses of a subnet, less those that this process took since the Describe or may take now. 0 without IPv4.
    pub fn left(&self, observed_subnet: &ObservedSubnet) -> i32 {
        let used = self.used.get(observed_subnet.id.as_str());
        if has_ipv4_count(observed_subnet) {
            used.map_or(observed_subnet.free_addresses, |used| used.left(observed_subnet))
        } else {
            0
        }
    }

    /// Whether a Create for the ENIAttachment with this UID is sent and not answered.
    pub fn is_trying(&self, uid: &str) -> bool {
        self.used.values().any(|used| used.trying.contains_key(uid))
    }

    /// Why this request waits, whether or not a Describe of the subnet is under way; None if it does not wait.
    pub fn standing(&self, request: &EniRequest, observed_subnet: Option<&ObservedSubnet>) -> Option<Standing<'_>> {
        match self.full.get(&pool(request)) {
            Some(full) => Some(Standing::Refused(&full.failure)),
            None => {
                let observed_subnet =
                    observed_subnet.filter(|observed_subnet| self.is_short(request, observed_subnet))?;
                let taken = self.used.get(&request.subnet_id).map_or(0, |used| used.taken_since(observed_subnet));
                let has_room = observed_subnet.free_addresses.saturating_sub(taken) >= needed(request);
                Some(if has_room { Standing::Busy } else { Standing::Short })
            }
        }
    }

    /// Whether the subnet has fewer free addresses than the request needs, less those that this process took or may take.
    pub fn is_short(&self, request: &EniRequest, observed_subnet: &ObservedSubnet) -> bool {
        let used = self.used.get(&request.subnet_id);
        let left = used.map_or(observed_subnet.free_addresses, |used| used.left(observed_subnet));
        has_ipv4_count(observed_subnet) && left < needed(request)
    }

    /// How many pools of addresses are full, by EC2's refusals: a subnet, or its room for prefixes.
    pub fn closed(&self) -> usize {
        self.full.len()
    }

    /// Records that a Create is sent.
    pub fn sent(&mut self, uid: &str, request: &EniRequest) {
        let refused_at = self.full.get(&pool(request)).map(|full| full.failure.at);
        let used = self.used.entry(request.subnet_id.clone()).or_default();
        used.trying.insert(uid.to_owned(), Try { needs: needed(request), refused_at });
    }

    /// Records the answer of a Create. `failure`: the failure in the call history. True if other Creates may be sent now.
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
            // The addresses that it would have taken are free for others.
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

    /// Forgets the Create of an ENIAttachment that is gone: its answer is not reported any more.
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

/// Whether the count of free addresses is meaningful. For a subnet without IPv4 it is not.
fn has_ipv4_count(observed_subnet: &ObservedSubnet) -> bool {
    !observed_subnet.cidr.is_empty()
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

    fn observed_subnet(free_addresses: i32, seconds: i64) -> ObservedSubnet {
        ObservedSubnet {
            id: SubnetId::parse(SUBNET).unwrap(),
            zone: "z1".into(),
            vpc: "vpc-1".into(),
            cidr: "10.0.0.0/28".into(),
            owner: String::new(),
            tags: Default::default(),
            tags_confirmed: false,
            name: None,
            free_addresses,
            grown: None,
            as_of: at(seconds),
        }
    }

    fn request() -> EniRequest {
        EniRequest { subnet_id: SUBNET.into(), ..new_attachment("n0", 1, false).request }
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
        assert_eq!(
            wave(&mut subnets, &observed_subnet(8, 360), &request, 362).len(),
            1,
            "twice the wait, not eight times"
        );
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
        a.request = request();
        let subnets = SubnetGate::from_histories([(&a, call_history()), (&b, CallHistory::made(at(0)))].into_iter());
        assert_eq!(subnets.judge(&request(), None, at(2), COOLDOWN), SubnetDecision::Lookup);
    }
}
