//! EC2 does not answer what is asked of it: when that is said, and how. Throttling is an answer; a minute of nothing but
//! throttling has words of its own.

use crate::problem::Problem;
use crate::wording::{advice_on_permission, second};
use jiff::{SignedDuration, Timestamp};

/// Shorter ones pass by themselves, and nobody need know.
const UNSAID: SignedDuration = SignedDuration::from_secs(60);

/// Since its last good answer EC2 gave none to Describe calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// Since when.
    pub since: Timestamp,
    /// What was tried last.
    pub action: &'static str,
    /// What came of it, in EC2's words where it gave any.
    pub words: String,
    /// It was throttling each time.
    pub throttled: bool,
    /// It was refused for want of a permission each time.
    pub denied: bool,
}

/// When it is said.
pub fn report_at(silence: &Silence) -> Timestamp {
    silence.since.saturating_add(UNSAID).unwrap_or(Timestamp::MAX)
}

/// What is said: reason and message.
pub fn said(silence: &Silence) -> (&'static str, String) {
    let Silence { since, action, words, throttled, denied } = silence;
    let since = second(*since);
    if *denied {
        let message = format!(
            "EC2 refuses {action} since {since}: {}. {}. It is tried again all the time",
            words.trim_end_matches('.'),
            advice_on_permission(action, words)
        );
        ("Unauthorized", message)
    } else if *throttled {
        let message = format!(
            "EC2 has answered {action} with throttling only since {since}: {words}. Something else in the account and Region \
             uses up the request rate; find it, or ask AWS for a higher one. It goes on by itself when EC2 answers"
        );
        ("EC2Throttled", message)
    } else {
        let message = format!(
            "EC2 does not answer {action} since {since}: {words}. Check the network, the endpoint and the credentials of the \
             controller, and the AWS Health Dashboard. It is tried again all the time and goes on by itself"
        );
        ("EC2Unreachable", message)
    }
}

/// What is said on a NodeENI, of each Node for which it waits for EC2.
pub fn problems<'a>(silence: &Silence, waiting: impl Iterator<Item = &'a str>, now: Timestamp) -> Vec<Problem> {
    if now < report_at(silence) {
        return Vec::new();
    }
    let (reason, message) = said(silence);
    waiting.map(|node| Problem { reason, message: message.clone(), node: Some(node.to_owned()) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_after_a_minute_of_what_waits_for_it() {
        let at = |s: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(s);
        let mut silence = Silence {
            since: at(0),
            action: "DescribeNetworkInterfaces",
            words: "connection refused".into(),
            throttled: false,
            denied: false,
        };
        let said = |silence: &Silence, s: i64| problems(silence, ["n"].into_iter(), at(s)).pop();
        assert_eq!(said(&silence, 59), None);
        assert!(problems(&silence, [].into_iter(), at(600)).is_empty());
        let reported = said(&silence, 60).unwrap();
        assert_eq!(reported.reason, "EC2Unreachable");
        let rest = "does not answer DescribeNetworkInterfaces since 1970-01-01T00:00:00Z: connection refused";
        assert!(reported.message.contains(rest), "{}", reported.message);
        silence.denied = true;
        let denied = said(&silence, 60).unwrap();
        assert_eq!(denied.reason, "Unauthorized");
        assert!(denied.message.contains("Allow the controller's IAM role ec2:DescribeNetworkInterfaces"), "{denied:?}");
        (silence.denied, silence.throttled) = (false, true);
        assert_eq!(said(&silence, 60).unwrap().reason, "EC2Throttled");
    }
}
