//! The fence. It lets a request pass only if the request's timeout ends before the Lease can belong to another replica. It is
//! given the deadline by the leader election, and never renews the Lease itself.

use crate::clock::Steady;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The fence, shared by everything that sends. A check costs one uncontended lock.
#[derive(Clone)]
pub struct Fence {
    steady: Steady,
    until: Arc<Mutex<Until>>,
    refused: Arc<[AtomicU64; 2]>,
}

/// What a request is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// EC2.
    Ec2,
    /// The API server.
    ApiServer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// There is no election: every request may pass.
    Always,
    /// This replica does not lead: no request may pass.
    Never,
    /// This replica leads until this time on the steady clock.
    Deadline(Duration),
}

impl Fence {
    /// A fence that is always open, for a single replica without election.
    pub fn open(steady: Steady) -> Self {
        Self { steady, until: Arc::new(Mutex::new(Until::Always)), refused: Arc::default() }
    }

    /// A fence that is closed until a Lease is held.
    pub fn closed(steady: Steady) -> Self {
        Self { steady, until: Arc::new(Mutex::new(Until::Never)), refused: Arc::default() }
    }

    /// Whether a request with this timeout, if it is sent now, ends before the Lease can belong to another replica.
    pub fn may_send(&self, timeout: Duration) -> bool {
        match *self.lock() {
            Until::Always => true,
            Until::Never => false,
            Until::Deadline(deadline) => (self.steady)().saturating_add(timeout) < deadline,
        }
    }

    /// The same, for a request that is sent now unless this refuses it: counts the refusal.
    pub fn lets_pass(&self, target: Target, timeout: Duration) -> bool {
        let passes = self.may_send(timeout);
        if !passes {
            let [ec2, api_server] = &*self.refused;
            let refused = match target {
                Target::Ec2 => ec2,
                Target::ApiServer => api_server,
            };
            refused.fetch_add(1, Ordering::Relaxed);
        }
        passes
    }

    /// How many requests were refused so far, by target.
    pub fn refused(&self) -> [(&'static str, u64); 2] {
        let [ec2, api_server] = &*self.refused;
        [("ec2", ec2.load(Ordering::Relaxed)), ("api_server", api_server.load(Ordering::Relaxed))]
    }

    /// The present time on the fence's clock.
    pub fn now(&self) -> Duration {
        (self.steady)()
    }

    pub(super) fn extend_to(&self, deadline: Duration) {
        *self.lock() = Until::Deadline(deadline);
    }

    pub(super) fn close(&self) {
        *self.lock() = Until::Never;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Until> {
        self.until.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_allowed_only_if_its_timeout_ends_before_the_deadline() {
        let fence = Fence::closed(Arc::new(|| Duration::from_secs(100)));
        assert!(!fence.may_send(Duration::ZERO));
        fence.extend_to(Duration::from_secs(110));
        assert!(fence.may_send(Duration::from_secs(9)));
        assert!(!fence.may_send(Duration::from_secs(10)));
        fence.close();
        assert!(!fence.may_send(Duration::ZERO));
        assert_eq!(fence.refused(), [("ec2", 0), ("api_server", 0)], "a question is no request");
        assert!(!fence.lets_pass(Target::Ec2, Duration::ZERO));
        assert!(!fence.clone().lets_pass(Target::ApiServer, Duration::ZERO));
        assert!(!fence.lets_pass(Target::ApiServer, Duration::ZERO));
        assert_eq!(fence.refused(), [("ec2", 1), ("api_server", 2)]);
        assert!(Fence::open(Arc::new(|| Duration::from_secs(100))).may_send(Duration::MAX));
    }
}
