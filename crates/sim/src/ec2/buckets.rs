//! Request throttling: a token bucket per action.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::settings::Buckets;

const WHOLE: u128 = 1_000_000_000;

/// The state of the buckets. A token is counted in billionths, so refill per nanosecond is exact.
#[derive(Clone, Debug, Default)]
pub(super) struct Levels(BTreeMap<String, Level>);

#[derive(Clone, Copy, Debug)]
struct Level {
    billionths: u128,
    at: Timestamp,
}

impl Levels {
    /// Takes `tokens` from the action's bucket, or nothing if there are fewer.
    pub fn take(&mut self, rules: &Buckets, action: &str, unfiltered: bool, tokens: u32, now: Timestamp) -> bool {
        let (name, (capacity, refill)) = match rules.actions.get(action) {
            Some(rate) => (action.to_owned(), *rate),
            None if unfiltered => (format!("{action} unfiltered"), rules.unfiltered),
            None => (action.to_owned(), rules.filtered),
        };
        let full = u128::from(capacity) * WHOLE;
        let level = self.0.entry(name).or_insert(Level { billionths: full, at: now });
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
