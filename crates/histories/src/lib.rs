//! Simulated histories: the real controller, the real clients, and a simulated API server, EC2 and clock, in one process and
//! under one seed. What is promised and how it is tested: `docs/reliability.md`.
//!
//! - [`generate`] makes a [`script`] of a seed: who is there, what happens, what goes wrong.
//! - [`history`] plays it: on a [`stage`] (EC2, API server, clock), with [`replica`]s of the controller behind gates, over a
//!   [`desk`] where the [`oracle`] says what befalls each request. [`entropy`] and [`chance`]: nothing but the seed decides.
//!   [`panics`]: none goes unnoticed.
//! - [`witness`] sees everything and checks the promises at each event; [`rest`] checks those of the end, by [`wants`], its
//!   own reading of the specs.
//! - [`shrink`] makes a failing history small; [`scenario`] keeps those worth keeping; [`recording`] is for playing one's
//!   writes to a real API server. [`cli`]: the commands.

pub mod chance;
pub mod cli;
pub mod desk;
pub mod digest;
pub mod entropy;
pub mod generate;
pub mod history;
pub mod oracle;
pub mod panics;
pub mod recording;
pub mod replica;
pub mod rest;
pub mod scenario;
pub mod script;
pub mod shrink;
pub mod stage;
pub mod wants;
pub mod witness;
