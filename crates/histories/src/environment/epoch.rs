//! The time at which every history begins.

use jiff::Timestamp;
use multi_eni_sim::clock::SimClock;

/// When every history begins: the first second of 2026.
const EPOCH: i64 = 1_767_225_600;

/// A clock that shows the start of a history now.
pub(super) fn clock_at_start() -> SimClock {
    SimClock::starting_at(Timestamp::from_second(EPOCH).unwrap_or(Timestamp::UNIX_EPOCH))
}
