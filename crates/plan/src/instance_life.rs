//! The life of an EC2 instance: what the lookups of its state prove. This file is given the results of lookups and sends
//! none.
//!
//! An instance is gone if EC2 calls it `shutting-down` or `terminated`. A single lookup that does not show the instance
//! is no proof: two lookups must miss it, at least [`APART`] apart, and a whole resync must have begun since the first one. A later
//! lookup that shows the instance as alive overrides this.

use jiff::{SignedDuration, Timestamp};

/// A Node usually outlives its instance by at most this time.
pub(crate) const NODE_OUTLIVES: SignedDuration = SignedDuration::from_secs(600);

/// The least time between two lookups that both miss an instance, before the instance counts as gone.
pub const APART: SignedDuration = SignedDuration::from_secs(60);

/// The longest wait between two lookups of an instance that EC2 does not show.
const SLOWEST: SignedDuration = SignedDuration::from_secs(300);

/// State of an EC2 instance, as one lookup shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InstanceState {
    /// pending
    Pending,
    /// running
    Running,
    /// stopping or stopped
    Stopped,
    /// shutting-down
    ShuttingDown,
    /// terminated
    Terminated,
    /// A state that has no name here. The instance exists.
    Unnamed,
    /// The lookup did not show the instance.
    Missing,
}

/// What the lookups of an instance in a row prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Life {
    /// The instance exists, and may be stopped.
    Alive,
    /// EC2 does not show the instance, and it is not proven gone.
    Doubtful,
    /// The instance will not come back.
    Gone,
}

/// The last lookup of an instance's state, and since when the lookups agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstanceObservation {
    /// The state that the lookup showed.
    pub state: InstanceState,
    /// Start of the Describe.
    pub as_of: Timestamp,
    /// Start of the first lookup in a row that gave the same result: alive, not shown, or terminated.
    pub since: Timestamp,
    /// The lookups miss the instance, and no whole resync has begun since the first of them. So they prove nothing yet: another
    /// account does not show the instance either, and its resync shows nothing of this cluster, which puts the account in doubt.
    pub awaits_resync: bool,
}

impl InstanceObservation {
    /// The first lookup of an instance.
    pub fn first(state: InstanceState, as_of: Timestamp) -> Self {
        Self { state, as_of, since: as_of, awaits_resync: false }
    }

    /// Adds the next lookup, which showed `state`. An older lookup changes nothing.
    pub fn then(self, state: InstanceState, as_of: Timestamp) -> Self {
        if as_of < self.as_of {
            return self;
        }
        let since = if kind(self.state) == kind(state) { self.since } else { as_of };
        Self { state, as_of, since, awaits_resync: false }
    }

    /// The same, with the start of the last whole resync.
    #[must_use]
    pub fn with_resync(self, last: Option<Timestamp>) -> Self {
        let is_checked = last.is_some_and(|resync| resync >= self.since);
        Self { awaits_resync: self.state == InstanceState::Missing && !is_checked, ..self }
    }

    /// What the lookups prove.
    pub fn life(&self) -> Life {
        match kind(self.state) {
            Life::Doubtful if !self.awaits_resync && self.as_of.duration_since(self.since) >= APART => Life::Gone,
            other => other,
        }
    }

    /// Whether EC2 itself says that the instance is gone, which is final.
    pub fn is_reported_gone(&self) -> bool {
        kind(self.state) == Life::Gone
    }

    /// When an instance that is not shown is looked up again. The wait is as long as lookups have missed the instance,
    /// but at least [`APART`] and at most 5 minutes.
    pub fn again_at(&self) -> Timestamp {
        let wait = self.as_of.duration_since(self.since).clamp(APART, SLOWEST);
        self.as_of.saturating_add(wait).unwrap_or(Timestamp::MAX)
    }
}

fn kind(state: InstanceState) -> Life {
    match state {
        InstanceState::Pending | InstanceState::Running | InstanceState::Stopped | InstanceState::Unnamed => {
            Life::Alive
        }
        InstanceState::ShuttingDown | InstanceState::Terminated => Life::Gone,
        InstanceState::Missing => Life::Doubtful,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assign::tests::at;

    #[test]
    fn an_instance_is_gone_after_two_lookups_apart_miss_it() {
        let missed = InstanceObservation::first(InstanceState::Missing, at(0));
        assert_eq!(missed.life(), Life::Doubtful);
        assert_eq!(missed.then(InstanceState::Missing, at(59)).life(), Life::Doubtful);
        assert_eq!(missed.then(InstanceState::Missing, at(60)).life(), Life::Gone);
        let apart = missed.then(InstanceState::Missing, at(60));
        assert_eq!(apart.with_resync(None).life(), Life::Doubtful, "another account may have answered");
        assert_eq!(apart.with_resync(Some(at(-1))).life(), Life::Doubtful);
        assert_eq!(apart.with_resync(Some(at(0))).life(), Life::Gone);
        let reported = InstanceObservation::first(InstanceState::Terminated, at(0)).with_resync(None);
        assert_eq!(reported.life(), Life::Gone, "EC2 says so");
        // A lookup that shows the instance restarts the count.
        let shown = missed.then(InstanceState::Running, at(30));
        assert_eq!((shown.life(), shown.since), (Life::Alive, at(30)));
        assert_eq!(shown.then(InstanceState::Missing, at(70)).life(), Life::Doubtful);
    }

    #[test]
    fn a_later_lookup_overrides_and_an_older_one_is_ignored() {
        let gone = InstanceObservation::first(InstanceState::Missing, at(0)).then(InstanceState::Missing, at(100));
        assert_eq!(gone.then(InstanceState::Stopped, at(160)).life(), Life::Alive);
        assert_eq!(gone.then(InstanceState::Running, at(90)), gone);
        let reported =
            InstanceObservation::first(InstanceState::ShuttingDown, at(0)).then(InstanceState::Terminated, at(50));
        assert_eq!((reported.life(), reported.since, reported.is_reported_gone()), (Life::Gone, at(0), true));
    }

    #[test]
    fn a_missed_instance_is_looked_up_more_and_more_rarely() {
        let missed = InstanceObservation::first(InstanceState::Missing, at(0));
        assert_eq!(missed.again_at(), at(60));
        assert_eq!(missed.then(InstanceState::Missing, at(120)).again_at(), at(240));
        assert_eq!(missed.then(InstanceState::Missing, at(5_000)).again_at(), at(5_300));
    }
}
