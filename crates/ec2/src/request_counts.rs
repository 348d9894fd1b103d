//! Counts the EC2 calls that were sent, for metrics.

use crate::lock::lock;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Counters by action.
#[derive(Debug, Default)]
pub(crate) struct Counts(Mutex<BTreeMap<&'static str, u64>>);

impl Counts {
    /// Counts one call of `action` that was sent.
    pub fn sent(&self, action: &'static str) {
        *lock(&self.0).entry(action).or_default() += 1;
    }

    /// All counters.
    pub fn all(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.0).clone()
    }
}
