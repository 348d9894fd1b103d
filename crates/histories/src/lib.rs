//! Simulated histories: the real controller and the real clients, with a simulated API server, EC2 and clock, in one process. One
//! seed decides everything that is random. The crate tests the controller: `docs/reliability.md` lists its invariants and
//! results.
//!
//! The crate never calls AWS or a real cluster, and no image contains it. Where to start reading: [`history`], then [`checker`].
//!
//! - [`generator`] makes a [`script`] from a seed: the nodes and NodeENIs, the operations, the faults.
//! - [`history`] runs the script: in an [`environment`] (EC2, API server, clock), with [`replica`]s of the controller. Each
//!   request of a replica passes an [`interceptor`], which applies the faults of the [`fault_injector`].
//! - [`entropy`] and [`rng`] make a history depend on its seed only. [`panics`] reports every panic.
//! - [`checker`] checks the invariants at each event. [`convergence`] checks the invariants of the end of a history, by
//!   [`expected`]: what the specs ask for, with [`node_selection`], read without the controller's code.
//! - [`shrink`] makes a failing history small. [`golden_trace`] compares kept histories with their golden traces. [`api_write_recording`]
//!   records the writes of a history, to send them to a real API server. [`cli`] has the commands.

pub mod api_write_recording;
pub mod checker;
pub mod cli;
pub mod convergence;
pub mod digest;
pub mod entropy;
pub mod environment;
pub mod expected;
pub mod fault_injector;
pub mod generator;
pub mod golden_trace;
mod highest_free_places;
pub mod history;
pub mod interceptor;
mod network_cards;
pub mod node_selection;
pub mod panics;
pub mod replica;
pub mod rng;
pub mod script;
pub mod shrink;
