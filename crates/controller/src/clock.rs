//! The two clocks: wall time for records, and a clock that runs on through suspend for the Lease.

use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// Wall-clock time.
pub type Wall = Arc<dyn Fn() -> Timestamp + Send + Sync>;
/// Time since some fixed moment, suspend included.
pub type Steady = Arc<dyn Fn() -> Duration + Send + Sync>;

/// The machine's clocks.
pub fn system() -> (Wall, Steady) {
    (Arc::new(Timestamp::now), Arc::new(boot_time))
}

/// CLOCK_BOOTTIME: a laptop lid or a paused machine must not stretch a Lease.
fn boot_time() -> Duration {
    match nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME) {
        Ok(time) => Duration::from(time),
        // Every Linux since 2.6.39 has it; without it no time is safe to act in.
        Err(_) => Duration::MAX,
    }
}
