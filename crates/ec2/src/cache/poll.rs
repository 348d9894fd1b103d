//! The poll: while ENIs are attaching or detaching, it describes just those ENIs by ID. It describes an ENI every tick at first,
//! and less often the longer the ENI takes: an ENI that is stuck for minutes is not worth a call a second.

use crate::batcher::VALUES_A_FILTER;
use crate::calls::describe::Weight;
use crate::convert;
use crate::ec2::Ec2;
use crate::lock::lock;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::EniId;
use multi_eni_plan::ec2_errors::CallError;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// Longest time between two polls of an ENI in motion that is not stuck.
const LONGEST: SignedDuration = SignedDuration::from_secs(30);
/// An ENI that has been in motion for this long is stuck: its motion rarely ends by itself, and a resync shows the end.
const STUCK: SignedDuration = SignedDuration::from_mins(10);
/// The time between two polls of an ENI is the time that the ENI has been in motion, divided by this number.
const PART: i32 = 5;

/// When an ENI that has been in motion since `since`, and that the cache last learned of at `seen`, is due for a poll. A stuck
/// ENI is due only after two resync intervals in which no resync showed it.
fn due(every: SignedDuration, resync: SignedDuration, since: Timestamp, seen: Timestamp) -> Timestamp {
    let age = seen.duration_since(since);
    let longest = if age < STUCK { LONGEST } else { LONGEST.max(resync * 2) };
    let pause = (age / PART).clamp(every, longest.max(every));
    seen.saturating_add(pause).unwrap_or(Timestamp::MAX)
}

impl Ec2 {
    /// Polls; never returns. Sleeps while no ENI is attaching or detaching.
    pub(crate) async fn keep_polling(&self) {
        let every = self.inner.options.poll_every;
        let mut failed = 0_u32;
        let mut next = Instant::now();
        loop {
            if !lock(&self.inner.cache).is_moving() {
                self.inner.motion.notified().await;
                // The first poll is one tick after an ENI began to move: EC2 takes at least that long.
                next = next.max(Instant::now() + every);
                continue;
            }
            tokio::time::sleep_until(next).await;
            let began = Instant::now();
            match self.poll().await {
                Ok(()) => {
                    failed = 0;
                    next = began + every;
                }
                Err(error) => {
                    tracing::warn!(code = error.code(), %error, "EC2 poll failed");
                    let wait = every.saturating_mul(2_u32.saturating_pow(failed.min(10)));
                    next = Instant::now() + wait.min(self.inner.options.resync_every);
                    failed = failed.saturating_add(1);
                }
            }
        }
    }

    /// Describes the ENIs that are due.
    async fn poll(&self) -> Result<(), CallError> {
        let options = &self.inner.options;
        let (now, every, resync) = (self.now(), tick(options.poll_every), tick(options.resync_every));
        let moving = lock(&self.inner.cache).moving();
        // An ENI may be polled half a tick early, because calls do not begin at exact times.
        let soon = now.saturating_add(every / 2).unwrap_or(now);
        let due: Vec<EniId> = moving
            .into_iter()
            .filter(|(_, since, seen)| due(every, resync, *since, *seen) <= soon)
            .map(|(id, ..)| id)
            .collect();
        for chunk in due.chunks(VALUES_A_FILTER) {
            let filter = convert::filter("network-interface-id", chunk.iter().map(EniId::as_str));
            let page = self.all_enis(filter, Weight::Light).await?;
            let asked = page.answered_ids(&chunk.iter().cloned().collect::<BTreeSet<EniId>>());
            self.change(|cache| ((), cache.finish_poll(page.started, &asked, page.enis)));
        }
        Ok(())
    }
}

fn tick(every: Duration) -> SignedDuration {
    SignedDuration::try_from(every).unwrap_or(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_become_rarer_the_longer_an_eni_is_in_motion() {
        let s = |seconds: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
        let every = SignedDuration::from_secs(1);
        let resync = SignedDuration::from_secs(60);
        let pause = |age: i64| due(every, resync, s(0), s(age)).duration_since(s(age)).as_secs();
        assert_eq!([0, 4, 10, 50, 150, 599, 600, 900].map(pause), [1, 1, 2, 10, 30, 30, 120, 120]);
    }
}
