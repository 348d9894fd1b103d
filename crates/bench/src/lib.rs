//! Benchmarks of the controller. In virtual time, the controller's code runs over the real clients against a simulated API server
//! and a simulated EC2 with its default token buckets. The counts are exact and the same in every run; the time on this machine
//! is only shown. In real time ([`real`]), any NodeENI controller runs as a process against a real API server. This crate is no
//! part of a release. Start reading in [`workload`].
//!
//! - For both: [`region`] has the simulated EC2, [`phase`] the pieces of work and the sizes, [`floor`] what EC2's buckets allow,
//!   [`statistics`] the counts of calls and the percentiles.
//! - Virtual time: [`world`] has the account, the cluster and one controller, [`observer`] records what happens there and when,
//!   [`workload`] does the work.
//! - Results: [`results`] has all of them, [`goal`] and [`goals`] judge them, [`report`] and [`plot`] show them. [`cli`] is the
//!   command.

pub mod cli;
pub mod floor;
pub mod goal;
pub mod goals;
pub mod observer;
pub mod phase;
pub mod plot;
pub mod real;
pub mod region;
pub mod report;
pub mod results;
pub mod statistics;
pub mod workload;
pub mod world;
