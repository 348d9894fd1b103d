//! The controller process and the commands of the `multi-eni` binary. This crate watches the API server, asks the pure functions
//! of `multi-eni-plan` for decisions, and executes the answers on EC2 and on the API server. It never decides what should happen
//! to an ENI: that is `multi-eni-plan`'s part.
//!
//! Start reading in [`run`] (the life of a process) and [`reconcile`] (the loop).
//!
//! - Input: [`watch`] brings changes, [`store`] keeps the objects, [`work_queue`] keeps the keys that must be reconciled.
//! - Output: [`api_writes`] and [`events`] write to the API server; crate `multi-eni-ec2` calls EC2.
//! - [`leader_election`]: the Lease and the fence. [`client`]: clients of the API server, with and without the fence.
//! - [`http_server`]: health and metrics. [`cli`]: the commands. `sandbox`: the simulated demonstration, behind the feature
//!   of that name, used by [`cli`] alone.

pub mod api_writes;
pub mod cli;
pub mod client;
pub mod clock;
pub mod connections;
pub mod events;
pub mod http_server;
pub mod leader_election;
pub mod logs;
mod metrics;
pub mod node_and_pod;
mod nodeeni_file;
mod nodeeni_values;
pub mod reconcile;
pub mod run;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod store;
pub mod watch;
pub mod work_queue;
