//! One bucket an EC2 action, and the queue before it.

use crate::budget::{Bucket, Limit};
use crate::lock::lock;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// The EC2 actions that this crate calls; each has its own bucket at EC2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    Create,
    Attach,
    Modify,
    Tag,
    Detach,
    Delete,
    DescribeEnis,
    DescribeInstances,
    DescribeSubnets,
    DescribeGroups,
    DescribeTypes,
}

impl Action {
    const ALL: [Self; 11] = [
        Self::Create,
        Self::Attach,
        Self::Modify,
        Self::Tag,
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
            Self::Tag => (100.0, 10.0),
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

/// A bucket and its queue: tokio's mutex is fair, so waiters are served in the order in which they came.
#[derive(Debug)]
struct Counter {
    queue: tokio::sync::Mutex<()>,
    bucket: Mutex<Bucket>,
}

/// All buckets.
#[derive(Debug)]
pub(crate) struct Budgets(BTreeMap<Action, Counter>);

impl Budgets {
    /// EC2's defaults, the refill rates cut to `share` and the sizes to `burst`.
    pub fn new(share: f64, burst: f64) -> Self {
        let now = Instant::now();
        let counter = |action: Action| {
            let Limit { capacity, refill } = action.default_limit();
            let limit = Limit { capacity: capacity * burst.clamp(0.01, 1.0), refill: refill * share.clamp(0.01, 1.0) };
            let bucket = Bucket::new(limit, now);
            (action, Counter { queue: tokio::sync::Mutex::default(), bucket: Mutex::new(bucket) })
        };
        Self(Action::ALL.into_iter().map(counter).collect())
    }

    /// Waits for the right to make one call.
    pub async fn wait(&self, action: Action) {
        let Some(counter) = self.0.get(&action) else { return };
        let _turn = counter.queue.lock().await;
        loop {
            let taken = lock(&counter.bucket).take(Instant::now());
            match taken {
                Ok(()) => return,
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

    /// EC2 throttled a call of this action.
    pub fn throttled(&self, action: Action) {
        if let Some(counter) = self.0.get(&action) {
            lock(&counter.bucket).throttled(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

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
            let budgets = Arc::new(Budgets::new(1.0, 1.0));
            for _ in 0..50 {
                budgets.wait(Action::Attach).await;
            }
            let started = Instant::now();
            let order = Arc::new(Mutex::new(Vec::new()));
            let waiters = (0..3).map(|n| {
                let (budgets, order) = (budgets.clone(), order.clone());
                async move {
                    budgets.wait(Action::Attach).await;
                    lock(&order).push(n);
                }
            });
            futures::future::join_all(waiters).await;
            assert_eq!(*lock(&order), [0, 1, 2]);
            // 5 a second; the first tokens may have come in while the burst was taken.
            assert!(started.elapsed() >= Duration::from_millis(350), "{:?}", started.elapsed());
            // Another action has its own.
            tokio::time::timeout(Duration::from_millis(50), budgets.wait(Action::Detach)).await.unwrap();
        });
    }
}
