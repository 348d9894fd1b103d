//! What wakes watches: the last value, and everybody who waits in the order in which they began to.
//!
//! `tokio::sync::watch` wakes in an order that it draws from a counter of the whole process: the same seed would be another
//! history after another one.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// How far a resource has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// The last version.
    pub version: u64,
    /// Raised when all watches are to end.
    pub broken: u64,
}

#[derive(Debug, Default)]
struct Heart {
    now: Mutex<Pulse>,
    beat: Notify,
}

impl Heart {
    fn now(&self) -> Pulse {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The side that changes it.
#[derive(Debug, Default)]
pub struct Beats(Arc<Heart>);

impl Beats {
    /// Changes it and wakes all who feel it.
    pub fn beat(&self, change: impl FnOnce(&mut Pulse)) {
        change(&mut self.0.now.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.beat.notify_waiters();
    }

    /// For one watch.
    pub fn feel(&self) -> Felt {
        Felt { seen: self.0.now(), heart: self.0.clone() }
    }
}

/// The side that waits.
#[derive(Debug)]
pub struct Felt {
    heart: Arc<Heart>,
    seen: Pulse,
}

impl Felt {
    /// What it is now; [`Felt::changed`] waits for another.
    pub fn look(&mut self) -> Pulse {
        self.seen = self.heart.now();
        self.seen
    }

    /// Until it is another than when it was looked at last.
    pub async fn changed(&self) {
        loop {
            // Asked for before looking, so that no beat falls in between.
            let mut beat = std::pin::pin!(self.heart.beat.notified());
            beat.as_mut().enable();
            if self.heart.now() != self.seen {
                return;
            }
            beat.await;
        }
    }
}
