//! The gate for limits of instance types that only a refused Attach shows: DescribeInstanceTypes does not know the type, or shows
//! other limits than EC2 applies. A refusal counts for all instances of the type, so that not each node creates an ENI that EC2
//! never attaches. Once an hour one Create is sent for all that wait. After a refused device index, one ENI tries a lower index before
//! the others of the type. The gate is given the answers of calls, and sends no call.

mod limit;
mod subject;

pub use limit::is_of_an_index;
pub use subject::Subject;

use crate::ec2_errors::{Call, CallError};
use crate::failure::Failure;
use jiff::{SignedDuration, Timestamp};
use limit::Limit;
use std::collections::BTreeMap;

/// How long after the last try of a refused limit the next one is sent.
pub const EVERY: SignedDuration = SignedDuration::from_hours(1);

/// How long the ENIs of a type without known limits, or with a refused device index, wait for the first Attach of such an ENI. It
/// usually takes seconds.
const PROBE: SignedDuration = SignedDuration::from_mins(2);

/// How long after a Create that failed for another reason the try is repeated. It shows nothing about the limit.
const AGAIN: SignedDuration = SignedDuration::from_mins(1);

/// What this process has learned of the limits of instance types.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InstanceTypeGate {
    refused: Vec<Refused>,
    /// The most that EC2 has attached, by type and network card.
    accepted: BTreeMap<(String, i32), Accepted>,
    /// The ENI that is tried first, by type and network card, for types without known limits or with a refused device index.
    probes: BTreeMap<(String, i32), Probe>,
}

/// A limit that EC2 applied to one instance of a type.
#[derive(Debug, Clone, PartialEq)]
struct Refused {
    kind: String,
    limit: Limit,
    failure: Failure,
    /// When a Create was last sent in spite of it, or an Attach was last refused.
    tried: Timestamp,
    /// The ENIAttachment whose Create is the try, by its UID, until EC2 answers.
    trier: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Accepted {
    on_card: usize,
    in_all: usize,
    index: i32,
}

impl Accepted {
    fn covers(&self, subject: &Subject<'_>) -> bool {
        self.on_card >= subject.on_card && self.in_all >= subject.in_all && self.index >= subject.index
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Probe {
    uid: String,
    sent: Timestamp,
}

/// Why a Create waits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Hold<'a> {
    /// EC2 refused such an ENI on another instance of the type. The next try is sent at this time.
    Refused(&'a Failure, Timestamp),
    /// The first such ENI on an instance of a type is under way, at most until this time: the limits of the type are not known, or
    /// EC2 refused a higher device index.
    Probing(Timestamp),
}

impl InstanceTypeGate {
    /// Restores what was learned, when a process starts: from the ENIs that are attached, and from the failures in the statuses.
    pub fn from_statuses<'a>(
        attached: impl Iterator<Item = Subject<'a>>,
        failures: impl Iterator<Item = (Subject<'a>, Failure)>,
    ) -> Self {
        let mut gate = Self::default();
        attached.for_each(|subject| gate.has_attached(&subject));
        for (subject, failure) in failures.filter(|(_, failure)| failure.call == Call::Attach) {
            let tried = failure.at;
            gate.note(&subject, &failure, tried);
        }
        gate
    }

    /// Whether nothing was refused and nothing is tried, so that this gate holds back only ENIs of types without known limits.
    pub fn is_open(&self) -> bool {
        self.refused.is_empty() && self.probes.is_empty()
    }

    /// The lowest device index of this network card that EC2 has refused for the type; None if it has refused none. It stays known
    /// until EC2 attaches an ENI at this index or a higher one, or the process ends.
    pub fn refused_index(&self, kind: &str, card: i32) -> Option<i32> {
        let of_type = self.refused.iter().filter(|refused| refused.kind == kind);
        of_type.filter_map(|refused| refused.limit.index_on(card)).min()
    }

    /// Why the Create of this ENI waits; None if it may be sent.
    pub fn holds_back(&self, uid: &str, subject: &Subject<'_>, now: Timestamp) -> Option<Hold<'_>> {
        let refused = self.refused.iter().filter(|refused| refused.applies_to(subject));
        let others = refused.filter(|refused| refused.trier.as_deref() != Some(uid));
        let hold = others.map(|refused| (refused, add(refused.tried, EVERY))).find(|(_, next)| now < *next);
        if let Some((refused, next)) = hold {
            return Some(Hold::Refused(&refused.failure, next));
        }
        if !self.is_unproven(subject) {
            return None;
        }
        let probe = self.probes.get(&subject.card()).filter(|probe| probe.uid != uid)?;
        let until = add(probe.sent, PROBE);
        (now < until).then_some(Hold::Probing(until))
    }

    /// Records that the Create of this ENI is sent.
    pub fn sent(&mut self, uid: &str, subject: &Subject<'_>, now: Timestamp) {
        for refused in self.refused.iter_mut().filter(|refused| refused.applies_to(subject)) {
            (refused.tried, refused.trier) = (now, Some(uid.to_owned()));
        }
        if self.is_unproven(subject) {
            self.probes.insert(subject.card(), Probe { uid: uid.to_owned(), sent: now });
        }
    }

    /// Records the answer of a call for this ENI. `failure`: the failure in the call history. True if other Creates may be sent
    /// now.
    pub fn answered(
        &mut self,
        uid: &str,
        subject: &Subject<'_>,
        call: Call,
        result: &Result<(), CallError>,
        failure: Option<&Failure>,
        now: Timestamp,
    ) -> bool {
        let own = self.refused.iter_mut().filter(|refused| refused.trier.as_deref() == Some(uid));
        match (call, result) {
            (Call::Create, Err(_)) => own.for_each(|refused| {
                refused.trier = None;
                refused.tried = now.saturating_sub(EVERY).and_then(|at| at.checked_add(AGAIN)).unwrap_or(now);
            }),
            (Call::Attach, _) => own.for_each(|refused| refused.trier = None),
            _ => {}
        }
        match (call, result) {
            (Call::Attach, Ok(())) => self.accept(uid, subject),
            // The ENIs that wait for this one are woken to report the refusal.
            (Call::Attach, Err(_)) => {
                failure.is_some_and(|failure| self.note(subject, failure, now)) && self.end_probe(uid, subject)
            }
            // Another ENI is tried: this one was not created.
            (Call::Create, Err(_)) => self.end_probe(uid, subject),
            _ => false,
        }
    }

    /// EC2 has attached the ENI: what it refused to a smaller one concerns one instance only, for example because of its volumes.
    fn accept(&mut self, uid: &str, subject: &Subject<'_>) -> bool {
        self.has_attached(subject);
        let before = self.refused.len();
        self.refused.retain(|refused| !refused.applies_to(subject));
        self.end_probe(uid, subject) || self.refused.len() < before
    }

    fn has_attached(&mut self, subject: &Subject<'_>) {
        let accepted = self.accepted.entry(subject.card()).or_default();
        accepted.on_card = accepted.on_card.max(subject.on_card);
        accepted.in_all = accepted.in_all.max(subject.in_all);
        accepted.index = accepted.index.max(subject.index);
    }

    /// The number of refused limits that hold Creates back.
    pub fn closed(&self) -> usize {
        self.refused.len()
    }

    /// Records a refusal, if a limit of the type is the cause. True if so.
    fn note(&mut self, subject: &Subject<'_>, failure: &Failure, tried: Timestamp) -> bool {
        let Some(limit) = Limit::of(subject, failure) else { return false };
        let is_alone =
            limit.is_of_a_number() && self.accepted.get(&subject.card()).is_some_and(|most| most.covers(subject));
        if is_alone {
            return true;
        }
        match self.refused.iter_mut().find(|refused| refused.kind == subject.kind && refused.limit == limit) {
            Some(known) => {
                known.failure = failure.clone();
                known.tried = known.tried.max(tried);
            }
            None => self.refused.push(Refused {
                kind: subject.kind.to_owned(),
                limit,
                failure: failure.clone(),
                tried,
                trier: None,
            }),
        }
        true
    }

    fn end_probe(&mut self, uid: &str, subject: &Subject<'_>) -> bool {
        let is_its_own = self.probes.get(&subject.card()).is_some_and(|probe| probe.uid == uid);
        is_its_own && self.probes.remove(&subject.card()).is_some()
    }

    /// Whether it is open that EC2 attaches such an ENI, so that one is tried before the others.
    fn is_unproven(&self, subject: &Subject<'_>) -> bool {
        let accepted = self.accepted.get(&subject.card());
        let is_below_a_refused_index =
            self.refused_index(subject.kind, subject.on).is_some_and(|refused| subject.index < refused);
        !subject.is_known && !accepted.is_some_and(|most| most.covers(subject))
            || is_below_a_refused_index && accepted.is_none_or(|most| most.index < subject.index)
    }
}

impl Refused {
    fn applies_to(&self, subject: &Subject<'_>) -> bool {
        self.kind == subject.kind && self.limit.applies_to(subject)
    }
}

fn add(at: Timestamp, wait: SignedDuration) -> Timestamp {
    at.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
