//! The metrics of the leader election and of the fence.

use super::counters::Counters;
use super::description::{Kind, Metric};
use super::exposition::{Exposition, Value};
use multi_eni_ec2::Histogram;
use std::sync::{Mutex, PoisonError};

const LEADING: Metric = Metric::stable("multi_eni_leading", Kind::Gauge, &[], "1 while this replica leads");
const TRANSITIONS: Metric = Metric::alpha(
    "multi_eni_lease_transitions",
    Kind::Counter,
    &["to"],
    "How often this replica became the leader, or a standby after it had led",
);
const RENEWAL: Metric = Metric::alpha(
    "multi_eni_lease_renewal_duration_seconds",
    Kind::Histogram,
    &[],
    "How long the successful renewals of the Lease took",
);
const FAILURES: Metric =
    Metric::alpha("multi_eni_lease_renewal_failures", Kind::Counter, &[], "Renewals of the Lease that did not succeed");
const FENCED: Metric = Metric::alpha(
    "multi_eni_fence_refusals",
    Kind::Counter,
    &["target"],
    "Calls to EC2 and writes to the API server that were not sent, because the Lease may have ended before their timeout",
);

/// All metrics of this file.
#[cfg(test)]
pub const ALL: &[Metric] = &[LEADING, TRANSITIONS, RENEWAL, FAILURES, FENCED];

/// Upper bounds of a renewal, in seconds. It times out after 3 s.
const RENEWAL_BOUNDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// What a replica becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It leads.
    Leader,
    /// It no longer leads.
    Standby,
}

/// What this process has counted of its leader election.
#[derive(Debug)]
pub struct LeaseCounts {
    transitions: Counters,
    renewals: Mutex<Histogram>,
    failures: Counters,
}

impl Default for LeaseCounts {
    fn default() -> Self {
        Self {
            transitions: Counters::beginning_with(&["leader", "standby"]),
            renewals: Mutex::new(Histogram::new(RENEWAL_BOUNDS)),
            failures: Counters::unlabelled(),
        }
    }
}

impl LeaseCounts {
    /// Counts that this replica became something else.
    pub fn became(&self, role: Role) {
        self.transitions.count([match role {
            Role::Leader => "leader",
            Role::Standby => "standby",
        }]);
    }

    /// Counts a renewal, with the seconds that it took.
    pub fn renewed(&self, seconds: f64) {
        self.renewals.lock().unwrap_or_else(PoisonError::into_inner).observe(seconds);
    }

    /// Counts a renewal that did not succeed.
    pub fn not_renewed(&self) {
        self.failures.count([]);
    }

    /// Writes the counts. `fenced`: the requests that the fence refused, by their target.
    pub fn write(&self, leading: i64, fenced: &[(&'static str, u64)], out: &mut Exposition) {
        out.one(&LEADING, Value::Whole(leading));
        out.add(&TRANSITIONS, self.transitions.rows());
        let renewals = self.renewals.lock().unwrap_or_else(PoisonError::into_inner).clone();
        out.one(&RENEWAL, Value::Histogram(renewals));
        out.add(&FAILURES, self.failures.rows());
        out.add(&FENCED, fenced.iter().map(|(target, n)| (vec![(*target).to_owned()], Value::Count(*n))));
    }
}
