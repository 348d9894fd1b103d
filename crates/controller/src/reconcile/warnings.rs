//! Warnings in the log: once, and again every ten minutes while what they are about lasts.

use super::Reconciler;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// While it lasts it is said so often.
const AGAIN: SignedDuration = SignedDuration::from_secs(600);
/// Warnings that are kept apart: with more of them the oldest are forgotten, and may be said sooner.
const MOST: usize = 500;

/// What was said, and when.
#[derive(Debug, Default)]
pub(super) struct Warnings(BTreeMap<String, Timestamp>);

impl Warnings {
    /// Whether this is to be said now.
    fn is_due(&mut self, warning: &str, now: Timestamp) -> bool {
        if self.0.get(warning).is_some_and(|said| now.duration_since(*said) < AGAIN) {
            return false;
        }
        if self.0.len() >= MOST {
            self.0.retain(|_, said| now.duration_since(*said) < AGAIN);
        }
        if self.0.len() >= MOST
            && let Some(oldest) = self.0.iter().min_by_key(|(_, said)| **said).map(|(warning, _)| warning.clone())
        {
            self.0.remove(&oldest);
        }
        self.0.insert(warning.to_owned(), now);
        true
    }
}

impl Reconciler {
    /// Logs what needs a person.
    pub(super) fn warn_once(&mut self, warning: String) {
        if self.warnings.is_due(&warning, self.now()) {
            tracing::warn!("{warning}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_said_again_and_what_is_kept_is_bounded() {
        let at = |s: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(s);
        let mut warnings = Warnings::default();
        let said: Vec<i64> = (0..1500).filter(|s| warnings.is_due("a", at(*s))).collect();
        assert_eq!(said, [0, 600, 1200]);
        assert!((0..2000).all(|n| warnings.is_due(&n.to_string(), at(1500))));
        assert_eq!(warnings.0.len(), MOST);
    }
}
