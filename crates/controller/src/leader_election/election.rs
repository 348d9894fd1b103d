//! What a Lease means for one candidate: pure.

use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::time::Duration;

/// What the candidate saw last of the Lease, and when on its own steady clock it first saw it so.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// Holder, renew time and transitions as last read; None: no Lease object was ever seen.
    pub record: Option<LeaseSpec>,
    /// The Lease object is not there now: somebody has deleted it.
    pub is_gone: bool,
    /// When this record was first seen.
    pub since: Duration,
}

impl Observed {
    /// Takes a new reading: the time moves only if the record did.
    ///
    /// The remote renewTime is never compared with the local clock: only that it changed counts.
    ///
    /// A Lease that is deleted is not given up: its holder acts on by what it wrote until it notices, so for us it is held
    /// for the whole duration from when it was last seen to change. A process that has never seen it cannot know, and takes
    /// what is free; the holder ends its term at its next renewal, which finds the object gone.
    pub fn update(&mut self, record: Option<LeaseSpec>, now: Duration) {
        self.is_gone = record.is_none();
        if record.is_some() && self.record != record || self.since == Duration::ZERO {
            *self = Self { record, since: now, is_gone: self.is_gone };
        }
    }
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// There is none: create it.
    Create,
    /// Take it: free, given up, or not renewed for its whole duration.
    Take,
    /// Ours: renew it.
    Renew,
    /// Somebody's: look again after this.
    Wait(Duration),
}

/// Decides.
pub fn evaluate(observed: &Observed, me: &str, now: Duration, fallback: Duration) -> Verdict {
    let Some(record) = &observed.record else { return Verdict::Create };
    let holder = record.holder_identity.as_deref().unwrap_or_default();
    let free = if observed.is_gone { Verdict::Create } else { Verdict::Take };
    if holder == me {
        // Ours, and gone: our term has ended, and whoever else makes one first has it.
        return if observed.is_gone { free } else { Verdict::Renew };
    }
    if holder.is_empty() {
        return free;
    }
    let duration =
        record.lease_duration_seconds.and_then(|s| u64::try_from(s).ok()).map_or(fallback, Duration::from_secs);
    let over = observed.since.saturating_add(duration);
    if now >= over { free } else { Verdict::Wait(over.saturating_sub(now)) }
}

/// Whether the Lease is still held as `me` took it: nobody else has held it since.
pub fn is_same_term(attachment: &LeaseSpec, read: &LeaseSpec, me: &str) -> bool {
    read.holder_identity.as_deref() == Some(me)
        && read.acquire_time == attachment.acquire_time
        && read.lease_transitions == attachment.lease_transitions
}

/// Whether the API server shows an older state of the same Lease than it did: its store was restored from a backup. A
/// resourceVersion is etcd's revision, which only grows
/// (<https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>).
pub fn is_rewound(attachment: &ObjectMeta, read: &ObjectMeta) -> bool {
    let version = |meta: &ObjectMeta| meta.resource_version.as_ref().and_then(|version| version.parse::<u64>().ok());
    attachment.uid == read.uid
        && version(attachment).zip(version(read)).is_some_and(|(attachment, read)| read < attachment)
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
        assert!(!is_rewound(&meta("a", "100"), &meta("b", "99")), "it was made anew");
        assert!(!is_rewound(&meta("a", "x"), &meta("a", "99")));
    }

    const LEASE: Duration = Duration::from_secs(15);

    fn held_by(holder: &str) -> LeaseSpec {
        LeaseSpec { holder_identity: Some(holder.into()), lease_duration_seconds: Some(15), ..Default::default() }
    }

    #[test]
    fn a_term_is_over_when_another_has_held_the_lease_even_if_it_is_free_again() {
        let attachment = LeaseSpec { lease_transitions: Some(3), ..held_by("me") };
        let renewed = LeaseSpec { lease_duration_seconds: Some(16), ..attachment.clone() };
        assert!(is_same_term(&attachment, &renewed, "me"));
        let others = LeaseSpec { lease_transitions: Some(4), ..held_by("other") };
        let released = LeaseSpec { holder_identity: None, ..others.clone() };
        let ours_again = LeaseSpec { lease_transitions: Some(5), ..attachment.clone() };
        assert!([others, released, ours_again].iter().all(|read| !is_same_term(&attachment, read, "me")));
    }

    #[test]
    fn a_lease_that_somebody_deletes_is_held_until_its_time_is_over() {
        let (mut seen, at) = (Observed::default(), Duration::from_secs);
        seen.update(None, at(1));
        assert_eq!(evaluate(&seen, "me", at(1), LEASE), Verdict::Create, "nobody has ever held it, as far as we know");
        seen.update(Some(held_by("other")), at(10));
        seen.update(None, at(12));
        assert_eq!(evaluate(&seen, "me", at(12), LEASE), Verdict::Wait(at(13)));
        seen.update(None, at(25));
        assert_eq!(evaluate(&seen, "me", at(25), LEASE), Verdict::Create);
        seen.update(Some(held_by("third")), at(25));
        assert_eq!(evaluate(&seen, "me", at(25), LEASE), Verdict::Wait(at(15)));
        seen.update(Some(held_by("me")), at(40));
        seen.update(None, at(41));
        assert_eq!(evaluate(&seen, "me", at(41), LEASE), Verdict::Create);
    }

    #[test]
    fn a_lease_is_taken_only_after_its_whole_duration_without_a_change() {
        let mut seen = Observed::default();
        let at = Duration::from_secs;
        assert_eq!(evaluate(&seen, "me", at(1), LEASE), Verdict::Create);
        seen.update(Some(held_by("other")), at(10));
        assert_eq!(evaluate(&seen, "me", at(10), LEASE), Verdict::Wait(at(15)));
        seen.update(Some(held_by("other")), at(24));
        assert_eq!(
            evaluate(&seen, "me", at(24), LEASE),
            Verdict::Wait(at(1)),
            "the same record does not restart the wait"
        );
        assert_eq!(evaluate(&seen, "me", at(25), LEASE), Verdict::Take);
        let mut renewed = held_by("other");
        renewed.lease_transitions = Some(1);
        seen.update(Some(renewed), at(25));
        assert_eq!(evaluate(&seen, "me", at(25), LEASE), Verdict::Wait(at(15)));
        seen.update(Some(held_by("")), at(26));
        assert_eq!(evaluate(&seen, "me", at(26), LEASE), Verdict::Take);
        seen.update(Some(held_by("me")), at(27));
        assert_eq!(evaluate(&seen, "me", at(27), LEASE), Verdict::Renew);
    }
}
