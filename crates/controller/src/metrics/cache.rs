//! The metrics of the cache of EC2: its resyncs and its age.

use super::description::{Kind, Metric};
use super::exposition::{Exposition, Value};
use multi_eni_ec2::ResyncStats;

const LAST: Metric = Metric::alpha(
    "multi_eni_cache_last_resync_timestamp_seconds",
    Kind::Gauge,
    &[],
    "When the last complete resync of the EC2 cache began, in seconds since 1970",
);
const AGE: Metric = Metric::alpha(
    "multi_eni_cache_age_seconds",
    Kind::Gauge,
    &[],
    "Time since the last complete resync of the EC2 cache began",
);
const DURATION: Metric = Metric::alpha(
    "multi_eni_cache_last_resync_duration_seconds",
    Kind::Gauge,
    &[],
    "How long the last complete resync of the EC2 cache took",
);
const ENIS: Metric =
    Metric::alpha("multi_eni_cache_resync_enis", Kind::Gauge, &[], "ENIs of this cluster in the last complete resync");
const PAGES: Metric =
    Metric::alpha("multi_eni_cache_resync_pages", Kind::Gauge, &[], "Pages of the last complete resync");
const UNCHANGED: Metric = Metric::alpha(
    "multi_eni_cache_resync_unchanged_enis",
    Kind::Gauge,
    &[],
    "ENIs of the last complete resync that EC2 showed in the same words as before, so that they were not parsed again",
);
const RESYNCS: Metric = Metric::alpha(
    "multi_eni_cache_resyncs",
    Kind::Counter,
    &["result"],
    "Resyncs of the EC2 cache: complete or failed",
);

/// All metrics of this file.
#[cfg(test)]
pub const ALL: &[Metric] = &[LAST, AGE, DURATION, ENIS, PAGES, UNCHANGED, RESYNCS];

/// Writes them. `age`: seconds since the last complete resync began.
pub fn write(stats: &ResyncStats, age: Option<f64>, out: &mut Exposition) {
    if let Some(last) = &stats.last {
        let began = last.began.as_duration().as_secs_f64();
        out.one(&LAST, Value::Number(began));
        out.one(&DURATION, Value::Number(last.took.as_secs_f64()));
        out.one(&ENIS, Value::number_of(last.enis));
        out.one(&PAGES, Value::number_of(last.pages));
        out.one(&UNCHANGED, Value::number_of(last.unchanged));
    }
    if let Some(age) = age {
        out.one(&AGE, Value::Number(age.max(0.0)));
    }
    let ended = [("complete", stats.completed), ("failed", stats.failed)];
    out.add(&RESYNCS, ended.map(|(result, count)| (vec![result.to_owned()], Value::Count(count))));
}
