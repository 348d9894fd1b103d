//! EC2, as Multi-ENI uses it: one shared cache, one rate limit an action, one attempt a call.
//!
//! The only crate with aws-sdk-ec2.
//!
//! - [`client()`]: the SDK's client, its retries off and its timeouts explicit.
//! - [`Ec2`]: mutations (one attempt each: token, fence, send, write through), what decisions read (synchronous), and
//!   lookups (remembered, batched, answered in the background; then [`Changed`] is sent).
//! - `cache`: what EC2 shows, with our own answered calls written through; plain data, tested without I/O.
//! - `rate_limit`: a token bucket for each EC2 action, which learns from throttling, and a fair queue before it.
//! - `batcher`, `catalog`: lookups that are answered together; what is known of subnets, groups and instance types.
//!
//! Nothing here reads a wall clock other than [`Clock`]; waiting is tokio's.

mod batcher;
mod cache;
mod calls;
mod catalog;
mod changed;
mod client;
mod convert;
mod ec2;
mod errors;
mod lock;
mod notes;
mod options;
mod rate_limit;
mod reads;
mod request_counts;
mod requests;
mod silences;
mod unreadable;

pub use aws_sdk_ec2::Client;
pub use changed::Changed;
pub use client::{ConnectError, client, client_at, client_over};
pub use ec2::Ec2;
pub use options::{Clock, Fence, Options};
pub use rate_limit::action::shortest;
pub use rate_limit::limiter::{Buckets, RateStatus};
pub use unreadable::UnreadableEni;
