//! Tracks which Describe actions get no successful answer, and since when: an outage. It is given the result of each call, and
//! never calls EC2.

use crate::rate_limit::action::Action;
use jiff::{SignedDuration, Timestamp};
use multi_eni_plan::describe_outage::DescribeOutage;
use multi_eni_plan::ec2_errors::{Call, CallError, Class, classify};
use multi_eni_plan::ec2_messages::shortened;
use std::collections::BTreeMap;

/// A failing action is tried again within about a minute. An action that was not tried for this long is no longer needed, so its
/// outage is not reported.
const TRIED: SignedDuration = SignedDuration::from_secs(150);

/// The outages by EC2's name of the action, each with the code of the last error and the time at which the last call ended.
#[derive(Debug, Default)]
pub(crate) struct DescribeOutages(BTreeMap<&'static str, (DescribeOutage, String, Timestamp)>);

impl DescribeOutages {
    /// Records the result of a call. Returns whether an outage begins or ends, or its error code changes.
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
        let begins = || DescribeOutage { since: now, action, words: words.clone(), throttled, denied };
        let fresh = || (begins(), error.code().to_owned(), now);
        match self.0.get_mut(action) {
            Some((outage, code, tried)) => {
                *tried = now;
                let changed = code != error.code();
                if changed {
                    error.code().clone_into(code);
                    outage.throttled &= throttled;
                    outage.denied &= denied;
                    outage.words = words;
                }
                changed
            }
            None => {
                self.0.insert(action, fresh());
                true
            }
        }
    }

    /// The longest outage, of the actions that are still tried.
    pub fn longest(&self, now: Timestamp) -> Option<DescribeOutage> {
        let tried = self.0.values().filter(|(.., tried)| now.duration_since(*tried) <= TRIED);
        tried.map(|(outage, ..)| outage).min_by_key(|outage| outage.since).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_lasts_from_the_first_failure_to_the_next_success() {
        let at = |s: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(s);
        let (mut outages, none) = (DescribeOutages::default(), CallError::Unknown("timeout after 8s".into()));
        let throttled = CallError::Answered { code: "RequestLimitExceeded".into(), message: "slower".into() };
        assert!(outages.note("DescribeSubnets", Some(&throttled), at(0)));
        assert!(outages.note("DescribeNetworkInterfaces", Some(&none), at(5)));
        assert!(!outages.note("DescribeNetworkInterfaces", Some(&none), at(9)), "nothing new");
        let longest = outages.longest(at(10)).unwrap();
        assert_eq!((longest.since, longest.throttled), (at(0), true));
        assert!(outages.note("DescribeSubnets", Some(&none), at(20)));
        assert!(!outages.longest(at(20)).unwrap().throttled, "not throttling only");
        assert!(outages.note("DescribeNetworkInterfaces", None, at(30)));
        assert!(!outages.note("DescribeNetworkInterfaces", None, at(31)));
        assert!(outages.longest(at(31)).is_some());
        assert!(outages.longest(at(171)).is_none(), "no lookup needs subnets any more");
        assert!(!outages.note("DescribeSubnets", Some(&CallError::NotLeader), at(172)));
    }

    #[test]
    fn a_missing_permission_is_a_silence_unless_it_is_optional() {
        let at = |s: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(s);
        let denied = CallError::Answered { code: "UnauthorizedOperation".into(), message: "no".into() };
        let mut outages = DescribeOutages::default();
        assert!(!outages.note("DescribeInstanceTypes", Some(&denied), at(0)));
        assert_eq!(outages.longest(at(0)), None);
        assert!(outages.note("DescribeInstanceTypes", Some(&CallError::Unknown("timeout".into())), at(1)));
        assert!(outages.note("DescribeInstanceTypes", Some(&denied), at(2)), "EC2 answers again");
        assert!(outages.note("DescribeSubnets", Some(&denied), at(3)));
        assert!(outages.longest(at(3)).is_some_and(|outage| outage.denied));
    }
}
