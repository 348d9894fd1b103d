//! Times in sentences for people. Every message that names a time of the past uses this; [`upcoming`](crate::upcoming) has those of the
//! future.

use jiff::{Timestamp, Unit};

/// The time in whole seconds. The times of lookups and of this process have nanoseconds, which say nothing to a user.
pub fn second(at: Timestamp) -> Timestamp {
    at.round(Unit::Second).unwrap_or(at)
}
