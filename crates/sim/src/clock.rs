//! The simulator's clock. It follows tokio's clock, so a paused runtime controls the time.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// The wall-clock time of the simulated EC2 and API server: a fixed epoch plus the time that tokio's clock has run.
#[derive(Clone, Copy, Debug)]
pub struct SimClock {
    epoch: Timestamp,
    started: Instant,
}

impl SimClock {
    /// A clock that shows `epoch` now. With paused time, call this method inside the tokio runtime.
    pub fn starting_at(epoch: Timestamp) -> Self {
        Self { epoch, started: Instant::now() }
    }

    /// The simulated wall-clock time.
    pub fn now(&self) -> Timestamp {
        let run = SignedDuration::try_from(self.started.elapsed()).unwrap_or(SignedDuration::MAX);
        self.epoch.saturating_add(run).unwrap_or(Timestamp::MAX)
    }
}
