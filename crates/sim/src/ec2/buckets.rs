//! Request throttling: a token bucket per action, as EC2 has them per account and Region.
//!
//! [`TokenBuckets`] holds the levels. Capacities and refill rates come with each call from the settings.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::settings::Buckets;

/// A token in billionths.
const WHOLE: u128 = 1_000_000_000;

/// The levels of all buckets. A token is counted in billionths, so that the refill per nanosecond is exact.
#[derive(Clone, Debug, Default)]
pub(super) struct TokenBuckets(BTreeMap<String, TokenBucket>);

/// What a call takes from the buckets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Withdrawal<'a> {
    pub action: &'a str,
    /// Whether the call asks for everything in one answer: such calls have a smaller bucket.
    pub unfiltered: bool,
    pub tokens: u32,
}

#[derive(Clone, Copy, Debug)]
struct TokenBucket {
    billionths: u128,
    at: Timestamp,
}

impl TokenBuckets {
    /// Takes the tokens from the action's bucket, or nothing if there are too few. Returns whether they were taken.
    pub fn take(&mut self, rules: &Buckets, withdrawal: &Withdrawal<'_>, now: Timestamp) -> bool {
        let Withdrawal { action, unfiltered, tokens } = *withdrawal;
        let (name, (capacity, refill)) = match rules.actions.get(action) {
            Some(rate) => (action.to_owned(), *rate),
            None if unfiltered => (format!("{action} unfiltered"), rules.unfiltered),
            None => (action.to_owned(), rules.filtered),
        };
        let full = u128::from(capacity) * WHOLE;
        let level = self.0.entry(name).or_insert(TokenBucket { billionths: full, at: now });
        let passed = u128::try_from(now.duration_since(level.at).as_nanos()).unwrap_or(0);
        level.billionths = full.min(level.billionths + passed * u128::from(refill));
        level.at = now;
        match level.billionths.checked_sub(u128::from(tokens) * WHOLE) {
            Some(rest) => {
                level.billionths = rest;
                true
            }
            None => false,
        }
    }
}
