//! The gate for limits of instance types that only a refused Attach shows: DescribeInstanceTypes does not know the type, or shows
//! other limits than EC2 applies. A refusal counts for all instances of the type, so that not each node creates an ENI that EC2
//! never attaches. Once an hour one Create is sent for all that wait. Of what EC2 has not attached to an instance of the type yet, one
//! ENI is tried before the others: EC2's answer to its Attach decides for all. The gate is given the answers of calls, and sends no
//! call.

mod limit;
mod subject;

pub use limit::{is_of_a_type, is_of_an_index};
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

/// How long the ENIs of a type with known limits wait for the first such Attach. EC2 usually answers both calls in a second. The
/// limits are seldom wrong, so a try that hangs delays nobody for long.
const FIRST: SignedDuration = SignedDuration::from_secs(10);

/// How long after a Create that failed for another reason the try is repeated. It shows nothing about the limit.
const AGAIN: SignedDuration = SignedDuration::from_mins(1);

/// What this process has learned of the limits of instance types.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InstanceTypeGate {
    refused: Vec<Refused>,
    /// The most that EC2 has attached, by type and network card.
    accepted: BTreeMap<(String, i32), Accepted>,
    /// The ENI that is tried first, by type and network card.
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
    /// The ENIAttachment whose Create is the try, by its UID, until the Create fails or EC2 decides about the limit.
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
    /// The first such ENI on an instance of a type with known limits is under way, at most until this time. Usually this lasts for
    /// moments.
    First(Timestamp),
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

    /// Whether nothing was refused and nothing is tried.
    pub fn is_open(&self) -> bool {
        self.refused.is_empty() && self.probes.is_empty()
    }

    /// The lowest device index of this network card that EC2 has refused for the type; None if it has refused none. It stays known
    /// until EC2 attaches an ENI at this index or a higher one, or the process ends.
    pub fn refused_index(&self, kind: &str, card: i32) -> Option<i32> {
        self.refused_indexes(kind, card).map(|(index, _)| index).min()
    }

    /// The lowest device index of this network card that no ENI of the type may be at now; None if EC2 has refused none. The lowest
    /// refused index may be tried [`EVERY`] after its last try, and the one whose Create is the try stays there. So the ENIs move
    /// up again, one index after the other, if EC2 attaches them after all. `uid`: the ENIAttachment that asks, if there is one.
    pub fn closed_index(&self, kind: &str, card: i32, uid: Option<&str>, now: Timestamp) -> Option<i32> {
        let others =
            self.refused_indexes(kind, card).filter(|(_, refused)| uid.is_none() || refused.trier.as_deref() != uid);
        others.map(|(index, refused)| index.saturating_add(i32::from(refused.next() <= now))).min()
    }

    fn refused_indexes(&self, kind: &str, card: i32) -> impl Iterator<Item = (i32, &Refused)> {
        let of_type = self.refused.iter().filter(move |refused| refused.kind == kind);
        of_type.filter_map(move |refused| Some((refused.limit.index_on(card)?, refused)))
    }

    /// Why the Create of this ENI waits; None if it may be sent.
    pub fn holds_back(&self, uid: &str, subject: &Subject<'_>, now: Timestamp) -> Option<Hold<'_>> {
        let refused = self.refused.iter().filter(|refused| refused.applies_to(subject));
        let others = refused.filter(|refused| refused.trier.as_deref() != Some(uid));
        let hold = others.map(|refused| (refused, refused.next())).find(|(_, next)| now < *next);
        if let Some((refused, next)) = hold {
            return Some(Hold::Refused(&refused.failure, next));
        }
        if self.covers(subject) {
            return None;
        }
        let probe = self.probes.get(&subject.card()).filter(|probe| probe.uid != uid)?;
        let (wait, hold): (_, fn(Timestamp) -> Hold<'static>) = match self.is_in_doubt(subject) {
            true => (PROBE, Hold::Probing),
            false => (FIRST, Hold::First),
        };
        let until = add(probe.sent, wait);
        (now < until).then(|| hold(until))
    }

    /// Records that the Create of this ENI is sent.
    pub fn sent(&mut self, uid: &str, subject: &Subject<'_>, now: Timestamp) {
        for refused in self.refused.iter_mut().filter(|refused| refused.applies_to(subject)) {
            (refused.tried, refused.trier) = (now, Some(uid.to_owned()));
        }
        // Without doubt there is one try: after it, whether it ends or hangs, nobody waits for another one.
        if !self.covers(subject) && (self.is_in_doubt(subject) || !self.probes.contains_key(&subject.card())) {
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
        if let (Call::Create, Err(_)) = (call, result) {
            self.try_again_soon(uid, now);
        }
        match (call, result) {
            (Call::Attach, Ok(())) => self.accept(uid, subject),
            // The ENIs that wait for this one are woken: to report the refusal, or because another ENI is tried. An Attach that failed
            // for another reason is repeated, and shows nothing about the limit.
            (Call::Attach, Err(_)) => {
                if failure.is_some_and(|failure| self.note(subject, failure, now)) {
                    self.end_try(uid);
                }
                self.end_probe(uid, subject)
            }
            // This one was not created. In doubt another ENI is tried. Otherwise nobody waits any more: a Create that fails for all would
            // wake all that wait, each time.
            (Call::Create, Err(_)) if self.is_in_doubt(subject) => self.end_probe(uid, subject),
            (Call::Create, Err(_)) => self.let_all_pass(uid, subject),
            _ => false,
        }
    }

    /// Records that this ENIAttachment is being deleted. Its ENI will not be attached, so it shows nothing about the type. True if other
    /// Creates may be sent now.
    pub fn left(&mut self, uid: &str, now: Timestamp) -> bool {
        self.try_again_soon(uid, now);
        let before = self.probes.len();
        self.probes.retain(|_, probe| probe.uid != uid);
        self.probes.len() < before
    }

    /// The try of this ENIAttachment has shown nothing about the limit. The next one is sent after [`AGAIN`].
    fn try_again_soon(&mut self, uid: &str, now: Timestamp) {
        for refused in self.refused.iter_mut().filter(|refused| refused.trier.as_deref() == Some(uid)) {
            refused.trier = None;
            refused.tried = now.saturating_sub(EVERY).and_then(|at| at.checked_add(AGAIN)).unwrap_or(now);
        }
    }

    /// EC2 has attached the ENI: what it refused to a smaller one concerns one instance only, for example because of its volumes.
    fn accept(&mut self, uid: &str, subject: &Subject<'_>) -> bool {
        self.has_attached(subject);
        self.end_try(uid);
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

    /// Records a refusal, if a limit is the cause. True if so. EC2 may count other resources of one instance toward the number of its
    /// interfaces, such as volumes (kubernetes-sigs/aws-ebs-csi-driver#1163). So what EC2 attached to another instance of the type is
    /// no limit of the type, and the refusal holds no other ENI back. The same is true of a device index.
    fn note(&mut self, subject: &Subject<'_>, failure: &Failure, tried: Timestamp) -> bool {
        let Some(limit) = Limit::of(subject, failure) else { return false };
        let most = self.accepted.get(&subject.card());
        let is_alone = most.is_some_and(|most| match limit {
            Limit::Interfaces { .. } => most.covers(subject),
            Limit::Index { index, .. } => most.index >= index,
            Limit::Card { .. } | Limit::Addresses { .. } => false,
        });
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

    fn end_try(&mut self, uid: &str) {
        let own = self.refused.iter_mut().filter(|refused| refused.trier.as_deref() == Some(uid));
        own.for_each(|refused| refused.trier = None);
    }

    /// Nobody waits for this try any more. True the first time.
    fn let_all_pass(&mut self, uid: &str, subject: &Subject<'_>) -> bool {
        let own = self.probes.get_mut(&subject.card()).filter(|probe| probe.uid == uid && probe.sent > Timestamp::MIN);
        own.map(|probe| probe.sent = Timestamp::MIN).is_some()
    }

    fn end_probe(&mut self, uid: &str, subject: &Subject<'_>) -> bool {
        let is_its_own = self.probes.get(&subject.card()).is_some_and(|probe| probe.uid == uid);
        is_its_own && self.probes.remove(&subject.card()).is_some()
    }

    /// Whether EC2 has attached such an ENI to an instance of the type.
    fn covers(&self, subject: &Subject<'_>) -> bool {
        self.accepted.get(&subject.card()).is_some_and(|most| most.covers(subject))
    }

    /// Whether the limits of the type are not known, or have just been wrong: EC2 refused a higher device index.
    fn is_in_doubt(&self, subject: &Subject<'_>) -> bool {
        let most = self.accepted.get(&subject.card());
        let refused = self.refused_index(subject.kind, subject.on);
        !subject.is_known
            || refused.is_some_and(|refused| subject.index < refused)
                && most.is_none_or(|most| most.index < subject.index)
    }
}

impl Refused {
    fn applies_to(&self, subject: &Subject<'_>) -> bool {
        self.kind == subject.kind && self.limit.applies_to(subject)
    }

    /// When the next try may be sent.
    fn next(&self) -> Timestamp {
        add(self.tried, EVERY)
    }
}

fn add(at: Timestamp, wait: SignedDuration) -> Timestamp {
    at.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
