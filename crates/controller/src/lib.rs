//! The shell around the decisions of `multi-eni-plan`: watch, execute, report, lease, serve; and the `multi-eni` binary.
//!
//! - [`watch`] → [`world`] → [`queue`] → [`reconcile`] (decides by `plan`) → [`write`](mod@write), [`events`], crate `ec2`.
//! - [`lead`]: Lease and fence. [`client`]: the API server behind it.
//! - [`run`]: a controller's life. [`serve`]: health and metrics. [`cli`]: the binary's commands.

pub mod cli;
pub mod client;
pub mod clock;
pub mod events;
pub mod facts;
pub mod lead;
pub mod logs;
mod metrics;
pub mod queue;
pub mod reconcile;
pub mod run;
pub mod sandbox;
pub mod serve;
pub mod watch;
pub mod world;
pub mod write;
