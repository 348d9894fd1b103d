//! Settings, and the two things that come from outside: the clock and the fence.

use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// The wall clock: the process's own, or the simulator's.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// True if a request sent now with this timeout ends before the Lease deadline.
pub type Fence = Arc<dyn Fn(Duration) -> bool + Send + Sync>;

/// How EC2 is called and looked at.
#[derive(Debug, Clone)]
pub struct Options {
    /// Timeout of one call, credentials included. Default 10 s.
    pub call_timeout: Duration,
    /// From the start of one sweep to the start of the next. Default 60 s.
    pub resync_every: Duration,
    /// From one poll of what is attaching or detaching to the next. Default 1 s.
    pub poll_every: Duration,
    /// Share of EC2's refill rates that we use in the long run, above 0 and at most 1. Default 0.8.
    pub budget_share: f64,
    /// Share of EC2's bucket sizes that we use at once after a rest, above 0 and at most 1. Default 1.
    pub burst_share: f64,
    /// How long EC2 may show something older than our last call (eventual consistency). Default 60 s.
    pub lag: SignedDuration,
    /// How long a question waits for others to share its call. Default 5 ms.
    pub gather: Duration,
    /// First wait after a Describe that failed; doubled each time up to `resync_every`. Default 1 s.
    pub retry_after: Duration,
    /// Age from which a subnet or group that is asked for again is described again. Default 120 s.
    pub network_valid: SignedDuration,
    /// ENIs a page of a sweep, 5 to 1,000 (EC2's bounds). Default 1,000.
    pub page_size: i32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            call_timeout: Duration::from_secs(10),
            resync_every: Duration::from_secs(60),
            poll_every: Duration::from_secs(1),
            budget_share: 0.8,
            burst_share: 1.0,
            lag: SignedDuration::from_secs(60),
            gather: Duration::from_millis(5),
            retry_after: Duration::from_secs(1),
            network_valid: SignedDuration::from_secs(120),
            page_size: 1000,
        }
    }
}
