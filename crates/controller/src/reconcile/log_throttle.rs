//! Which warnings are due in the log: a lasting warning is logged once, and again every ten minutes.

use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// How often a lasting warning is logged again.
const LOG_AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(600);
/// How many different warnings are remembered. Beyond that the oldest is forgotten and may be logged again early.
const MAX_REMEMBERED: usize = 500;

/// The warnings that were logged, and when.
#[derive(Debug, Default)]
pub(super) struct Warnings(BTreeMap<String, Timestamp>);

impl Warnings {
    /// Whether this warning must be logged now. If so, notes it as logged.
    pub(super) fn is_due(&mut self, warning: &str, now: Timestamp) -> bool {
        if self.0.get(warning).is_some_and(|logged_at| now.duration_since(*logged_at) < LOG_AGAIN_AFTER) {
            return false;
        }
        if self.0.len() >= MAX_REMEMBERED {
            self.0.retain(|_, logged_at| now.duration_since(*logged_at) < LOG_AGAIN_AFTER);
        }
        if self.0.len() >= MAX_REMEMBERED
            && let Some(oldest) =
                self.0.iter().min_by_key(|(_, logged_at)| **logged_at).map(|(warning, _)| warning.clone())
        {
            self.0.remove(&oldest);
        }
        self.0.insert(warning.to_owned(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lasting_warning_is_logged_again_and_the_memory_is_bounded() {
        let at = |s: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(s);
        let mut warnings = Warnings::default();
        let logged_at: Vec<i64> = (0..1500).filter(|s| warnings.is_due("a", at(*s))).collect();
        assert_eq!(logged_at, [0, 600, 1200]);
        assert!((0..2000).all(|n| warnings.is_due(&n.to_string(), at(1500))));
        assert_eq!(warnings.0.len(), MAX_REMEMBERED);
    }
}
