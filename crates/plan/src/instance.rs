//! The life of an EC2 instance: what looks at its state show, and what may be concluded.
//!
//! Gone is what EC2 calls `shutting-down` or `terminated`. That a look does not show an instance is no proof: two looks must miss
//! it, [`APART`] apart. A later look that shows it running wins.

use jiff::{SignedDuration, Timestamp};

/// A Node usually outlives its instance by at most this long.
pub(crate) const NODE_OUTLIVES: SignedDuration = SignedDuration::from_secs(600);

/// How far apart two looks must be that both miss an instance, before it counts as gone.
pub const APART: SignedDuration = SignedDuration::from_secs(60);

/// The longest wait between two looks at an instance that is not shown.
const SLOWEST: SignedDuration = SignedDuration::from_secs(300);

/// State of an EC2 instance, as one look shows it.
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
    /// A state that has no name here: it is there.
    Unnamed,
    /// The look did not show it.
    Missing,
}

/// What looks in a row say of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Life {
    /// It is there, and may be stopped.
    Alive,
    /// Not shown, and that is not proven yet.
    Doubtful,
    /// It will not come back.
    Gone,
}

/// The last look at an instance's state, and since when looks say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstanceObservation {
    /// What was seen.
    pub state: InstanceState,
    /// Start of the Describe.
    pub as_of: Timestamp,
    /// Start of the first of the looks in a row that say the same: there, not shown, or terminated.
    pub since: Timestamp,
}

impl InstanceObservation {
    /// The first look at an instance.
    pub fn first(state: InstanceState, as_of: Timestamp) -> Self {
        Self { state, as_of, since: as_of }
    }

    /// The next look, which showed `state`. An older one changes nothing.
    pub fn then(self, state: InstanceState, as_of: Timestamp) -> Self {
        if as_of < self.as_of {
            return self;
        }
        let since = if kind(self.state) == kind(state) { self.since } else { as_of };
        Self { state, as_of, since }
    }

    /// What may be concluded.
    pub fn life(&self) -> Life {
        match kind(self.state) {
            Life::Doubtful if self.as_of.duration_since(self.since) >= APART => Life::Gone,
            other => other,
        }
    }

    /// EC2 itself says that it is gone: that is final.
    pub fn is_reported_gone(&self) -> bool {
        kind(self.state) == Life::Gone
    }

    /// When an instance that is not shown is looked at again: as long after the last look as looks have missed it, within bounds.
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
    fn only_two_looks_apart_that_miss_an_instance_say_that_it_is_gone() {
        let missed = InstanceObservation::first(InstanceState::Missing, at(0));
        assert_eq!(missed.life(), Life::Doubtful);
        assert_eq!(missed.then(InstanceState::Missing, at(59)).life(), Life::Doubtful);
        assert_eq!(missed.then(InstanceState::Missing, at(60)).life(), Life::Gone);
        // One that shows it starts the count anew.
        let shown = missed.then(InstanceState::Running, at(30));
        assert_eq!((shown.life(), shown.since), (Life::Alive, at(30)));
        assert_eq!(shown.then(InstanceState::Missing, at(70)).life(), Life::Doubtful);
    }

    #[test]
    fn a_later_look_that_shows_it_running_wins_and_an_older_one_says_nothing() {
        let gone = InstanceObservation::first(InstanceState::Missing, at(0)).then(InstanceState::Missing, at(100));
        assert_eq!(gone.then(InstanceState::Stopped, at(160)).life(), Life::Alive);
        assert_eq!(gone.then(InstanceState::Running, at(90)), gone);
        let said =
            InstanceObservation::first(InstanceState::ShuttingDown, at(0)).then(InstanceState::Terminated, at(50));
        assert_eq!((said.life(), said.since, said.is_reported_gone()), (Life::Gone, at(0), true));
    }

    #[test]
    fn the_longer_it_is_missed_the_slower_it_is_looked_at() {
        let missed = InstanceObservation::first(InstanceState::Missing, at(0));
        assert_eq!(missed.again_at(), at(60));
        assert_eq!(missed.then(InstanceState::Missing, at(120)).again_at(), at(240));
        assert_eq!(missed.then(InstanceState::Missing, at(5_000)).again_at(), at(5_300));
    }
}
