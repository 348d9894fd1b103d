//! Decides when a call may be sent: when it has a token of its action's bucket. A Create also waits until few Attaches wait. It
//! is given the action and the call's ticket, and never sends a call.

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

/// Creates wait while at least this many Attaches wait. EC2 permits as many Attaches at once, so this limit never makes Attach
/// wait for a Create.
const CREATED_AHEAD: usize = 50;

/// The rate limit and the queue of one action.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateStatus {
    /// EC2's name of the action.
    pub action: &'static str,
    /// Current refill rate, in calls a second: less than the configured share of EC2's rate after throttling.
    pub rate: f64,
    /// Number of calls that wait for a token.
    pub waiting: usize,
    /// Number of throttling answers since the [`Ec2`](crate::Ec2) was created.
    pub throttles: u64,
}

/// The token buckets of a process. They outlive a term of leadership: tokens that one term took are missing in the next term.
#[derive(Debug, Clone)]
pub struct Buckets(BTreeMap<Action, Arc<Mutex<Bucket>>>);

impl Buckets {
    /// Full buckets with EC2's default refill rates times `share` and EC2's default sizes times `burst`, both 0.01 to 1. Must be
    /// called inside a tokio runtime.
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

/// All token buckets, and the calls that wait before them.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    queues: BTreeMap<Action, ActionQueue>,
    /// Cancelled and replaced when EC2 refuses a Create because of the Region's quota.
    quota_refused: Mutex<CancellationToken>,
}

impl RateLimiter {
    /// Empty queues before these buckets.
    pub fn before(buckets: &Buckets) -> Self {
        let queue = |(action, bucket): (&Action, &Arc<Mutex<Bucket>>)| (*action, ActionQueue::before(bucket.clone()));
        Self { queues: buckets.0.iter().map(queue).collect(), quota_refused: Mutex::default() }
    }

    /// Waits until one call of `action` may be sent.
    ///
    /// # Errors
    /// [`CallError::Withdrawn`] if the ticket was withdrawn meanwhile. For Create, [`CallError::QuotaRefused`] if EC2 refused
    /// another Create meanwhile because of the quota: this Create was decided before that, so the controller must decide again.
    pub async fn wait(&self, action: Action, ticket: &Ticket) -> Result<(), CallError> {
        let Some(queue) = self.queues.get(&action) else { return Ok(()) };
        let creates = action == Action::Create;
        let attach = self.queues.get(&Action::Attach).filter(|_| creates);
        // A clone of the cancellation token: the next refusal cancels it, and only later calls get its replacement.
        let quota_refused = lock(&self.quota_refused).clone();
        let turn = queue.turn(ticket, || async {
            // Existing ENIs are attached first: an ENI that only waits uses up an address of the subnet.
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

    /// EC2 refused a Create because of the Region's quota: ends the wait of all other Creates, because EC2 would refuse them,
    /// too.
    pub fn quota_refused(&self) {
        std::mem::take(&mut *lock(&self.quota_refused)).cancel();
    }

    /// The rate limit and the queue of each action.
    pub fn status(&self) -> Vec<RateStatus> {
        let status = |(action, queue): (&Action, &ActionQueue)| RateStatus {
            action: action.name(),
            rate: lock(&queue.bucket).rate(Instant::now()),
            waiting: lock(&queue.queue).len(),
            throttles: queue.throttles.load(Ordering::Relaxed),
        };
        self.queues.iter().map(status).collect()
    }

    /// The Creates and Attaches that wait for a token, by flow, and the rates of both actions.
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

    /// EC2 throttled a call of this action: counts the answer and lowers the rate.
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
            // The rate is 5 a second; the first tokens may have been gained while the burst was taken.
            assert!(started.elapsed() >= Duration::from_millis(350), "{:?}", started.elapsed());
            // Another action has its own bucket.
            tokio::time::timeout(Duration::from_millis(50), rate_limiter.wait(Action::Detach, &ticket))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(rate_limiter.status().iter().map(|status| status.waiting).sum::<usize>(), 0);
        });
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_call_takes_no_turn_and_blocks_no_other_call() {
        let rate_limiter = RateLimiter::before(&Buckets::new(1.0, 1.0));
        let ticket = Ticket::default();
        for _ in 0..50 {
            rate_limiter.wait(Action::Attach, &ticket).await.unwrap();
        }
        let soon = Duration::from_millis(10);
        // The first call dispatches, the second only waits; both are dropped.
        let both = async {
            tokio::join!(rate_limiter.wait(Action::Attach, &ticket), rate_limiter.wait(Action::Attach, &ticket))
        };
        assert!(tokio::time::timeout(soon, both).await.is_err());
        let started = Instant::now();
        rate_limiter.wait(Action::Attach, &ticket).await.unwrap();
        assert!(started.elapsed() <= Duration::from_millis(200), "{:?}", started.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_withdrawn_call_leaves_the_queue() {
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
    async fn waiting_creates_leave_the_queue_when_the_quota_is_refused_and_later_creates_are_served() {
        let rate_limiter = RateLimiter::before(&Buckets::new(1.0, 1.0));
        let ticket = Ticket::default();
        for _ in 0..100 {
            rate_limiter.wait(Action::Create, &ticket).await.unwrap();
        }
        let started = Instant::now();
        let waiting = futures::future::join_all((0..20).map(|_| rate_limiter.wait(Action::Create, &ticket)));
        let (waited, ()) = tokio::join!(waiting, async { rate_limiter.quota_refused() });
        assert_eq!((waited, started.elapsed()), (vec![Err(CallError::QuotaRefused); 20], Duration::ZERO));
        // None of the refused Creates took a token.
        rate_limiter.wait(Action::Create, &ticket).await.unwrap();
        assert!(started.elapsed() <= Duration::from_millis(200), "{:?}", started.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn creates_wait_while_fifty_attaches_wait() {
        let rate_limiter = Arc::new(RateLimiter::before(&Buckets::new(1.0, 1.0)));
        let ticket = Ticket::default();
        let attaches: Vec<_> = (0..150)
            .map(|_| {
                let (rate_limiter, ticket) = (rate_limiter.clone(), ticket.clone());
                tokio::spawn(async move { rate_limiter.wait(Action::Attach, &ticket).await })
            })
            .collect();
        // All Attaches have joined the queue.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let started = Instant::now();
        rate_limiter.wait(Action::Create, &ticket).await.unwrap();
        // 50 Attaches go at once, then 5 a second. After 51 more, fewer than 50 wait.
        assert_eq!(started.elapsed().as_secs(), 10, "{:?}", started.elapsed());
        futures::future::join_all(attaches).await;
        rate_limiter.wait(Action::Create, &ticket).await.unwrap();
        assert!((19..=20).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_taken_in_one_term_are_missing_in_the_next() {
        let buckets = Buckets::new(1.0, 1.0);
        for waits in [Duration::ZERO, Duration::from_secs(10)] {
            // Another term begins with empty queues.
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
