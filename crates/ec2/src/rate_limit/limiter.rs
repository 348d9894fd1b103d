//! One bucket an EC2 action, and the queue before it.

use crate::lock::lock;
use crate::rate_limit::bucket::{Bucket, Limit};
use crate::rate_limit::fair_queue::{FairQueue, Ticket};
use multi_eni_plan::ec2_errors::CallError;
use multi_eni_plan::wait_estimate;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Creates wait while so many ENIs wait to be attached. As many as EC2 lets us attach at once, so that Attach never waits for
/// a Create.
const CREATED_AHEAD: usize = 50;

/// The EC2 actions that this crate calls; each has its own bucket at EC2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    Create,
    Attach,
    Modify,
    Tag,
    Untag,
    Detach,
    Delete,
    DescribeEnis,
    DescribeInstances,
    DescribeSubnets,
    DescribeGroups,
    DescribeTypes,
}

impl Action {
    const ALL: [Self; 12] = [
        Self::Create,
        Self::Attach,
        Self::Modify,
        Self::Tag,
        Self::Untag,
        Self::Detach,
        Self::Delete,
        Self::DescribeEnis,
        Self::DescribeInstances,
        Self::DescribeSubnets,
        Self::DescribeGroups,
        Self::DescribeTypes,
    ];

    /// EC2's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "CreateNetworkInterface",
            Self::Attach => "AttachNetworkInterface",
            Self::Modify => "ModifyNetworkInterfaceAttribute",
            Self::Tag => "CreateTags",
            Self::Untag => "DeleteTags",
            Self::Detach => "DetachNetworkInterface",
            Self::Delete => "DeleteNetworkInterface",
            Self::DescribeEnis => "DescribeNetworkInterfaces",
            Self::DescribeInstances => "DescribeInstances",
            Self::DescribeSubnets => "DescribeSubnets",
            Self::DescribeGroups => "DescribeSecurityGroups",
            Self::DescribeTypes => "DescribeInstanceTypes",
        }
    }

    /// EC2's default bucket, per account and Region; every Describe of ours is filtered and paginated.
    fn default_limit(self) -> Limit {
        let (capacity, refill) = match self {
            Self::Create | Self::Delete | Self::Modify => (100.0, 5.0),
            Self::Attach | Self::Detach => (50.0, 5.0),
            Self::Tag | Self::Untag => (100.0, 10.0),
            Self::DescribeEnis
            | Self::DescribeInstances
            | Self::DescribeSubnets
            | Self::DescribeGroups
            | Self::DescribeTypes => (100.0, 20.0),
        };
        Limit { capacity, refill }
    }
}

/// How long so many calls of each action take at least, from full buckets: EC2's default ones, at this share of their refill
/// rates. What EC2 itself takes to attach and detach comes on top. Calls of actions that are not ours count nothing.
pub fn shortest(calls: &BTreeMap<&'static str, u32>, share: f64) -> Duration {
    let waits = calls.iter().filter_map(|(name, n)| {
        let action = Action::ALL.into_iter().find(|action| action.name() == *name)?;
        let Limit { capacity, refill } = action.default_limit();
        Some((f64::from(*n) - capacity).max(0.0) / (refill * share.clamp(0.01, 1.0)))
    });
    Duration::from_secs_f64(waits.fold(0.0, f64::max))
}

/// A bucket, and who waits before it.
#[derive(Debug)]
struct Counter {
    bucket: Arc<Mutex<Bucket>>,
    queue: Mutex<FairQueue<oneshot::Sender<()>>>,
    /// Held by that one of the waiters who takes the tokens for all, until its own turn comes.
    cashier: tokio::sync::Mutex<()>,
    /// Somebody waits no more.
    left: Notify,
    throttles: AtomicU64,
}

/// While it lives, somebody waits.
struct Waits<'a> {
    counter: &'a Counter,
    ticket: &'a Ticket,
    number: u64,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        lock(&self.counter.queue).leave(self.ticket, self.number);
        self.counter.left.notify_waiters();
    }
}

impl Counter {
    /// Waits for a turn. `before`: what must be so before the next one is served.
    async fn turn<F: Future<Output = ()>>(&self, ticket: &Ticket, before: impl Fn() -> F) {
        let (grant, mut granted) = oneshot::channel();
        let number = lock(&self.queue).join(ticket, grant);
        let _waits = Waits { counter: self, ticket, number };
        tokio::select! {
            biased;
            _ = &mut granted => {}
            _cashier = self.cashier.lock() => {
                // One at a time is here, and thousands may wait to be: the state of this is made when it is needed.
                Box::pin(async {
                    // Who is served is told only when the token is there: a latecomer may be next by then.
                    while granted.try_recv().is_err() {
                        before().await;
                        self.token().await;
                        self.serve();
                    }
                })
                .await;
            }
        }
    }

    async fn token(&self) {
        loop {
            let taken = lock(&self.bucket).take(Instant::now());
            match taken {
                Ok(()) => return,
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

    /// The token goes to the next who still waits.
    fn serve(&self) {
        let mut queue = lock(&self.queue);
        while queue.next().is_some_and(|grant| grant.send(()).is_err()) {}
    }

    /// Until fewer than `most` wait here.
    async fn shorter_than(&self, most: usize) {
        loop {
            let left = self.left.notified();
            tokio::pin!(left);
            // Listens from here on, so that nobody leaves unheard between the look and the wait.
            left.as_mut().enable();
            if lock(&self.queue).len() < most {
                return;
            }
            left.await;
        }
    }
}

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
    counters: BTreeMap<Action, Counter>,
    /// Cancelled, and another one put in its place, when EC2 refuses a Create for the Region's quota.
    quota_refused: Mutex<CancellationToken>,
}

impl RateLimiter {
    /// Lines before these buckets.
    pub fn before(buckets: &Buckets) -> Self {
        let counter = |(action, bucket): (&Action, &Arc<Mutex<Bucket>>)| {
            let counter = Counter {
                bucket: bucket.clone(),
                queue: Mutex::default(),
                cashier: tokio::sync::Mutex::default(),
                left: Notify::new(),
                throttles: AtomicU64::new(0),
            };
            (*action, counter)
        };
        Self { counters: buckets.0.iter().map(counter).collect(), quota_refused: Mutex::default() }
    }

    /// Waits for the right to make one call.
    ///
    /// # Errors
    /// [`CallError::Withdrawn`] if nobody wants it any more; for Create [`CallError::QuotaRefused`] if EC2 refused another one
    /// meanwhile: who asked for this one has not heard yet, and may decide again.
    pub async fn wait(&self, action: Action, ticket: &Ticket) -> Result<(), CallError> {
        let Some(counter) = self.counters.get(&action) else { return Ok(()) };
        let creates = action == Action::Create;
        let attach = self.counters.get(&Action::Attach).filter(|_| creates);
        // A clone of its own, so that the next refusal does not move it.
        let quota_refused = lock(&self.quota_refused).clone();
        let turn = counter.turn(ticket, || async {
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
        let pace = |(action, counter): (&Action, &Counter)| RateStatus {
            action: action.name(),
            rate: lock(&counter.bucket).rate(Instant::now()),
            waiting: lock(&counter.queue).len(),
            throttles: counter.throttles.load(Ordering::Relaxed),
        };
        self.counters.iter().map(pace).collect()
    }

    /// Who waits to create and to attach.
    pub fn queues(&self) -> wait_estimate::CallQueues {
        let queue = |action| {
            let counter = self.counters.get(&action)?;
            let waiting = lock(&counter.queue).waiting();
            let rate = lock(&counter.bucket).rate(Instant::now());
            Some(wait_estimate::CallQueue { waiting, rate })
        };
        wait_estimate::CallQueues {
            create: queue(Action::Create).unwrap_or_default(),
            attach: queue(Action::Attach).unwrap_or_default(),
        }
    }

    /// EC2 throttled a call of this action.
    pub fn throttled(&self, action: Action) {
        if let Some(counter) = self.counters.get(&action) {
            counter.throttles.fetch_add(1, Ordering::Relaxed);
            lock(&counter.bucket).throttled(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// facts/ec2.md: 1,000 nodes × 2 take 390 s of Attach at the whole rate.
    #[test]
    fn the_floor_of_facts() {
        let calls =
            |n| BTreeMap::from([("CreateNetworkInterface", n), ("AttachNetworkInterface", n), ("CreateTags", 7)]);
        assert_eq!(shortest(&calls(2000), 1.0), Duration::from_secs(390));
        assert_eq!(shortest(&calls(100), 1.0), Duration::from_secs(10));
        assert_eq!(shortest(&calls(100), 0.8), Duration::from_millis(12_500));
        assert_eq!(shortest(&calls(50), 0.8), Duration::ZERO);
    }

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
