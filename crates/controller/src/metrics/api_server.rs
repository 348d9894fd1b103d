//! The metrics of writes to the API server and of the watches. Events and the Lease are not among the writes.

use super::counters::Counters;
use super::description::{Kind, Metric};
use super::exposition::Exposition;
use multi_eni_plan::write_history::Write;
use std::sync::Arc;

const WRITES: Metric = Metric::alpha(
    "multi_eni_api_writes",
    Kind::Counter,
    &["verb", "resource"],
    "Writes to NodeENIs, ENIAttachments and Nodes that were sent, whatever their result",
);
const CONFLICTS: Metric = Metric::alpha(
    "multi_eni_api_write_conflicts",
    Kind::Counter,
    &["verb", "resource"],
    "Writes that were not applied because another client changed the object first",
);
const REFUSED: Metric = Metric::stable(
    "multi_eni_api_writes_refused",
    Kind::Counter,
    &["verb", "resource", "code"],
    "Writes that the API server refused or did not answer, except conflicts. The code of a write without an answer is none",
);
const RESTARTS: Metric = Metric::alpha(
    "multi_eni_watch_restarts",
    Kind::Counter,
    &["kind"],
    "Watches that broke and were resumed, by the kind of object",
);

/// All metrics of this file.
#[cfg(test)]
pub const ALL: &[Metric] = &[WRITES, CONFLICTS, REFUSED, RESTARTS];

/// What this process has counted of its writes and watches.
#[derive(Debug, Default)]
pub struct ApiCounts {
    writes: Counters,
    conflicts: Counters,
    refused: Counters,
    /// Restarts of watches, by kind.
    pub watch_restarts: Arc<Counters>,
}

impl ApiCounts {
    /// Counts a write that was sent.
    pub fn sent(&self, write: Write) {
        self.writes.count([write.verb(), write.resource()]);
    }

    /// Counts a write that another client outran.
    pub fn conflicted(&self, write: Write) {
        self.conflicts.count([write.verb(), write.resource()]);
    }

    /// Counts a write that was not applied. `code` is the HTTP status; None: no answer.
    pub fn refused(&self, write: Write, code: Option<u16>) {
        let code = code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        self.refused.count([write.verb(), write.resource(), &code]);
    }

    /// Writes the counts.
    pub fn write(&self, out: &mut Exposition) {
        out.add(&WRITES, self.writes.rows());
        out.add(&CONFLICTS, self.conflicts.rows());
        out.add(&REFUSED, self.refused.rows());
        out.add(&RESTARTS, self.watch_restarts.rows());
    }
}
