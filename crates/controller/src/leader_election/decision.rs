//! The decision of the leader election: what a Lease, as it was read, means for one candidate. It is pure: the loop in `elector.rs`
//! reads, writes and waits.

use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::time::Duration;

/// The Lease as the candidate last read it, and since when on the candidate's steady clock it has been so.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ObservedLease {
    /// Holder, renew time and transitions as last read. None: no Lease was ever read.
    pub record: Option<LeaseSpec>,
    /// Whether the Lease object does not exist now.
    pub is_gone: bool,
    /// When this record was first read.
    pub since: Duration,
}

impl ObservedLease {
    /// Takes a new reading. The time moves only if the record changed.
    ///
    /// The renewTime in the Lease is never compared with the local clock: only that it changed counts.
    ///
    /// A deleted Lease is not free at once. Its holder acts on by what it wrote until its next renewal finds the object gone, so
    /// the Lease counts as held for its whole duration after its last change. A process that has never read the Lease cannot know
    /// of it and creates one.
    pub fn update(&mut self, record: Option<LeaseSpec>, now: Duration) {
        self.is_gone = record.is_none();
        if record.is_some() && self.record != record || self.since == Duration::ZERO {
            *self = Self { record, since: now, is_gone: self.is_gone };
        }
    }
}

/// What the candidate must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Create the Lease: there is none.
    Create,
    /// Take the Lease: it is free, was released, or was not renewed for its whole duration.
    Take,
    /// Renew the Lease, which the candidate holds.
    Renew,
    /// Another candidate holds the Lease: read it again after this time.
    Wait(Duration),
}

/// Decides. `fallback` is the duration of a Lease that names none.
pub fn evaluate(observed: &ObservedLease, identity: &str, now: Duration, fallback: Duration) -> Decision {
    let Some(record) = &observed.record else { return Decision::Create };
    let holder = record.holder_identity.as_deref().unwrap_or_default();
    let free = if observed.is_gone { Decision::Create } else { Decision::Take };
    if holder == identity {
        // The Lease that this candidate held was deleted, so its term has ended. The first candidate that creates a Lease leads.
        return if observed.is_gone { free } else { Decision::Renew };
    }
    if holder.is_empty() {
        return free;
    }
    let duration =
        record.lease_duration_seconds.and_then(|s| u64::try_from(s).ok()).map_or(fallback, Duration::from_secs);
    let over = observed.since.saturating_add(duration);
    if now >= over { free } else { Decision::Wait(over.saturating_sub(now)) }
}

/// Whether `identity` still holds the Lease in the same term: nobody else has held it since.
pub fn is_same_term(held: &LeaseSpec, read: &LeaseSpec, identity: &str) -> bool {
    read.holder_identity.as_deref() == Some(identity)
        && read.acquire_time == held.acquire_time
        && read.lease_transitions == held.lease_transitions
}

/// Whether the API server returns an older state of the same Lease than before: its store was restored from a backup. A
/// resourceVersion is etcd's revision, which only grows
/// (<https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>).
pub fn is_rewound(held: &ObjectMeta, read: &ObjectMeta) -> bool {
    let version = |meta: &ObjectMeta| meta.resource_version.as_ref().and_then(|version| version.parse::<u64>().ok());
    held.uid == read.uid && version(held).zip(version(read)).is_some_and(|(held, read)| read < held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_state_of_the_same_lease_is_known_by_its_version() {
        let meta = |uid: &str, version: &str| ObjectMeta {
            uid: Some(uid.to_owned()),
            resource_version: Some(version.to_owned()),
            ..ObjectMeta::default()
        };
        assert!(is_rewound(&meta("a", "100"), &meta("a", "99")), "not as text: 100 < 99");
        assert!(!is_rewound(&meta("a", "99"), &meta("a", "100")));
        assert!(!is_rewound(&meta("a", "100"), &meta("a", "100")));
        assert!(!is_rewound(&meta("a", "100"), &meta("b", "99")), "another Lease object");
        assert!(!is_rewound(&meta("a", "x"), &meta("a", "99")));
    }

    const LEASE: Duration = Duration::from_secs(15);

    fn held_by(holder: &str) -> LeaseSpec {
        LeaseSpec { holder_identity: Some(holder.into()), lease_duration_seconds: Some(15), ..Default::default() }
    }

    #[test]
    fn a_term_ends_when_another_replica_has_held_the_lease() {
        let held = LeaseSpec { lease_transitions: Some(3), ..held_by("me") };
        let renewed = LeaseSpec { lease_duration_seconds: Some(16), ..held.clone() };
        assert!(is_same_term(&held, &renewed, "me"));
        let others = LeaseSpec { lease_transitions: Some(4), ..held_by("other") };
        let released = LeaseSpec { holder_identity: None, ..others.clone() };
        let ours_again = LeaseSpec { lease_transitions: Some(5), ..held.clone() };
        assert!([others, released, ours_again].iter().all(|read| !is_same_term(&held, read, "me")));
    }

    #[test]
    fn a_deleted_lease_counts_as_held_for_its_duration() {
        let (mut observed, at) = (ObservedLease::default(), Duration::from_secs);
        observed.update(None, at(1));
        assert_eq!(evaluate(&observed, "me", at(1), LEASE), Decision::Create, "no Lease was ever read");
        observed.update(Some(held_by("other")), at(10));
        observed.update(None, at(12));
        assert_eq!(evaluate(&observed, "me", at(12), LEASE), Decision::Wait(at(13)));
        observed.update(None, at(25));
        assert_eq!(evaluate(&observed, "me", at(25), LEASE), Decision::Create);
        observed.update(Some(held_by("third")), at(25));
        assert_eq!(evaluate(&observed, "me", at(25), LEASE), Decision::Wait(at(15)));
        observed.update(Some(held_by("me")), at(40));
        observed.update(None, at(41));
        assert_eq!(evaluate(&observed, "me", at(41), LEASE), Decision::Create);
    }

    #[test]
    fn a_lease_is_taken_only_after_its_whole_duration_without_a_change() {
        let mut observed = ObservedLease::default();
        let at = Duration::from_secs;
        assert_eq!(evaluate(&observed, "me", at(1), LEASE), Decision::Create);
        observed.update(Some(held_by("other")), at(10));
        assert_eq!(evaluate(&observed, "me", at(10), LEASE), Decision::Wait(at(15)));
        observed.update(Some(held_by("other")), at(24));
        assert_eq!(
            evaluate(&observed, "me", at(24), LEASE),
            Decision::Wait(at(1)),
            "the same record does not restart the wait"
        );
        assert_eq!(evaluate(&observed, "me", at(25), LEASE), Decision::Take);
        let mut renewed = held_by("other");
        renewed.lease_transitions = Some(1);
        observed.update(Some(renewed), at(25));
        assert_eq!(evaluate(&observed, "me", at(25), LEASE), Decision::Wait(at(15)));
        observed.update(Some(held_by("")), at(26));
        assert_eq!(evaluate(&observed, "me", at(26), LEASE), Decision::Take);
        observed.update(Some(held_by("me")), at(27));
        assert_eq!(evaluate(&observed, "me", at(27), LEASE), Decision::Renew);
    }
}
