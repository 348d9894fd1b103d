//! What must never happen, and what must have happened in the end.

use crate::script::Millis;
use std::fmt;

/// A promise. Its name is what reports, scenario files and `docs/reliability.md` call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// Every ENI of ours has an ENIAttachment that knows it, or whose token finds it.
    NoLeak,
    /// An ENIAttachment never has two ENIs, and a slot never holds two.
    NoDouble,
    /// No ENI that is not ours is ever changed, and none whose tags were taken away.
    NothingForeign,
    /// Nothing that changes anything is sent that could end after the Lease; nor while another replica holds it.
    OnlyTheLeader,
    /// A finalizer goes only when EC2 is clean.
    FinalizersHold,
    /// What is wanted and well is not taken away: no decision from a partial or outdated view.
    NothingUnasked,
    /// An ENI without an ENIAttachment is let be until two whole sweeps, minutes apart, can have shown it so.
    OrphansWait,
    /// Nothing is detached by force before its grace is over.
    ForceWaits,
    /// No process calls EC2 faster than its budget, or sends anybody the very same over and over.
    Budget,
    /// What upstream's status lists is taken over before that list is replaced.
    TakenOver,
    /// No process repeats a request that ended the same way faster than a back-off allows.
    BacksOff,
    /// A rollout takes ready ENIs away from at most `maxUnavailable` nodes of a NodeENI at a time.
    MaxUnavailable,
    /// Labels and edits take ENIs from no more nodes of a NodeENI at a time than its pace allows.
    RemovalPace,
    /// What is refused for minutes is said on the NodeENI.
    Said,
    /// Nothing is made for, or attached to, an instance that EC2 has long shown terminated.
    NothingForTheDead,
    /// Once faults stop, the world becomes as the specs ask within a bounded time.
    Converges,
    /// In the end the status tells the truth; and whenever Ready changes it says nothing that has long been untrue.
    StatusTrue,
    /// At rest nothing is created, attached, detached, deleted or written.
    Quiet,
    /// The history itself could be told: no panic, no script that cannot be played.
    Told,
}

impl Promise {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::NoLeak,
        Self::NoDouble,
        Self::NothingForeign,
        Self::OnlyTheLeader,
        Self::FinalizersHold,
        Self::NothingUnasked,
        Self::OrphansWait,
        Self::ForceWaits,
        Self::Budget,
        Self::TakenOver,
        Self::BacksOff,
        Self::MaxUnavailable,
        Self::RemovalPace,
        Self::Said,
        Self::NothingForTheDead,
        Self::Converges,
        Self::StatusTrue,
        Self::Quiet,
        Self::Told,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoLeak => "no-leak",
            Self::NoDouble => "no-double",
            Self::NothingForeign => "nothing-foreign",
            Self::OnlyTheLeader => "only-the-leader",
            Self::FinalizersHold => "finalizers-hold",
            Self::NothingUnasked => "nothing-unasked",
            Self::OrphansWait => "orphans-wait",
            Self::ForceWaits => "force-waits",
            Self::Budget => "budget",
            Self::TakenOver => "taken-over",
            Self::BacksOff => "backs-off",
            Self::MaxUnavailable => "max-unavailable",
            Self::RemovalPace => "removal-pace",
            Self::Said => "said",
            Self::NothingForTheDead => "nothing-for-the-dead",
            Self::Converges => "converges",
            Self::StatusTrue => "status-true",
            Self::Quiet => "quiet",
            Self::Told => "told",
        }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// When.
    pub at: Millis,
    /// Which.
    pub promise: Promise,
    /// How.
    pub how: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:.3} s: {}", self.promise, seconds(self.at), self.how)
    }
}

/// Milliseconds as seconds, for people.
#[allow(clippy::cast_precision_loss, reason = "for people")]
pub fn seconds(at: Millis) -> f64 {
    at as f64 / 1000.0
}
