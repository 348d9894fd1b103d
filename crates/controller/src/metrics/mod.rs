//! The metrics of `/metrics`. One file for each subject describes its metrics and writes them; `page.rs` puts them together at a
//! scrape. `docs/reference/metrics.md` lists them, and `reference_docs.rs` compares that list with the code.
//!
//! The number of time series is bounded: labels are EC2's actions, kinds of objects, verbs, and reasons, which the code limits. Only
//! the metrics of NodeENIs have the name of an object as a label; they go when the NodeENI goes.

mod api_server;
mod attachments;
mod build_info;
mod cache;
mod counted;
mod counters;
mod description;
mod ec2;
mod exposition;
mod gates;
mod leader_election;
mod nodeenis;
mod orphans;
mod page;
mod process;
#[cfg(test)]
mod reference_docs;
mod snapshot;
mod spans;
mod work_queue;

pub use attachments::Span;
pub use counted::Counted;
pub use counters::Counters;
pub use ec2::Ec2Numbers;
pub use leader_election::{LeaseCounts, Role};
pub use orphans::OrphanVerdicts;
pub use page::Page;
pub use process::ProcessNumbers;
pub use snapshot::{NodeEniNumbers, Snapshot, SnapshotRequest};
pub use spans::SpanNumbers;
