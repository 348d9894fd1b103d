//! The shell around the decisions of `multi-eni-plan`: watch, execute, report, lease, serve; and the `multi-eni` binary.
//!
//! - [`watch`] → [`store`] → [`work_queue`] → [`reconcile`] (decides by `plan`) → [`api_writes`], [`events`], crate `ec2`.
//! - [`leader_election`]: Lease and fence. [`client`]: the API server behind it.
//! - [`run`]: a controller's life. [`http_server`]: health and metrics. [`cli`]: the binary's commands.

pub mod api_writes;
pub mod cli;
pub mod client;
pub mod clock;
pub mod convert;
pub mod events;
pub mod http_server;
pub mod leader_election;
pub mod logs;
mod metrics;
pub mod reconcile;
pub mod run;
pub mod sandbox;
pub mod store;
pub mod watch;
pub mod work_queue;
