//! The settings of this crate, and the two functions that its caller injects: the clock and the fence.

use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// The wall clock: the process's own, or the simulator's.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// True if a request sent now with this timeout ends before the Lease deadline.
pub type Fence = Arc<dyn Fn(Duration) -> bool + Send + Sync>;

/// Timeouts, intervals, rate limits and page sizes of the calls to EC2.
#[derive(Debug, Clone)]
pub struct Options {
    /// Timeout of one call, including the time to get credentials. Default 10 s.
    pub call_timeout: Duration,
    /// From the start of one resync to the start of the next. Default 60 s.
    pub resync_every: Duration,
    /// From one poll of the ENIs that attach or detach to the next. Default 1 s.
    pub poll_every: Duration,
    /// Share of EC2's refill rates that this process uses in the long run, above 0 and at most 1. Default 0.8.
    pub budget_share: f64,
    /// Share of EC2's bucket sizes that this process uses at once after a rest, above 0 and at most 1. Default 1.
    pub burst_share: f64,
    /// How long after one of our calls EC2 may still show an older state (eventual consistency). Default 60 s.
    pub lag: SignedDuration,
    /// How long a lookup waits for other lookups to share its call. Default 5 ms.
    pub gather: Duration,
    /// First wait after a failed resync or lookup; each further failure doubles it, up to `resync_every`. Default 1 s.
    pub retry_after: Duration,
    /// Age from which a requested lookup describes a known subnet or group again. Default 120 s.
    pub network_valid: SignedDuration,
    /// ENIs in a page of a resync, 5 to 1,000 (EC2's bounds). Default 1,000.
    pub page_size: i32,
    /// Where pages of ENIs are asked for and parsed. None, the default: by the client and on the runtime of all other calls.
    pub pages_apart: Option<PagesApart>,
}

/// Pages of ENIs are asked for and parsed apart from all other calls, one at a time. A page of 1,000 ENIs takes tens of
/// milliseconds to parse, and the thread that parses does nothing else in that time. A page of 1,000 ENIs with 30 addresses each
/// takes tens of MiB until it is parsed.
#[derive(Debug, Clone)]
pub struct PagesApart {
    /// The runtime that asks for pages and parses them.
    pub runtime: tokio::runtime::Handle,
    /// The client that asks for pages. A connection stays on the runtime that opened it, so a client that shared its connections
    /// with other calls would let these wait for the parser.
    pub client: aws_sdk_ec2::Client,
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
            pages_apart: None,
        }
    }
}
