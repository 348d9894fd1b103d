//! The simulator's clock: tokio's, so that a paused runtime decides how fast time goes.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Wall-clock time as the simulated EC2 and API server see it: a fixed epoch plus what tokio's clock has run since.
#[derive(Clone, Copy, Debug)]
pub struct SimClock {
    epoch: Timestamp,
    started: Instant,
}

impl SimClock {
    /// A clock that shows `epoch` now. Must be called inside a tokio runtime for paused time to apply.
    pub fn starting_at(epoch: Timestamp) -> Self {
        Self { epoch, started: Instant::now() }
    }

    /// The simulated wall-clock time.
    pub fn now(&self) -> Timestamp {
        let run = SignedDuration::try_from(self.started.elapsed()).unwrap_or(SignedDuration::MAX);
        self.epoch.saturating_add(run).unwrap_or(Timestamp::MAX)
    }
}
