//! The failure of a Describe that decisions wait for: the code, since when it fails, and what a user can do about it. This file
//! sends no call.

use crate::call_trouble::CallTrouble;
use crate::ec2_errors::{Call, CallError, Class, classify};
use crate::ec2_messages::{WHOLE_MESSAGE, advice_on_permission, words_of};
use crate::message_time::second;
use jiff::{SignedDuration, Timestamp};
use std::fmt;

/// How long a lookup must fail before it is reported.
const SAID_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// The failure of the last call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LookupFailure {
    /// Since when the lookup has failed.
    pub since: Timestamp,
    /// EC2's name of the action.
    pub action: &'static str,
    /// EC2's error code, or this controller's own if EC2 did not answer.
    pub code: String,
    /// EC2's message, without the parts that differ in each answer.
    pub message: String,
}

impl LookupFailure {
    /// The failure that follows `before`. The same action and code give the same failure, because the message may differ only by
    /// a request ID.
    pub fn next(before: Option<&Self>, action: &'static str, error: &CallError, now: Timestamp) -> Self {
        let same = before.filter(|before| before.action == action && before.code == error.code());
        if let Some(same) = same {
            return same.clone();
        }
        let since = before.map_or(now, |before| before.since);
        Self { since, action, code: error.code().to_owned(), message: words_of(error) }
    }

    /// When the failure is reported. A shorter failure ends by itself.
    pub fn report_at(&self) -> Timestamp {
        self.since.saturating_add(SAID_AFTER).unwrap_or(Timestamp::MAX)
    }

    /// CamelCase reason of a condition. [`describe_outage`](crate::describe_outage) uses the same reasons if EC2 does not answer at all.
    pub fn reason(&self) -> &'static str {
        match self.class() {
            Class::Unauthorized => "Unauthorized",
            Class::Throttled => "EC2Throttled",
            _ => "EC2Unreachable",
        }
    }

    /// Whether a permission is missing: the lookup fails until somebody changes the IAM role.
    pub fn is_unauthorized(&self) -> bool {
        self.class() == Class::Unauthorized
    }

    /// What kept the call from its answer.
    pub fn trouble(&self) -> CallTrouble {
        CallTrouble::of(&CallError::recorded(&self.code, &self.message))
    }

    fn class(&self) -> Class {
        classify(Call::Describe, &CallError::recorded(&self.code, &self.message))
    }
}

impl fmt::Display for LookupFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { since, action, code, message } = self;
        let since = second(*since);
        write!(f, "{action} has failed with {code} since {since}: {}", message.trim_end_matches('.'))?;
        match self.class() {
            Class::Unauthorized => write!(f, ". {}. {WHOLE_MESSAGE}", advice_on_permission(action, message)),
            // The controller looks up with its own credentials, and `multi-eni plan` with those of its user.
            Class::Credentials => write!(f, ". {}", self.trouble().advice().unwrap_or_default()),
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
    fn a_different_message_with_the_same_code_is_the_same_failure_and_the_advice_names_the_action() {
        let first = LookupFailure::next(None, "DescribeSubnets", &denied("p3aI9"), at(10));
        let second = LookupFailure::next(Some(&first), "DescribeSubnets", &denied("g4oZ1"), at(70));
        assert_eq!(first, second);
        assert_eq!(first.reason(), "Unauthorized");
        let text = first.to_string();
        assert!(
            text.contains("Allow the controller's IAM role ec2:DescribeSubnets")
                && text.contains("decode-authorization-message")
                && !text.contains("p3aI9"),
            "{text}"
        );
        // Another code gives a new failure, which has lasted as long.
        let lost = LookupFailure::next(Some(&first), "DescribeSubnets", &CallError::Unknown("timeout".into()), at(90));
        assert_eq!((lost.since, lost.reason()), (at(10), "EC2Unreachable"));
    }
    #[test]
    fn a_refused_connection_is_not_blamed_on_the_credentials() {
        let text = |words: &str| {
            let error = CallError::NotSent(words.into());
            LookupFailure::next(None, "DescribeNetworkInterfaces", &error, at(10)).to_string()
        };
        let refused = text("dispatch failure: io error: Connection refused (os error 111)");
        assert!(refused.ends_with("check the endpoint (AWS_REGION, AWS_ENDPOINT_URL) and the network"), "{refused}");
        assert!(!refused.contains("credentials"), "{refused}");
        let none = text("no credentials within 10s");
        assert!(none.ends_with(". Check the AWS credentials"), "{none}");
    }
}
