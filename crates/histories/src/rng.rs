//! Random numbers without state. A number depends only on the seed and on a key, not on the numbers drawn before. So removing one
//! fault from a history does not change the other faults.

use std::hash::{DefaultHasher, Hash, Hasher};

/// A number below `bound` that depends on the seed and the key. It is 0 if `bound` is 0.
pub fn below(bound: u64, seed: u64, key: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, key).hash(&mut hasher);
    hasher.finish().checked_rem(bound).unwrap_or(0)
}

/// True for `per_mille` of 1,000 keys.
pub fn happens(per_mille: u32, seed: u64, key: impl Hash) -> bool {
    below(1000, seed, key) < u64::from(per_mille)
}
