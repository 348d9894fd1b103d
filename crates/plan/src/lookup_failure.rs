//! A Describe that decisions wait for and that failed: since when, and what a person can do about it.

use crate::ec2_errors::{Call, CallError, Class, classify};
use crate::wording::{advice_on_permission, second, words_of};
use jiff::{SignedDuration, Timestamp};
use std::fmt;

/// How long a look fails before that is said.
const SAID_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// Why something cannot be asked about: the last call failed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LookupFailure {
    /// Since when it has failed.
    pub since: Timestamp,
    /// EC2's name of the action.
    pub action: &'static str,
    /// EC2's code, or ours where it did not answer.
    pub code: String,
    /// EC2's words, without what differs each time.
    pub message: String,
}

impl LookupFailure {
    /// The failure after `before`. Words under the same code are no news: they may differ each time, by a request's ID.
    pub fn next(before: Option<&Self>, action: &'static str, error: &CallError, now: Timestamp) -> Self {
        let same = before.filter(|before| before.action == action && before.code == error.code());
        if let Some(same) = same {
            return same.clone();
        }
        let since = before.map_or(now, |before| before.since);
        Self { since, action, code: error.code().to_owned(), message: words_of(error) }
    }

    /// When it is said: shorter ones pass by themselves.
    pub fn report_at(&self) -> Timestamp {
        self.since.saturating_add(SAID_AFTER).unwrap_or(Timestamp::MAX)
    }

    /// CamelCase reason of a condition: the same words as for an EC2 that does not answer at all.
    pub fn reason(&self) -> &'static str {
        match self.class() {
            Class::Unauthorized => "Unauthorized",
            Class::Throttled => "EC2Throttled",
            _ => "EC2Unreachable",
        }
    }

    fn class(&self) -> Class {
        classify(Call::Describe, &CallError::recorded(&self.code, &self.message))
    }
}

impl fmt::Display for LookupFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { since, action, code, message } = self;
        let since = second(*since);
        write!(f, "{action} is answered {code} since {since}: {}", message.trim_end_matches('.'))?;
        match self.class() {
            Class::Unauthorized => write!(f, ". {}", advice_on_permission(action, message)),
            Class::Credentials => f.write_str(". Check the controller's AWS credentials"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assign::tests::at;

    fn denied(blob: &str) -> CallError {
        let message = format!("You are not authorized. Encoded authorization failure message: {blob}");
        CallError::Answered { code: "UnauthorizedOperation".into(), message }
    }

    #[test]
    fn what_differs_each_time_is_no_news_and_the_advice_names_the_action() {
        let first = LookupFailure::next(None, "DescribeSubnets", &denied("p3aI9"), at(10));
        let second = LookupFailure::next(Some(&first), "DescribeSubnets", &denied("g4oZ1"), at(70));
        assert_eq!(first, second);
        assert_eq!(first.reason(), "Unauthorized");
        let said = first.to_string();
        assert!(
            said.contains("Allow the controller's IAM role ec2:DescribeSubnets") && !said.contains("p3aI9"),
            "{said}"
        );
        // Another code is news, and it has failed for as long.
        let lost = LookupFailure::next(Some(&first), "DescribeSubnets", &CallError::Unknown("timeout".into()), at(90));
        assert_eq!((lost.since, lost.reason()), (at(10), "EC2Unreachable"));
    }
}
