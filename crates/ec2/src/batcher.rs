//! Collects the lookups of one kind, so that several keys share one call. A key that already waits is not queued again, and a key
//! that was just answered waits a second: repeated requests cause at most one call a second. It never calls EC2.

use crate::lock::lock;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Maximum number of values in one filter of EC2.
pub(crate) const VALUES_A_FILTER: usize = 200;

/// Shortest time from the answer to a lookup to the next lookup of the same key. While EC2 lags, an answer may show nothing new,
/// and the caller requests the same lookup again at once. By default, the poll of ENIs that attach or detach is as frequent.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Asked<K> {
    /// The keys that wait, and when each is due.
    waiting: BTreeMap<K, Instant>,
    under_way: BTreeSet<K>,
    /// The keys that were answered less than `AGAIN_AFTER` ago, and when.
    answered: BTreeMap<K, Instant>,
}

/// The lookups of one kind that wait or are under way.
#[derive(Debug)]
pub(crate) struct Batcher<K> {
    asked: Mutex<Asked<K>>,
    wake: Notify,
}

impl<K: Ord + Clone> Batcher<K> {
    /// An empty batcher.
    pub fn new() -> Self {
        let asked = Asked { waiting: BTreeMap::new(), under_way: BTreeSet::new(), answered: BTreeMap::new() };
        Self { asked: Mutex::new(asked), wake: Notify::new() }
    }

    /// Requests a lookup of `key`, unless `key` waits or is under way. It is due at once, or `AGAIN_AFTER` after its last answer.
    pub fn request(&self, key: K) {
        let mut asked = lock(&self.asked);
        if asked.under_way.contains(&key) || asked.waiting.contains_key(&key) {
            return;
        }
        let now = Instant::now();
        let due = asked.answered.get(&key).map_or(now, |at| (*at + AGAIN_AFTER).max(now));
        asked.waiting.insert(key, due);
        self.wake.notify_one();
    }

    /// Waits until a lookup is due, then `gather` for others to join. Takes at most as many as fit in one filter.
    pub async fn next(&self, gather: Duration) -> BTreeSet<K> {
        loop {
            let due = lock(&self.asked).waiting.values().min().copied();
            match due {
                None => {
                    self.wake.notified().await;
                    continue;
                }
                Some(due) if due > Instant::now() => {
                    // Another key may be requested meanwhile and be due first.
                    let _ = tokio::time::timeout_at(due, self.wake.notified()).await;
                    continue;
                }
                Some(_) => tokio::time::sleep(gather).await,
            }
            let now = Instant::now();
            let mut asked = lock(&self.asked);
            let due = asked.waiting.iter().filter(|(_, due)| **due <= now).map(|(key, _)| key.clone());
            let batch: BTreeSet<K> = due.take(VALUES_A_FILTER).collect();
            if !batch.is_empty() {
                asked.waiting.retain(|key, _| !batch.contains(key));
                asked.under_way.extend(batch.iter().cloned());
                return batch;
            }
        }
    }

    /// Whether any requested lookup is not yet answered.
    pub fn is_open(&self) -> bool {
        let asked = lock(&self.asked);
        !asked.waiting.is_empty() || !asked.under_way.is_empty()
    }

    /// These lookups were answered.
    pub fn answered(&self, batch: &BTreeSet<K>) {
        let now = Instant::now();
        let mut asked = lock(&self.asked);
        asked.under_way.retain(|key| !batch.contains(key));
        asked.answered.retain(|_, at| now < *at + AGAIN_AFTER);
        asked.answered.extend(batch.iter().map(|key| (key.clone(), now)));
    }

    /// These lookups failed: they wait again.
    pub fn unanswered(&self, batch: BTreeSet<K>) {
        let now = Instant::now();
        let mut asked = lock(&self.asked);
        asked.under_way.retain(|key| !batch.contains(key));
        asked.waiting.extend(batch.into_iter().map(|key| (key, now)));
    }

    /// To be called after a stop in the middle of a call: the lookups that were under way wait again.
    pub fn restart(&self) {
        let mut asked = lock(&self.asked);
        let under_way = std::mem::take(&mut asked.under_way);
        let now = Instant::now();
        asked.waiting.extend(under_way.into_iter().map(|key| (key, now)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATHER: Duration = Duration::from_millis(5);

    /// A caller that requests the same key at each answer causes one call a second. Another key does not wait for that.
    #[tokio::test(start_paused = true)]
    async fn an_answered_key_waits_a_second_and_another_key_does_not() {
        let batcher = Batcher::new();
        let began = Instant::now();
        let after = || began.elapsed().as_millis();
        batcher.request("a");
        assert_eq!(batcher.next(GATHER).await, BTreeSet::from(["a"]));
        assert_eq!(after(), 5);
        batcher.answered(&BTreeSet::from(["a"]));
        batcher.request("a");
        let other = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            batcher.request("b");
        };
        let (batch, ()) = tokio::join!(batcher.next(GATHER), other);
        assert_eq!((batch, after()), (BTreeSet::from(["b"]), 110));
        assert_eq!((batcher.next(GATHER).await, after()), (BTreeSet::from(["a"]), 1010));
        // A failed lookup is due at once: the caller decides how long to wait after a failure.
        batcher.unanswered(BTreeSet::from(["a"]));
        assert_eq!((batcher.next(GATHER).await, after()), (BTreeSet::from(["a"]), 1015));
        batcher.answered(&BTreeSet::from(["a", "b"]));
        tokio::time::sleep(Duration::from_secs(2)).await;
        batcher.request("a");
        assert_eq!((batcher.next(GATHER).await, after()), (BTreeSet::from(["a"]), 3020));
    }
}
