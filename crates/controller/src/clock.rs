//! The two clocks: wall time for records, and a clock that runs on through suspend for the Lease.

use jiff::{SignedDuration, Timestamp};
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

/// The wall clock as it is now, and from now on at the steady clock's pace: graces and lags must not be cut short or
/// stretched because somebody sets the time.
pub fn anchored(wall: &Wall, steady: impl Fn() -> Duration + Send + Sync + 'static) -> Wall {
    let (began, from) = (wall(), steady());
    Arc::new(move || {
        let run = SignedDuration::try_from(steady().saturating_sub(from)).unwrap_or(SignedDuration::MAX);
        began.saturating_add(run).unwrap_or(Timestamp::MAX)
    })
}

/// CLOCK_BOOTTIME: a laptop lid or a paused machine must not stretch a Lease.
fn boot_time() -> Duration {
    match nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME) {
        Ok(time) => Duration::from(time),
        // Every Linux since 2.6.39 has it; without it no time is safe to act in.
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
