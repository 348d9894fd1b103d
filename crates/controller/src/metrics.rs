//! The metrics of `/metrics` about EC2 calls, their rate limits and queues, and about writes that the API server refused.

use multi_eni_ec2::RateStatus;
use multi_eni_plan::write_history::Write;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

/// The label `action`, with EC2's name of the action.
type ByAction = [(&'static str, &'static str); 1];

fn by(action: &'static str) -> ByAction {
    [("action", action)]
}

/// Writes that the API server refused or did not answer, by verb, resource and HTTP status.
pub type Refused = Family<[(&'static str, String); 3], Counter>;

/// The labels of one write. A write without an answer has the code `none`.
pub fn refused(write: Write, code: Option<u16>) -> [(&'static str, String); 3] {
    let code = code.map_or_else(|| "none".to_owned(), |code| code.to_string());
    [("verb", write.verb().to_owned()), ("resource", write.resource().to_owned()), ("code", code)]
}

/// Registers the metrics about EC2 calls. `sent` has the number of calls by action.
pub fn register_ec2(registry: &mut Registry, sent: BTreeMap<&'static str, u64>, limits: Vec<RateStatus>) {
    let calls = Family::<ByAction, Counter>::default();
    for (action, count) in sent {
        calls.get_or_create(&by(action)).inc_by(count);
    }
    let rates = Family::<ByAction, Gauge<f64, AtomicU64>>::default();
    let waiting = Family::<ByAction, Gauge>::default();
    let throttles = Family::<ByAction, Counter>::default();
    for limit in limits {
        rates.get_or_create(&by(limit.action)).set(limit.rate);
        waiting.get_or_create(&by(limit.action)).set(i64::try_from(limit.waiting).unwrap_or(i64::MAX));
        throttles.get_or_create(&by(limit.action)).inc_by(limit.throttles);
    }
    registry.register_with_unit("ec2", "EC2 calls sent", Unit::Other("calls".to_owned()), calls);
    registry.register(
        "ec2_budget_rate",
        "EC2 calls a second that the rate limiter permits: the configured share of EC2's rate, less after throttling",
        rates,
    );
    registry.register("ec2_calls_waiting", "EC2 calls that wait for the rate limiter", waiting);
    registry.register("ec2_throttles", "Answers of EC2 that the request rate was exceeded", throttles);
}

/// Registers how many items of EC2's answers could not be parsed, by kind.
pub fn register_unreadable(registry: &mut Registry, counts: BTreeMap<&'static str, u64>) {
    let items = Family::<[(&'static str, &'static str); 1], Counter>::default();
    for (kind, count) in counts {
        items.get_or_create(&[("kind", kind)]).inc_by(count);
    }
    registry.register("ec2_unreadable_items", "Items of EC2's answers that could not be read and were left out", items);
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;

    #[test]
    fn a_metric_is_described_once_and_has_a_line_for_each_action() {
        let limit = |action, waiting, throttles| RateStatus { action, rate: 2.5, waiting, throttles };
        let limits = vec![limit("AttachNetworkInterface", 370, 3), limit("DescribeNetworkInterfaces", 0, 0)];
        let sent = BTreeMap::from([("AttachNetworkInterface", 50), ("DescribeNetworkInterfaces", 2)]);
        let mut registry = Registry::with_prefix("multi_eni");
        register_ec2(&mut registry, sent, limits);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
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
