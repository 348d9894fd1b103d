//! The two clocks: a wall clock for timestamps, and a steady clock, which also runs during suspend, for the Lease. All other code
//! takes a clock as a parameter.

use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// Wall-clock time.
pub type Wall = Arc<dyn Fn() -> Timestamp + Send + Sync>;
/// Time since a fixed moment, suspend included.
pub type Steady = Arc<dyn Fn() -> Duration + Send + Sync>;

/// The clocks of the machine.
pub fn system() -> (Wall, Steady) {
    (Arc::new(Timestamp::now), Arc::new(boot_time))
}

/// A wall clock that starts at the present time and then runs with the steady clock: setting the system time must not shorten or
/// extend grace periods.
pub fn anchored(wall: &Wall, steady: impl Fn() -> Duration + Send + Sync + 'static) -> Wall {
    let (began, from) = (wall(), steady());
    Arc::new(move || {
        let run = SignedDuration::try_from(steady().saturating_sub(from)).unwrap_or(SignedDuration::MAX);
        began.saturating_add(run).unwrap_or(Timestamp::MAX)
    })
}

/// CLOCK_BOOTTIME, which also runs during suspend: a suspended machine must not extend its Lease.
fn boot_time() -> Duration {
    match nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME) {
        Ok(time) => Duration::from(time),
        // Every Linux since 2.6.39 has this clock. Without it the Lease must count as ended.
        Err(_) => Duration::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

    #[test]
    fn an_anchored_clock_does_not_jump() {
        static WALL: AtomicI64 = AtomicI64::new(1_000);
        static STEADY: AtomicU64 = AtomicU64::new(50);
        let wall: Wall = Arc::new(|| Timestamp::from_second(WALL.load(Ordering::Relaxed)).unwrap_or_default());
        let clock = anchored(&wall, || Duration::from_secs(STEADY.load(Ordering::Relaxed)));
        WALL.store(9_000, Ordering::Relaxed);
        STEADY.store(57, Ordering::Relaxed);
        assert_eq!(clock().as_second(), 1_007);
    }
}
