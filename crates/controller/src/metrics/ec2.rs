//! The metrics of the calls to EC2: how they ended, how long they took, and how the rate limiter holds them back.

use super::description::{Kind, Metric};
use super::exposition::{Exposition, Row, Value};
use multi_eni_ec2::{Ec2, RateStatus, RequestStats, ResyncStats};
use std::collections::BTreeMap;

const CALLS: Metric = Metric::stable("multi_eni_ec2_calls", Kind::Counter, &["action"], "EC2 calls sent");
const REQUESTS: Metric = Metric::alpha(
    "multi_eni_ec2_requests",
    Kind::Counter,
    &["action", "code"],
    "EC2 calls by how they ended: ok, an error code of EC2, NoAnswer or NotSent",
);
const DURATION: Metric = Metric::alpha(
    "multi_eni_ec2_request_duration_seconds",
    Kind::Histogram,
    &["action", "code"],
    "Time from sending an EC2 call to its end, by how it ended, without the wait for the rate limiter",
);
const RATE: Metric = Metric::stable(
    "multi_eni_ec2_budget_rate",
    Kind::Gauge,
    &["action"],
    "EC2 calls a second that the rate limiter permits: the configured share of EC2's rate, less after throttling",
);
const WAITING: Metric =
    Metric::stable("multi_eni_ec2_calls_waiting", Kind::Gauge, &["action"], "EC2 calls that wait for the rate limiter");
const THROTTLES: Metric = Metric::stable(
    "multi_eni_ec2_throttles",
    Kind::Counter,
    &["action"],
    "Answers of EC2 that the request rate was exceeded",
);
const UNREADABLE: Metric = Metric::alpha(
    "multi_eni_ec2_unreadable_items",
    Kind::Counter,
    &["kind"],
    "Items of EC2's answers that could not be read and were left out",
);

/// All metrics of this file.
#[cfg(test)]
pub const ALL: &[Metric] = &[CALLS, REQUESTS, DURATION, RATE, WAITING, THROTTLES, UNREADABLE];

/// What the EC2 handle of a term has counted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ec2Numbers {
    /// Calls sent, by action.
    pub calls: BTreeMap<&'static str, u64>,
    /// How the calls ended.
    pub requests: RequestStats,
    /// The rate limits.
    pub limits: Vec<RateStatus>,
    /// Items that could not be read, by kind.
    pub unreadable: BTreeMap<&'static str, u64>,
    /// The resyncs of the cache.
    pub resyncs: ResyncStats,
    /// Seconds since the last complete resync began.
    pub age: Option<f64>,
}

impl Ec2Numbers {
    /// The present numbers of a handle.
    pub fn of(ec2: &Ec2) -> Self {
        Self {
            calls: ec2.counts(),
            requests: ec2.request_stats(),
            limits: ec2.rate_status(),
            unreadable: ec2.unreadable_counts(),
            resyncs: ec2.resync_stats(),
            age: ec2.resync_age().map(|age| age.as_secs_f64()),
        }
    }

    /// Writes them.
    pub fn write(&self, out: &mut Exposition) {
        out.add(&CALLS, self.calls.iter().map(|(action, count)| row(action, Value::Count(*count))));
        let by_code = self.requests.by_code.iter();
        let ended = by_code.map(|((action, code), n)| (vec![(*action).to_owned(), code.clone()], Value::Count(*n)));
        out.add(&REQUESTS, ended);
        let durations = self.requests.durations.iter();
        let durations = durations
            .map(|((action, code), took)| (vec![(*action).to_owned(), code.clone()], Value::Histogram(took.clone())));
        out.add(&DURATION, durations);
        let limits = || self.limits.iter();
        out.add(&RATE, limits().map(|limit| row(limit.action, Value::Number(limit.rate))));
        out.add(&WAITING, limits().map(|limit| row(limit.action, Value::number_of(limit.waiting))));
        out.add(&THROTTLES, limits().map(|limit| row(limit.action, Value::Count(limit.throttles))));
        out.add(&UNREADABLE, self.unreadable.iter().map(|(kind, count)| row(kind, Value::Count(*count))));
    }
}

fn row(label: &str, value: Value) -> Row {
    (vec![label.to_owned()], value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_described_once_and_has_a_line_for_each_action() {
        let limit = |action, waiting, throttles| RateStatus { action, rate: 2.5, waiting, throttles };
        let limits = vec![limit("AttachNetworkInterface", 370, 3), limit("DescribeNetworkInterfaces", 0, 0)];
        let calls = BTreeMap::from([("AttachNetworkInterface", 50), ("DescribeNetworkInterfaces", 2)]);
        let mut out = Exposition::default();
        Ec2Numbers { calls, limits, ..Ec2Numbers::default() }.write(&mut out);
        let text = out.text().unwrap();
        for line in [
            "multi_eni_ec2_calls_total{action=\"AttachNetworkInterface\"} 50",
            "multi_eni_ec2_calls_total{action=\"DescribeNetworkInterfaces\"} 2",
            "multi_eni_ec2_budget_rate{action=\"AttachNetworkInterface\"} 2.5",
            "multi_eni_ec2_calls_waiting{action=\"AttachNetworkInterface\"} 370",
            "multi_eni_ec2_throttles_total{action=\"AttachNetworkInterface\"} 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing:\n{text}");
        }
        assert_eq!(text.matches("# TYPE").count(), 4, "{text}");
        assert_eq!(text.matches("# HELP").count(), 4, "{text}");
    }
}
