//! Chance without state: what befalls one request does not depend on what befell the others, so taking one fault out of a
//! history leaves the others where they were.

use std::hash::{DefaultHasher, Hash, Hasher};

/// A number below `bound`, decided by the seed and by what is asked. 0 for a bound of 0.
pub fn below(bound: u64, seed: u64, asked: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, asked).hash(&mut hasher);
    hasher.finish().checked_rem(bound).unwrap_or(0)
}

/// True `per_mille` times of 1,000.
pub fn happens(per_mille: u32, seed: u64, asked: impl Hash) -> bool {
    below(1000, seed, asked) < u64::from(per_mille)
}
