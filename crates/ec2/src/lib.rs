//! EC2, as Multi-ENI sees it: one shared view, one budget an action, one attempt a call.
//!
//! The only crate with aws-sdk-ec2.
//!
//! - [`client()`]: the SDK's client, its retries off and its timeouts explicit.
//! - [`Ec2`]: mutations (one attempt each: budget, fence, send, write through), what decisions read (synchronous), and
//!   questions (remembered, batched, answered in the background; then [`Changed`] is sent).
//! - `view`: what EC2 shows, with our own answered calls written through; plain data, tested without I/O.
//! - `budget`: a token bucket for each EC2 action, learned from throttling. `line`: who is served next.
//!
//! Nothing here reads a wall clock other than [`Clock`]; waiting is tokio's.

mod batcher;
mod cache;
mod calls;
mod catalog;
mod client;
mod convert;
mod ec2;
mod errors;
mod lock;
mod options;
mod rate_limit;
mod request_counts;
mod silences;
mod unreadable;

pub use aws_sdk_ec2::Client;
pub use client::{ConnectError, client, client_at, client_over};
pub use ec2::{Changed, Ec2};
pub use options::{Clock, Fence, Options};
pub use rate_limit::limiter::{Buckets, RateStatus, shortest};
pub use unreadable::UnreadableEni;
