//! The invariants that the checker enforces, and the report of a violation. The rules themselves are in the other files of
//! `checker` and in `convergence`.

use crate::script::Millis;
use std::fmt;

/// An invariant. Reports, scenario files and `docs/reliability.md` use its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// Every ENI of this cluster has an ENIAttachment that records it, or whose ClientToken finds it.
    NoLeak,
    /// An ENIAttachment never has two ENIs, and a slot never holds two.
    NoDouble,
    /// No replica changes an ENI that is not this cluster's, or whose ownership tags have long been missing.
    NothingForeign,
    /// No replica sends a changing request that could end after its Lease, or while another replica holds the Lease.
    OnlyTheLeader,
    /// A finalizer is removed only when EC2 is clean.
    FinalizersHold,
    /// An ENI that is wanted and works is not taken away: no decision rests on a partial or outdated view.
    NothingUnasked,
    /// An ENI without an ENIAttachment is left alone until two complete resyncs, minutes apart, can have shown it without one.
    OrphansWait,
    /// No ENI is detached by force before its grace is over.
    ForceWaits,
    /// No process calls EC2 faster than its budget, or sends the very same request again and again.
    Budget,
    /// Each ENI that upstream's status lists has an ENIAttachment before that list is replaced.
    TakenOver,
    /// No process repeats a request that ended in the same way faster than a back-off allows.
    BacksOff,
    /// A rollout takes ready ENIs away from at most `maxUnavailable` nodes of a NodeENI at a time.
    MaxUnavailable,
    /// Labels and edits take ENIs from no more nodes of a NodeENI at a time than its pace allows.
    RemovalPace,
    /// What has been refused for minutes, and an ENI that has lost its tags, is reported on the NodeENI.
    Said,
    /// Nothing is created for, or attached to, an instance that EC2 has long shown as terminated.
    NothingForTheDead,
    /// The startup taint of a Node goes only when its ENIs are Ready or none is wanted there, and does go then.
    StartupTaint,
    /// An ENI whose device is bound to a driver for DPDK is detached when the node agent has given it back, or after a deadline.
    DeviceReturn,
    /// Within a bounded time after the faults stop, the system is as the specs ask.
    Converges,
    /// At the end the statuses are true. Whenever Ready changes, it says nothing that has long been untrue.
    StatusTrue,
    /// At rest nothing is created, attached, detached, deleted or written.
    Quiet,
    /// The history runs to its end: no panic, and no script that cannot be run.
    Told,
}

impl Invariant {
    /// All invariants.
    pub const ALL: [Self; 21] = [
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
        Self::StartupTaint,
        Self::DeviceReturn,
        Self::Converges,
        Self::StatusTrue,
        Self::Quiet,
        Self::Told,
    ];

    /// The invariant's name.
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
            Self::StartupTaint => "startup-taint",
            Self::DeviceReturn => "device-return",
            Self::Converges => "converges",
            Self::StatusTrue => "status-true",
            Self::Quiet => "quiet",
            Self::Told => "told",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A violation of an invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// When it happened.
    pub at: Millis,
    /// The invariant.
    pub invariant: Invariant,
    /// What happened, in words.
    pub how: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:.3} s: {}", self.invariant, seconds(self.at), self.how)
    }
}

/// Milliseconds as seconds, for output.
#[allow(clippy::cast_precision_loss, reason = "for output")]
pub fn seconds(at: Millis) -> f64 {
    at as f64 / 1000.0
}
