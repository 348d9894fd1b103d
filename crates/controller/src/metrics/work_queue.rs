//! The metrics of the work queue and of failed reconciliations.

use super::counters::Counters;
use super::description::{Kind, Metric};
use super::exposition::{Exposition, Value};
use super::snapshot::Snapshot;

const WAITING: Metric = Metric::stable(
    "multi_eni_reconciles_waiting",
    Kind::Gauge,
    &[],
    "Keys in the work queue, including keys with a call under way",
);
const DEPTH: Metric = Metric::alpha(
    "multi_eni_work_queue_depth",
    Kind::Gauge,
    &["kind"],
    "Keys in the work queue by kind, including keys with a call under way",
);
const OLDEST: Metric = Metric::alpha(
    "multi_eni_work_queue_oldest_seconds",
    Kind::Gauge,
    &["kind"],
    "Time since the oldest key of the kind in the work queue was added, or since its call was started",
);
const RECONCILES: Metric = Metric::alpha(
    "multi_eni_reconciles",
    Kind::Counter,
    &["kind"],
    "Decisions, by the kind of the key that was taken from the work queue",
);
const ERRORS: Metric = Metric::alpha(
    "multi_eni_reconcile_errors",
    Kind::Counter,
    &["kind"],
    "Calls and writes that failed, by the kind of the key that they were for. Conflicts do not count",
);
const BACKOFFS: Metric = Metric::alpha(
    "multi_eni_backoffs",
    Kind::Gauge,
    &["of"],
    "What failed last and has not succeeded since: ENIAttachments with a failed EC2 call, and writes to the API server",
);

/// All metrics of this file.
#[cfg(test)]
pub const ALL: &[Metric] = &[WAITING, DEPTH, OLDEST, RECONCILES, ERRORS, BACKOFFS];

/// Writes the number of keys.
pub fn write_waiting(waiting: i64, out: &mut Exposition) {
    out.one(&WAITING, Value::Whole(waiting));
}

/// Writes the state of the queue.
pub fn write(snapshot: &Snapshot, out: &mut Exposition) {
    let row = |(label, n): &(&'static str, usize)| (vec![(*label).to_owned()], Value::number_of(*n));
    out.add(&DEPTH, snapshot.depths.iter().map(row));
    let ages = snapshot.oldest.iter().map(|(kind, age)| (vec![(*kind).to_owned()], Value::Number(*age)));
    out.add(&OLDEST, ages);
    out.add(&BACKOFFS, snapshot.backoffs.iter().map(row));
}

/// Writes the decisions and the failures.
pub fn write_counts(reconciles: &Counters, errors: &Counters, out: &mut Exposition) {
    out.add(&RECONCILES, reconciles.rows());
    out.add(&ERRORS, errors.rows());
}
