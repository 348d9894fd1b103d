//! Benchmarks. In virtual time: the real controller over the real clients, with a simulated API server and an EC2 that has its
//! default token buckets. What is counted is exact, the same in every run; how long it takes a real machine is only shown. And in
//! real time ([`real`]), with a real API server and any NodeENI controller.
//!
//! - [`world`]: the account, the cluster and one controller. [`eyes`]: what is seen of it, and when.
//! - [`scenes`]: the work: so many nodes and ENIs, an idle hour, a NodeENI deleted, nodes replaced.
//! - [`floor`]: what EC2's buckets allow. [`report`]: the tables and the JSON. [`plot`]: the SVG. [`cli`]: the command.

pub mod cli;
pub mod eyes;
pub mod floor;
pub mod plot;
pub mod real;
pub mod report;
pub mod scenes;
pub mod world;
