//! The gate for the free addresses of subnets. As many Creates are sent as the subnet has addresses for by its last Describe, and
//! one at a time if EC2 refused a Create although there seemed to be room. This happens because `AvailableIpAddressCount`
//! includes addresses that CIDR reservations keep. The gate is given the answers of Creates and the observed subnets, and sends
//! no call.

mod addresses;
#[cfg(test)]
mod tests;

use crate::attachment::Attachment;
use crate::ec2_errors::{Call, CallError, Class, classify};
use crate::failure::Failure;
use crate::lifecycle::call_history::CallHistory;
use crate::observed::ObservedSubnet;
use addresses::{Try, Used, has_ipv4_count};
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::EniRequest;
use std::collections::BTreeMap;

/// After this many successes in a row the subnet no longer counts as full.
const ENOUGH: usize = 16;

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

fn is_full(class: Class) -> bool {
    class == Class::SubnetFull
}
