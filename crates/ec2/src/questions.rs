//! What was asked and is not yet answered. Asking again costs nothing.

use crate::lock::lock;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::Notify;

/// Most values that EC2 takes in one filter.
pub(crate) const VALUES_A_FILTER: usize = 200;

#[derive(Debug)]
struct Asked<K> {
    waiting: BTreeSet<K>,
    under_way: BTreeSet<K>,
}

/// Questions of one kind.
#[derive(Debug)]
pub(crate) struct Questions<K> {
    asked: Mutex<Asked<K>>,
    wake: Notify,
}

impl<K: Ord + Clone> Questions<K> {
    /// None yet.
    pub fn new() -> Self {
        let asked = Asked { waiting: BTreeSet::new(), under_way: BTreeSet::new() };
        Self { asked: Mutex::new(asked), wake: Notify::new() }
    }

    /// Asks, unless that is already asked.
    pub fn ask(&self, key: K) {
        let mut asked = lock(&self.asked);
        if !asked.under_way.contains(&key) && asked.waiting.insert(key) {
            self.wake.notify_one();
        }
    }

    /// Waits for questions and takes at most a filter's worth, after `gather` for others to join.
    pub async fn next(&self, gather: Duration) -> BTreeSet<K> {
        loop {
            if lock(&self.asked).waiting.is_empty() {
                self.wake.notified().await;
            }
            tokio::time::sleep(gather).await;
            let mut asked = lock(&self.asked);
            let batch: BTreeSet<K> = asked.waiting.iter().take(VALUES_A_FILTER).cloned().collect();
            if !batch.is_empty() {
                asked.waiting.retain(|key| !batch.contains(key));
                asked.under_way.extend(batch.iter().cloned());
                return batch;
            }
        }
    }

    /// These are answered.
    pub fn answered(&self, batch: &BTreeSet<K>) {
        lock(&self.asked).under_way.retain(|key| !batch.contains(key));
    }

    /// These were not answered: they wait again.
    pub fn unanswered(&self, batch: BTreeSet<K>) {
        let mut asked = lock(&self.asked);
        asked.under_way.retain(|key| !batch.contains(key));
        asked.waiting.extend(batch);
    }

    /// After a stop in the middle of a call: what was under way waits again.
    pub fn restart(&self) {
        let mut asked = lock(&self.asked);
        let under_way = std::mem::take(&mut asked.under_way);
        asked.waiting.extend(under_way);
    }
}
