//! The poll: while anything is attaching or detaching, looks at just those ENIs: every tick at first, and less and less
//! often at those that take long. What is stuck for minutes is not worth a call a second.

use crate::batcher::VALUES_A_FILTER;
use crate::convert;
use crate::ec2::Ec2;
use crate::lock::lock;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::EniId;
use multi_eni_plan::ec2_errors::CallError;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// Longest time between two looks at an ENI in motion.
const LONGEST: SignedDuration = SignedDuration::from_secs(30);
/// What has been in motion for so long does not end by itself: the sweep, which comes anyway, tells when it does.
const STUCK: SignedDuration = SignedDuration::from_mins(10);
/// The time between two looks is this part of how long the ENI has been in motion.
const PART: i32 = 5;

/// When an ENI that has been in motion since `since` and was seen last at `seen` is looked at again. What is stuck is looked at
/// only when two sweeps have not shown it.
fn due(every: SignedDuration, resync: SignedDuration, since: Timestamp, seen: Timestamp) -> Timestamp {
    let age = seen.duration_since(since);
    let longest = if age < STUCK { LONGEST } else { LONGEST.max(resync * 2) };
    let pause = (age / PART).clamp(every, longest.max(every));
    seen.saturating_add(pause).unwrap_or(Timestamp::MAX)
}

impl Ec2 {
    /// Polls for ever; sleeps while nothing moves.
    pub(crate) async fn keep_polling(&self) {
        let every = self.inner.options.poll_every;
        let mut failed = 0_u32;
        let mut next = Instant::now();
        loop {
            if !lock(&self.inner.cache).is_moving() {
                self.inner.motion.notified().await;
                // The first look is one tick after something began to move: EC2 takes that long.
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
                    tracing::warn!(code = error.code(), %error, "poll failed");
                    let wait = every.saturating_mul(2_u32.saturating_pow(failed.min(10)));
                    next = Instant::now() + wait.min(self.inner.options.resync_every);
                    failed = failed.saturating_add(1);
                }
            }
        }
    }

    /// Looks at those that are due.
    async fn poll(&self) -> Result<(), CallError> {
        let options = &self.inner.options;
        let (now, every, resync) = (self.now(), tick(options.poll_every), tick(options.resync_every));
        let moving = lock(&self.inner.cache).moving();
        // A tick's fraction early is not too early: calls do not begin on the dot.
        let soon = now.saturating_add(every / 2).unwrap_or(now);
        let due: Vec<EniId> = moving
            .into_iter()
            .filter(|(_, since, seen)| due(every, resync, *since, *seen) <= soon)
            .map(|(id, ..)| id)
            .collect();
        for chunk in due.chunks(VALUES_A_FILTER) {
            let filter = convert::filter("network-interface-id", chunk.iter().map(EniId::as_str));
            let page = self.all_enis(filter).await?;
            let asked = page.told_of(&chunk.iter().cloned().collect::<BTreeSet<EniId>>());
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
    fn looks_become_rarer_with_the_length_of_the_motion() {
        let s = |seconds: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
        let every = SignedDuration::from_secs(1);
        let resync = SignedDuration::from_secs(60);
        let pause = |age: i64| due(every, resync, s(0), s(age)).duration_since(s(age)).as_secs();
        assert_eq!([0, 4, 10, 50, 150, 599, 600, 900].map(pause), [1, 1, 2, 10, 30, 30, 120, 120]);
    }
}
