//! EC2 as Multi-ENI uses it: one shared cache, one rate limit for each action, one attempt for each call. This is the only
//! crate that depends on aws-sdk-ec2.
//!
//! - [`client()`] builds the SDK's client, with retries off and explicit timeouts.
//! - [`Ec2`] sends mutations (one attempt each: wait for a token, check the fence, send, write through), serves the reads of
//!   decisions from the cache (synchronous), and takes requests for lookups. It batches lookups, sends them in the background,
//!   and then sends [`Changed`].
//! - `cache`: what EC2 showed last, with the answers of our own calls written through; plain data, tested without I/O.
//! - `rate_limit`: a token bucket for each EC2 action, which lowers its rate when EC2 throttles, and a fair queue before it.
//! - `unchanged`: what a page of ENIs repeats is not parsed again.
//! - `batcher`: lookups that share a call. `catalog`: the known subnets, security groups and instance types.
//!
//! The crate reads no wall clock other than [`Clock`]. It waits with tokio's timers only.

mod audit;
mod batcher;
mod cache;
mod cached_reads;
mod call_report;
mod calls;
mod catalog;
mod changed;
mod convert;
mod describe_outages;
mod describe_outcomes;
mod ec2;
mod histogram;
mod lock;
mod lookup_requests;
mod options;
mod rate_limit;
mod request_counts;
mod request_stats;
mod resync_stats;
mod sdk_client;
mod sdk_error;
mod unchanged;
mod unreadable;

pub use audit::OwnedEnis;
pub use aws_sdk_ec2::Client;
pub use call_report::CallReport;
pub use changed::Changed;
pub use ec2::Ec2;
pub use histogram::Histogram;
pub use options::{Clock, Fence, Options, PagesApart};
pub use rate_limit::action::{action_names, shortest};
pub use rate_limit::limiter::{Buckets, RateStatus};
pub use request_stats::RequestStats;
pub use resync_stats::{Resync, ResyncStats};
pub use sdk_client::{ConnectError, client, client_at, client_over, clients};
pub use unreadable::UnreadableEni;
