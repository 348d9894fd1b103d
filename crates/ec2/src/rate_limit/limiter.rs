//! What a call waits for: a token of its action's bucket; and for a Create, that few ENIs wait to be attached.

use crate::lock::lock;
use crate::rate_limit::action::Action;
use crate::rate_limit::action_queue::ActionQueue;
use crate::rate_limit::bucket::{Bucket, Limit};
use crate::rate_limit::fair_queue::Ticket;
use multi_eni_plan::ec2_errors::CallError;
use multi_eni_plan::wait_estimate;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Creates wait while so many ENIs wait to be attached. As many as EC2 lets us attach at once, so that Attach never waits for
/// a Create.
const CREATED_AHEAD: usize = 50;

/// How one action's budget stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateStatus {
    /// EC2's name of the action.
    pub action: &'static str,
    /// Calls a second that may be made now: less than the configured share after throttling.
    pub rate: f64,
    /// Calls that wait for their turn.
    pub waiting: usize,
    /// Answers that said that we are too fast, since this process began.
    pub throttles: u64,
}

/// The buckets of a process: what was spent in one term of leadership is spent in the next one, too.
#[derive(Debug, Clone)]
pub struct Buckets(BTreeMap<Action, Arc<Mutex<Bucket>>>);

impl Buckets {
    /// EC2's defaults, the refill rates cut to `share` and the sizes to `burst`; full. Must be called inside a tokio runtime.
    pub fn new(share: f64, burst: f64) -> Self {
        let now = Instant::now();
        let bucket = |action: Action| {
            let Limit { capacity, refill } = action.default_limit();
            let limit = Limit { capacity: capacity * burst.clamp(0.01, 1.0), refill: refill * share.clamp(0.01, 1.0) };
            (action, Arc::new(Mutex::new(Bucket::new(limit, now))))
        };
        Self(Action::ALL.into_iter().map(bucket).collect())
    }
}

/// All buckets, and who waits before them.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    queues: BTreeMap<Action, ActionQueue>,
    /// Cancelled, and another one put in its place, when EC2 refuses a Create for the Region's quota.
    quota_refused: Mutex<CancellationToken>,
}

impl RateLimiter {
    /// Lines before these buckets.
    pub fn before(buckets: &Buckets) -> Self {
        let queue = |(action, bucket): (&Action, &Arc<Mutex<Bucket>>)| (*action, ActionQueue::before(bucket.clone()));
        Self { queues: buckets.0.iter().map(queue).collect(), quota_refused: Mutex::default() }
    }

    /// Waits for the right to make one call.
    ///
    /// # Errors
    /// [`CallError::Withdrawn`] if nobody wants it any more; for Create [`CallError::QuotaRefused`] if EC2 refused another one
    /// meanwhile: who asked for this one has not heard yet, and may decide again.
    pub async fn wait(&self, action: Action, ticket: &Ticket) -> Result<(), CallError> {
        let Some(queue) = self.queues.get(&action) else { return Ok(()) };
        let creates = action == Action::Create;
        let attach = self.queues.get(&Action::Attach).filter(|_| creates);
        // A clone of its own, so that the next refusal does not move it.
        let quota_refused = lock(&self.quota_refused).clone();
        let turn = queue.turn(ticket, || async {
            // What is there is attached first: an ENI that only waits takes an address from the subnet.
            if let Some(attach) = attach {
                attach.shorter_than(CREATED_AHEAD).await;
            }
        });
        tokio::select! {
            biased;
            () = ticket.withdrawn.cancelled() => Err(CallError::Withdrawn),
            () = quota_refused.cancelled(), if creates => Err(CallError::QuotaRefused),
            () = turn => Ok(()),
        }
    }

    /// EC2 refused a Create for the Region's quota: no other one that waits can do better.
    pub fn quota_refused(&self) {
        std::mem::take(&mut *lock(&self.quota_refused)).cancel();
    }

    /// How all of them stand.
    pub fn status(&self) -> Vec<RateStatus> {
        let pace = |(action, queue): (&Action, &ActionQueue)| RateStatus {
            action: action.name(),
            rate: lock(&queue.bucket).rate(Instant::now()),
            waiting: lock(&queue.queue).len(),
            throttles: queue.throttles.load(Ordering::Relaxed),
        };
        self.queues.iter().map(pace).collect()
    }

    /// Who waits to create and to attach.
    pub fn queues(&self) -> wait_estimate::CallQueues {
        let queue = |action| {
            let queue = self.queues.get(&action)?;
            let waiting = lock(&queue.queue).waiting();
            let rate = lock(&queue.bucket).rate(Instant::now());
            Some(wait_estimate::CallQueue { waiting, rate })
        };
        wait_estimate::CallQueues {
            create: queue(Action::Create).unwrap_or_default(),
            attach: queue(Action::Attach).unwrap_or_default(),
        }
    }

    /// EC2 throttled a call of this action.
    pub fn throttled(&self, action: Action) {
        if let Some(queue) = self.queues.get(&action) {
            queue.throttles.fetch_add(1, Ordering::Relaxed);
            lock(&queue.bucket).throttled(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn waiters_are_served_in_order_at_the_configured_share() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let rate_limiter = Arc::new(RateLimiter::before(&Buckets::new(1.0, 1.0)));
            let ticket = Ticket::default();
            for _ in 0..50 {
                rate_limiter.wait(Action::Attach, &ticket).await.unwrap();
            }
            let started = Instant::now();
            let order = Arc::new(Mutex::new(Vec::new()));
            let waiters = (0..3).map(|n| {
                let (rate_limiter, order, ticket) = (rate_limiter.clone(), order.clone(), ticket.clone());
                async move {
                    rate_limiter.wait(Action::Attach, &ticket).await.unwrap();
                    lock(&order).push(n);
                }
            });
            futures::future::join_all(waiters).await;
            assert_eq!(*lock(&order), [0, 1, 2]);
            // 5 a second; the first tokens may have come in while the burst was taken.
            assert!(started.elapsed() >= Duration::from_millis(350), "{:?}", started.elapsed());
            // Another action has its own.
            tokio::time::timeout(Duration::from_millis(50), rate_limiter.wait(Action::Detach, &ticket))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(rate_limiter.status().iter().map(|pace| pace.waiting).sum::<usize>(), 0);
        });
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_takes_no_turn_and_holds_nobody_up() {
        let rate_limiter = RateLimiter::before(&Buckets::new(1.0, 1.0));
        let ticket = Ticket::default();
        for _ in 0..50 {
            rate_limiter.wait(Action::Attach, &ticket).await.unwrap();
        }
        let soon = Duration::from_millis(10);
        // The first takes the tokens for all, the second only waits; both give up.
        let both = async {
            tokio::join!(rate_limiter.wait(Action::Attach, &ticket), rate_limiter.wait(Action::Attach, &ticket))
        };
        assert!(tokio::time::timeout(soon, both).await.is_err());
        let started = Instant::now();
        rate_limiter.wait(Action::Attach, &ticket).await.unwrap();
        assert!(started.elapsed() <= Duration::from_millis(200), "{:?}", started.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_withdrawn_waits_no_more() {
        let rate_limiter = RateLimiter::before(&Buckets::new(1.0, 1.0));
        let (ticket, withdrawn) = (Ticket::default(), Ticket::default());
        for _ in 0..50 {
            rate_limiter.wait(Action::Attach, &ticket).await.unwrap();
        }
        let (first, second, ()) = tokio::join!(
            rate_limiter.wait(Action::Attach, &withdrawn),
            rate_limiter.wait(Action::Attach, &ticket),
            async { withdrawn.withdrawn.cancel() }
        );
        assert_eq!((first, second), (Err(CallError::Withdrawn), Ok(())));
        assert_eq!(rate_limiter.queues().attach.waiting, BTreeMap::new());
    }

    #[tokio::test(start_paused = true)]
    async fn creates_that_wait_when_the_quota_is_refused_leave_the_line_at_once_and_later_ones_are_served() {
        let rate_limiter = RateLimiter::before(&Buckets::new(1.0, 1.0));
        let ticket = Ticket::default();
        for _ in 0..100 {
            rate_limiter.wait(Action::Create, &ticket).await.unwrap();
        }
        let started = Instant::now();
        let waiting = futures::future::join_all((0..20).map(|_| rate_limiter.wait(Action::Create, &ticket)));
        let (waited, ()) = tokio::join!(waiting, async { rate_limiter.quota_refused() });
        assert_eq!((waited, started.elapsed()), (vec![Err(CallError::QuotaRefused); 20], Duration::ZERO));
        // None of them took a token with it.
        rate_limiter.wait(Action::Create, &ticket).await.unwrap();
        assert!(started.elapsed() <= Duration::from_millis(200), "{:?}", started.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_more_is_created_while_what_is_there_waits_to_be_attached() {
        let rate_limiter = Arc::new(RateLimiter::before(&Buckets::new(1.0, 1.0)));
        let ticket = Ticket::default();
        let attaches: Vec<_> = (0..150)
            .map(|_| {
                let (rate_limiter, ticket) = (rate_limiter.clone(), ticket.clone());
                tokio::spawn(async move { rate_limiter.wait(Action::Attach, &ticket).await })
            })
            .collect();
        // All of them have come.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let started = Instant::now();
        rate_limiter.wait(Action::Create, &ticket).await.unwrap();
        // 50 at once, then 5 a second: after 51 more, fewer than 50 wait.
        assert_eq!(started.elapsed().as_secs(), 10, "{:?}", started.elapsed());
        futures::future::join_all(attaches).await;
        rate_limiter.wait(Action::Create, &ticket).await.unwrap();
        assert!((19..=20).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_spent_in_one_term_is_spent_in_the_next() {
        let buckets = Buckets::new(1.0, 1.0);
        for waits in [Duration::ZERO, Duration::from_secs(10)] {
            // Another term: nobody waits any more.
            let rate_limiter = RateLimiter::before(&buckets);
            let began = Instant::now();
            for _ in 0..50 {
                rate_limiter.wait(Action::Attach, &Ticket::default()).await.unwrap();
            }
            let took = began.elapsed();
            assert!(took >= waits && took < waits + Duration::from_secs(1), "{took:?}");
        }
    }
}
