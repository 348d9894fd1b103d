//! Benchmarks. In virtual time: the real controller over the real clients, with a simulated API server and an EC2 that has its
//! default token buckets. What is counted is exact, the same in every run; how long it takes a real machine is only shown. And in
//! real time ([`real`]), with a real API server and any NodeENI controller.
//!
//! - Both times: [`region`]: EC2. [`work`]: the pieces of work and how large the worlds are. [`floor`]: what EC2's buckets allow.
//!   [`tally`]: what calls and times come to.
//! - Virtual time: [`world`]: the account, the cluster and one controller. [`eyes`]: what is seen of it, and when. [`scenes`]: the
//!   work being done.
//! - [`goals`]: whether that meets the design's. [`report`]: the tables and the JSON. [`plot`]: the SVG. [`cli`]: the command.

pub mod cli;
pub mod eyes;
pub mod floor;
pub mod goals;
pub mod plot;
pub mod real;
pub mod region;
pub mod report;
pub mod scenes;
pub mod tally;
pub mod work;
pub mod world;
