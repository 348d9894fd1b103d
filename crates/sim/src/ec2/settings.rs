//! The settings of a simulated EC2: delays, limits, rates and consistency.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The behaviour of a simulated EC2. Rates, delays and limits are settings because AWS changes them per account.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Time from the effect of Attach to `attached`, commonly 1–4 s.
    pub attach_delay: RangeInclusive<Duration>,
    /// Time from the effect of Detach to `available`, commonly 1–4 s.
    pub detach_delay: RangeInclusive<Duration>,
    /// Duration of a call. Half of it passes before the call takes effect, half after.
    pub call_latency: RangeInclusive<Duration>,
    /// Time from TerminateInstances to `terminated`. With zero, the instance terminates at once.
    pub shutdown_delay: Duration,
    /// Token buckets per action. `None` switches throttling off.
    pub buckets: Option<Buckets>,
    /// The longest time by which a read may lag behind a mutation. With zero, reads are consistent.
    pub lag: Duration,
    /// With `lag`: a read may show an older state than the read before, as if answers came from several replicas of EC2.
    pub flapping_reads: bool,
    /// The limit of network interfaces in the Region, primary ones included. AWS's default is 5,000.
    pub eni_quota: Option<u32>,
    /// Whether a Create that repeats a token is checked against the quota before the lookup of the token (`facts/ec2.md`: "limit
    /// errors may ignore it").
    pub quota_before_token: bool,
    /// How long a client token is remembered (`facts/ec2.md`: "hours, not for ever").
    pub token_memory: Duration,
    /// How long a pagination token is valid.
    pub page_expiry: Duration,
    /// MaxResults counts the examined items instead of the matching ones. Pages with a NextToken may then be short or empty.
    pub short_pages: bool,
    /// In each answer of DescribeNetworkInterfaces, the interfaces of a page and their tags, groups, prefixes and addresses after the
    /// primary one are in another order. EC2 promises none.
    pub shuffles_lists: bool,
    /// With more interfaces than this, an unfiltered and unpaginated DescribeNetworkInterfaces is refused with
    /// OperationNotPermitted.
    pub unpaginated_limit: usize,
    /// The limit of security groups per interface. AWS's default is 5.
    pub groups_per_interface: usize,
    /// A forced detach leaves its slot unusable until the instance stops: a later attachment there stays `attaching`.
    pub force_spoils_slot: bool,
    /// Parameters that this endpoint does not know yet, although the simulator does: EC2 in an isolated Region may be older.
    pub unknown_parameters: &'static [&'static str],
    /// The number of call records that are kept.
    pub records: usize,
    /// The seed of all IDs, delays and lags.
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
            shuffles_lists: false,
            unpaginated_limit: 1000,
            groups_per_interface: 5,
            force_spoils_slot: false,
            unknown_parameters: &[],
            records: 100_000,
            seed: 1,
        }
    }
}

impl Settings {
    /// Settings without delays, lag and throttling, for tests that are not about timing.
    pub fn instant() -> Self {
        let zero = || Duration::ZERO..=Duration::ZERO;
        Self { attach_delay: zero(), detach_delay: zero(), call_latency: zero(), ..Self::default() }
    }
}

/// The token buckets of an account and Region, each as (capacity, refill per second).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buckets {
    /// Buckets by action.
    pub actions: BTreeMap<&'static str, (u32, u32)>,
    /// The bucket of each action that `actions` does not list, except for the calls of `unfiltered`.
    pub filtered: (u32, u32),
    /// The bucket of DescribeNetworkInterfaces and DescribeInstances for calls without filters, IDs and pages.
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
