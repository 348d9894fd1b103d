//! Simulated histories: the real controller, the real clients, and a simulated API server, EC2 and clock, in one process and
//! under one seed. What is promised and how it is tested: `docs/reliability.md`.
//!
//! - [`generator`] makes a [`script`] of a seed: who is there, what happens, what goes wrong.
//! - [`history`] plays it: in an [`environment`] (EC2, API server, clock), with [`replica`]s of the controller, through an
//!   [`interceptor`] that applies the [`fault_injector`]'s faults to each request. [`entropy`] and [`rng`]: nothing but the seed decides.
//!   [`panics`]: none goes unnoticed.
//! - [`checker`] sees everything and checks the promises at each event; [`convergence`] checks those of the end, by [`expected`], its
//!   own reading of the specs.
//! - [`shrink`] makes a failing history small; [`scenario`] keeps those worth keeping; [`recording`] is for playing one's
//!   writes to a real API server. [`cli`]: the commands.

pub mod checker;
pub mod cli;
pub mod convergence;
pub mod digest;
pub mod entropy;
pub mod environment;
pub mod expected;
pub mod fault_injector;
pub mod generator;
pub mod history;
pub mod interceptor;
pub mod panics;
pub mod recording;
pub mod replica;
pub mod rng;
pub mod scenario;
pub mod script;
pub mod shrink;
