//! How this EC2 behaves.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

/// How the simulated EC2 behaves. Rates, delays and limits are settings because AWS changes them per account.
#[derive(Clone, Debug)]
pub struct Settings {
    /// From Attach's answer to `attached`: commonly 1–4 s.
    pub attach_delay: RangeInclusive<Duration>,
    /// From Detach's answer to `available`: commonly 1–4 s.
    pub detach_delay: RangeInclusive<Duration>,
    /// How long a call takes; half of it passes before the call takes effect, half after.
    pub call_latency: RangeInclusive<Duration>,
    /// From TerminateInstances to `terminated`. Zero: at once.
    pub shutdown_delay: Duration,
    /// Token buckets per action; `None`: no throttling.
    pub buckets: Option<Buckets>,
    /// The longest a read may lag behind a mutation. Zero: reads are consistent.
    pub lag: Duration,
    /// With `lag`: reads may go back to an older state after a newer one was seen, as answers come from several replicas.
    pub flapping_reads: bool,
    /// Network interfaces a Region may have, primary ones included (AWS's default is 5,000).
    pub eni_quota: Option<u32>,
    /// Whether a Create that repeats a token is checked against the quota before the token is looked up
    /// (facts: "limit errors may ignore it").
    pub quota_before_token: bool,
    /// How long a client token is remembered ("hours, not for ever").
    pub token_memory: Duration,
    /// How long a page token is good for.
    pub page_expiry: Duration,
    /// MaxResults counts what was looked at rather than what matched: pages may be short, or empty, with a NextToken.
    pub short_pages: bool,
    /// More interfaces than this and an unfiltered, unpaginated DescribeNetworkInterfaces is refused
    /// (OperationNotPermitted).
    pub unpaginated_limit: usize,
    /// Security groups an interface may have (AWS's default is 5).
    pub groups_per_interface: usize,
    /// A forced detach leaves its slot unusable (attaching for ever) until the instance stops.
    pub force_spoils_slot: bool,
    /// How many call records are kept.
    pub records: usize,
    /// Decides every ID, delay and lag.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            attach_delay: Duration::from_secs(1)..=Duration::from_secs(4),
            detach_delay: Duration::from_secs(1)..=Duration::from_secs(4),
            call_latency: Duration::from_millis(40)..=Duration::from_millis(120),
            shutdown_delay: Duration::ZERO,
            buckets: None,
            lag: Duration::ZERO,
            flapping_reads: false,
            eni_quota: Some(5000),
            quota_before_token: true,
            token_memory: Duration::from_secs(12 * 3600),
            page_expiry: Duration::from_secs(600),
            short_pages: false,
            unpaginated_limit: 1000,
            groups_per_interface: 5,
            force_spoils_slot: false,
            records: 100_000,
            seed: 1,
        }
    }
}

impl Settings {
    /// No delays, no lag, no throttling: for tests about something else.
    pub fn instant() -> Self {
        let zero = || Duration::ZERO..=Duration::ZERO;
        Self { attach_delay: zero(), detach_delay: zero(), call_latency: zero(), ..Self::default() }
    }
}

/// Token buckets of an account and Region: (capacity, refill per second).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buckets {
    /// By action.
    pub actions: BTreeMap<&'static str, (u32, u32)>,
    /// For Describe* calls that filter or paginate, and for what is not listed.
    pub filtered: (u32, u32),
    /// For DescribeNetworkInterfaces and DescribeInstances without filter, IDs or pages.
    pub unfiltered: (u32, u32),
}

impl Default for Buckets {
    /// EC2's defaults, from "Request throttling for the Amazon EC2 API" (`facts/ec2.md`).
    fn default() -> Self {
        let actions = [
            ("CreateNetworkInterface", (100, 5)),
            ("DeleteNetworkInterface", (100, 5)),
            ("ModifyNetworkInterfaceAttribute", (100, 5)),
            ("AssignPrivateIpAddresses", (100, 5)),
            ("UnassignPrivateIpAddresses", (100, 5)),
            ("AttachNetworkInterface", (50, 5)),
            ("DetachNetworkInterface", (50, 5)),
            ("CreateTags", (100, 10)),
            ("DeleteTags", (100, 10)),
        ];
        Self { actions: actions.into_iter().collect(), filtered: (100, 20), unfiltered: (50, 10) }
    }
}
