//! EC2 gives no good answer to Describe calls: when this is reported, and with which message. Throttling is an answer;
//! but a minute of nothing except throttling is reported too, with a message of its own.

use crate::ec2_messages::{WHOLE_MESSAGE, advice_on_permission};
use crate::message_time::second;
use crate::problem::Problem;
use jiff::{SignedDuration, Timestamp};

/// A shorter outage passes by itself and is not reported.
const UNSAID: SignedDuration = SignedDuration::from_secs(60);

/// EC2 has given no good answer to Describe calls since its last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribeOutage {
    /// Start of the outage.
    pub since: Timestamp,
    /// The action that was tried last.
    pub action: &'static str,
    /// The result of that call, in EC2's words if EC2 answered.
    pub words: String,
    /// Each answer was throttling.
    pub throttled: bool,
    /// Each answer was the refusal of a permission.
    pub denied: bool,
}

/// When the outage is reported.
pub fn report_at(outage: &DescribeOutage) -> Timestamp {
    outage.since.saturating_add(UNSAID).unwrap_or(Timestamp::MAX)
}

/// The reason and the message to report.
pub fn report(outage: &DescribeOutage) -> (&'static str, String) {
    let DescribeOutage { since, action, words, throttled, denied } = outage;
    let since = second(*since);
    if *denied {
        let message = format!(
            "EC2 has refused {action} since {since}: {}. {}. {WHOLE_MESSAGE}. The controller keeps retrying",
            words.trim_end_matches('.'),
            advice_on_permission(action, words)
        );
        ("Unauthorized", message)
    } else if *throttled {
        let message = format!(
            "EC2 has answered {action} only with throttling since {since}: {words}. Something else in the account and Region \
             uses up the request rate; find it, or ask AWS for a higher rate. The controller continues when EC2 answers"
        );
        ("EC2Throttled", message)
    } else {
        let message = format!(
            "EC2 has not answered {action} since {since}: {words}. Check the network, the endpoint and the credentials of the \
             controller, and the AWS Health Dashboard. The controller keeps retrying, and continues when EC2 answers"
        );
        ("EC2Unreachable", message)
    }
}

/// The problems of a NodeENI: one for each Node for which the NodeENI waits for EC2.
pub fn problems<'a>(outage: &DescribeOutage, waiting: impl Iterator<Item = &'a str>, now: Timestamp) -> Vec<Problem> {
    if now < report_at(outage) {
        return Vec::new();
    }
    let (reason, message) = report(outage);
    waiting.map(|node| Problem { reason, message: message.clone(), node: Some(node.to_owned()) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_reported_after_a_minute_for_each_waiting_node() {
        let at = |s: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(s);
        let mut outage = DescribeOutage {
            since: at(0),
            action: "DescribeNetworkInterfaces",
            words: "connection refused".into(),
            throttled: false,
            denied: false,
        };
        let problem_at = |outage: &DescribeOutage, s: i64| problems(outage, ["n"].into_iter(), at(s)).pop();
        assert_eq!(problem_at(&outage, 59), None);
        assert!(problems(&outage, [].into_iter(), at(600)).is_empty());
        let reported = problem_at(&outage, 60).unwrap();
        assert_eq!(reported.reason, "EC2Unreachable");
        let rest = "has not answered DescribeNetworkInterfaces since 1970-01-01T00:00:00Z: connection refused";
        assert!(reported.message.contains(rest), "{}", reported.message);
        outage.denied = true;
        let denied = problem_at(&outage, 60).unwrap();
        assert_eq!(denied.reason, "Unauthorized");
        assert!(denied.message.contains("Allow the controller's IAM role ec2:DescribeNetworkInterfaces"), "{denied:?}");
        (outage.denied, outage.throttled) = (false, true);
        assert_eq!(problem_at(&outage, 60).unwrap().reason, "EC2Throttled");
    }
}
