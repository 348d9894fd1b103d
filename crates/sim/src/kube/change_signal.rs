//! The signal of changes that wakes the watches of one resource, in the order in which they began to wait.
//!
//! `tokio::sync::watch` wakes its receivers in an order that depends on a counter of the whole process. With it, a seed would
//! not always give the same history.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// The value that watches compare: it differs after every change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The version of the resource's last change.
    pub version: u64,
    /// How often all watches had to end.
    pub broken: u64,
}

#[derive(Debug, Default)]
struct Channel {
    progress: Mutex<Progress>,
    changed: Notify,
}

impl Channel {
    fn progress(&self) -> Progress {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sending side: the store.
#[derive(Debug, Default)]
pub struct ChangeSender(Arc<Channel>);

impl ChangeSender {
    /// Changes the value and wakes all receivers that wait.
    pub fn send_modify(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.0.progress.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.changed.notify_waiters();
    }

    /// A receiver for one watch.
    pub fn subscribe(&self) -> ChangeReceiver {
        ChangeReceiver { last: self.0.progress(), channel: self.0.clone() }
    }
}

/// The receiving side: one watch.
#[derive(Debug)]
pub struct ChangeReceiver {
    channel: Arc<Channel>,
    /// The value that the watch read last.
    last: Progress,
}

impl ChangeReceiver {
    /// Reads the value. [`Self::changed`] then waits for another value.
    pub fn read(&mut self) -> Progress {
        self.last = self.channel.progress();
        self.last
    }

    /// Waits until the value differs from the one that was read last.
    pub async fn changed(&self) {
        loop {
            // Enabled before the comparison, so that a change between comparison and wait is not missed.
            let mut changed = std::pin::pin!(self.channel.changed.notified());
            changed.as_mut().enable();
            if self.channel.progress() != self.last {
                return;
            }
            changed.await;
        }
    }
}
