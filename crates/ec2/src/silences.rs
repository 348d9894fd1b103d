//! Tracks which Describe actions get no successful answer, and since when: a silence. It is given the result of each call, and
//! never calls EC2.

use crate::rate_limit::action::Action;
use jiff::{SignedDuration, Timestamp};
use multi_eni_plan::ec2_errors::{Call, CallError, Class, classify};
use multi_eni_plan::ec2_messages::shortened;
use multi_eni_plan::silence::Silence;
use std::collections::BTreeMap;

/// A failing action is tried again within about a minute. An action that was not tried for this long is no longer needed, so its
/// silence is not reported.
const TRIED: SignedDuration = SignedDuration::from_secs(150);

/// The silences by EC2's name of the action, each with the code of the last error and the time at which the last call ended.
#[derive(Debug, Default)]
pub(crate) struct Silences(BTreeMap<&'static str, (Silence, String, Timestamp)>);

impl Silences {
    /// Records the result of a call. Returns whether a silence begins or ends, or its error code changes.
    pub fn note(&mut self, action: &'static str, error: Option<&CallError>, now: Timestamp) -> bool {
        let Some(error) = error else { return self.0.remove(action).is_some() };
        if matches!(error, CallError::NotLeader | CallError::QuotaRefused | CallError::Withdrawn) {
            return false;
        }
        let class = classify(Call::Describe, error);
        let (throttled, denied) = (class == Class::Throttled, class == Class::Unauthorized);
        // Without this permission nothing waits for the lookup: the nodes are served without limits.
        if denied && action == Action::DescribeTypes.name() {
            return self.0.remove(action).is_some();
        }
        let words = shortened(&error.to_string());
        let begins = || Silence { since: now, action, words: words.clone(), throttled, denied };
        let fresh = || (begins(), error.code().to_owned(), now);
        match self.0.get_mut(action) {
            Some((silence, code, tried)) => {
                *tried = now;
                let changed = code != error.code();
                if changed {
                    error.code().clone_into(code);
                    silence.throttled &= throttled;
                    silence.denied &= denied;
                    silence.words = words;
                }
                changed
            }
            None => {
                self.0.insert(action, fresh());
                true
            }
        }
    }

    /// The longest silence, of the actions that are still tried.
    pub fn longest(&self, now: Timestamp) -> Option<Silence> {
        let tried = self.0.values().filter(|(.., tried)| now.duration_since(*tried) <= TRIED);
        tried.map(|(silence, ..)| silence).min_by_key(|silence| silence.since).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_lasts_from_the_first_failure_to_the_next_success() {
        let at = |s: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(s);
        let (mut silences, none) = (Silences::default(), CallError::Unknown("timeout after 8s".into()));
        let throttled = CallError::Answered { code: "RequestLimitExceeded".into(), message: "slower".into() };
        assert!(silences.note("DescribeSubnets", Some(&throttled), at(0)));
        assert!(silences.note("DescribeNetworkInterfaces", Some(&none), at(5)));
        assert!(!silences.note("DescribeNetworkInterfaces", Some(&none), at(9)), "nothing new");
        let longest = silences.longest(at(10)).unwrap();
        assert_eq!((longest.since, longest.throttled), (at(0), true));
        assert!(silences.note("DescribeSubnets", Some(&none), at(20)));
        assert!(!silences.longest(at(20)).unwrap().throttled, "not throttling only");
        assert!(silences.note("DescribeNetworkInterfaces", None, at(30)));
        assert!(!silences.note("DescribeNetworkInterfaces", None, at(31)));
        assert!(silences.longest(at(31)).is_some());
        assert!(silences.longest(at(171)).is_none(), "no lookup needs subnets any more");
        assert!(!silences.note("DescribeSubnets", Some(&CallError::NotLeader), at(172)));
    }

    #[test]
    fn a_missing_permission_is_a_silence_unless_it_is_optional() {
        let at = |s: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(s);
        let denied = CallError::Answered { code: "UnauthorizedOperation".into(), message: "no".into() };
        let mut silences = Silences::default();
        assert!(!silences.note("DescribeInstanceTypes", Some(&denied), at(0)));
        assert_eq!(silences.longest(at(0)), None);
        assert!(silences.note("DescribeInstanceTypes", Some(&CallError::Unknown("timeout".into())), at(1)));
        assert!(silences.note("DescribeInstanceTypes", Some(&denied), at(2)), "EC2 answers again");
        assert!(silences.note("DescribeSubnets", Some(&denied), at(3)));
        assert!(silences.longest(at(3)).is_some_and(|silence| silence.denied));
    }
}
