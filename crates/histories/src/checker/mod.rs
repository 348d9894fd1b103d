//! The checker: it observes every event of a history, writes the trace, and judges each event against the invariants at once.
//!
//! - [`handle`]: what the other parts of a history call. [`state`]: what the checker knows.
//! - `on_change`, `on_request`: what it does with each change and each request. `eni_change_event`: one change of one interface.
//! - [`model`]: EC2 and the API server as they are, followed change by change.
//! - [`invariant`]: the invariants.
//! - One file for each invariant, or for a few that belong together: `allowed`, `status_true`, `adoption`, `lease`, `budget`,
//!   `backoff` (by `targets`), `max_unavailable` (data: `unavailable_nodes`), `removal_pace` (data: `removal_history`), `said` (data:
//!   `refused_requests`), `startup_taint` (data: `tainted_nodes`), `device_return` (data: `bound_devices`), `no_successor`.
//! - `max_staleness`, `settled`, `outages`: what a replica may not know yet.
//! - [`trace`], `trace_lines`: the trace and its words.

mod adoption;
mod allowed;
mod backoff;
mod bound_devices;
mod budget;
mod device_return;
mod eni_change_event;
pub mod handle;
pub mod invariant;
mod lease;
mod max_staleness;
mod max_unavailable;
pub mod model;
mod no_successor;
mod on_change;
mod on_request;
mod outages;
mod refused_requests;
mod removal_history;
mod removal_pace;
mod said;
mod settled;
pub mod startup_taint;
pub mod state;
mod status_true;
mod tainted_nodes;
mod targets;
#[cfg(test)]
mod tests;
pub mod trace;
mod trace_lines;
mod unavailable_nodes;

pub use backoff::Request;
pub use handle::Checker;
pub use invariant::{Invariant, Violation};
pub use state::{Activity, State};
pub use trace::Detail;
pub use unavailable_nodes::most_unavailable;
