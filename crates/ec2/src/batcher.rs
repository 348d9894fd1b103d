//! What was asked and is not yet answered. Asking again costs nothing, and never more than one call a second.

use crate::lock::lock;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Most values that EC2 takes in one filter.
pub(crate) const VALUES_A_FILTER: usize = 200;

/// The same question is not asked again sooner after its answer. While EC2 lags an answer may say nothing new, and who needs
/// it asks at once again; so often EC2 is also asked about what moves.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Asked<K> {
    /// What waits, and from when on it may be asked.
    waiting: BTreeMap<K, Instant>,
    under_way: BTreeSet<K>,
    /// What was answered less than `AGAIN_AFTER` ago.
    answered: BTreeMap<K, Instant>,
}

/// Questions of one kind.
#[derive(Debug)]
pub(crate) struct Batcher<K> {
    asked: Mutex<Asked<K>>,
    wake: Notify,
}

impl<K: Ord + Clone> Batcher<K> {
    /// None yet.
    pub fn new() -> Self {
        let asked = Asked { waiting: BTreeMap::new(), under_way: BTreeSet::new(), answered: BTreeMap::new() };
        Self { asked: Mutex::new(asked), wake: Notify::new() }
    }

    /// Asks, unless that is already asked; what was answered a moment ago, in a moment.
    pub fn ask(&self, key: K) {
        let mut asked = lock(&self.asked);
        if asked.under_way.contains(&key) || asked.waiting.contains_key(&key) {
            return;
        }
        let now = Instant::now();
        let due = asked.answered.get(&key).map_or(now, |at| (*at + AGAIN_AFTER).max(now));
        asked.waiting.insert(key, due);
        self.wake.notify_one();
    }

    /// Waits for questions and takes at most a filter's worth, after `gather` for others to join.
    pub async fn next(&self, gather: Duration) -> BTreeSet<K> {
        loop {
            let due = lock(&self.asked).waiting.values().min().copied();
            match due {
                None => {
                    self.wake.notified().await;
                    continue;
                }
                Some(due) if due > Instant::now() => {
                    // Another one may be asked meanwhile, and be due first.
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

    /// Whether something was asked and is not yet answered.
    pub fn is_open(&self) -> bool {
        let asked = lock(&self.asked);
        !asked.waiting.is_empty() || !asked.under_way.is_empty()
    }

    /// These are answered.
    pub fn answered(&self, batch: &BTreeSet<K>) {
        let now = Instant::now();
        let mut asked = lock(&self.asked);
        asked.under_way.retain(|key| !batch.contains(key));
        asked.answered.retain(|_, at| now < *at + AGAIN_AFTER);
        asked.answered.extend(batch.iter().map(|key| (key.clone(), now)));
    }

    /// These were not answered: they wait again.
    pub fn unanswered(&self, batch: BTreeSet<K>) {
        let now = Instant::now();
        let mut asked = lock(&self.asked);
        asked.under_way.retain(|key| !batch.contains(key));
        asked.waiting.extend(batch.into_iter().map(|key| (key, now)));
    }

    /// After a stop in the middle of a call: what was under way waits again.
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

    /// Whoever asks again at each answer asks once a second; who asks something else does not wait for it.
    #[tokio::test(start_paused = true)]
    async fn the_same_again_waits_a_second() {
        let questions = Batcher::new();
        let began = Instant::now();
        let after = || began.elapsed().as_millis();
        questions.ask("a");
        assert_eq!(questions.next(GATHER).await, BTreeSet::from(["a"]));
        assert_eq!(after(), 5);
        questions.answered(&BTreeSet::from(["a"]));
        questions.ask("a");
        let other = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            questions.ask("b");
        };
        let (batch, ()) = tokio::join!(questions.next(GATHER), other);
        assert_eq!((batch, after()), (BTreeSet::from(["b"]), 110));
        assert_eq!((questions.next(GATHER).await, after()), (BTreeSet::from(["a"]), 1010));
        // What was not answered is asked again at once: how long to wait after a failure is not decided here.
        questions.unanswered(BTreeSet::from(["a"]));
        assert_eq!((questions.next(GATHER).await, after()), (BTreeSet::from(["a"]), 1015));
        questions.answered(&BTreeSet::from(["a", "b"]));
        tokio::time::sleep(Duration::from_secs(2)).await;
        questions.ask("a");
        assert_eq!((questions.next(GATHER).await, after()), (BTreeSet::from(["a"]), 3020));
    }
}
