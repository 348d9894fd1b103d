//! [`Ec2`], the handle that the controller holds: the client, the rate limiter, the cache and the batchers. [`Ec2::run`] keeps
//! the cache current and reports changes; it only sends Describe calls.

use crate::batcher::Batcher;
use crate::cache::state::{CacheState, Uids};
use crate::call_report::CallReport;
use crate::catalog::state::CatalogState;
use crate::changed::Changed;
use crate::describe_outages::DescribeOutages;
use crate::lock::lock;
use crate::options::{Clock, Fence, Options};
use crate::rate_limit::fair_queue::Ticket;
use crate::rate_limit::limiter::{Buckets, RateLimiter};
use crate::request_counts::Counts;
use crate::request_stats::Requests;
use crate::resync_stats::ResyncStats;
use crate::unchanged::items::Keys;
use crate::unreadable::Unread;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use multi_eni_api::ids::{EniId, InstanceId, SubnetId};
use multi_eni_plan::ec2_terms::TagTerm;
use multi_eni_plan::lookup_failure::LookupFailure;
use multi_eni_plan::observed::Cluster;
use std::fmt;
use std::future::Future;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

/// EC2: calls, the cache and lookups. Clones share all state.
#[derive(Clone)]
pub struct Ec2 {
    pub(crate) inner: Arc<Inner>,
    pub(crate) ticket: Ticket,
    /// The Node that the calls are for, for the log.
    pub(crate) node: Option<Arc<str>>,
    /// Where the one call of this handle leaves its times.
    pub(crate) report: Option<CallReport>,
}

impl fmt::Debug for Ec2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ec2").field("cluster", &self.inner.cluster).finish_non_exhaustive()
    }
}

pub(crate) struct Inner {
    pub client: aws_sdk_ec2::Client,
    pub cluster: Cluster,
    pub options: Options,
    pub clock: Clock,
    pub fence: Fence,
    pub rate_limiter: RateLimiter,
    pub counts: Counts,
    pub requests: Requests,
    pub resyncs: Mutex<ResyncStats>,
    pub cache: Mutex<CacheState>,
    pub failure: Mutex<Option<LookupFailure>>,
    pub describe_outages: Mutex<DescribeOutages>,
    pub unread: Mutex<Unread>,
    /// The keys of the digests of items in EC2's answers.
    pub digest_keys: Keys,
    /// EC2 in this Region has refused the parameter IncludeManagedResources as unknown (isolated Regions lag).
    pub hides_managed: AtomicBool,
    /// One page of ENIs at a time, with [`Options::pages_apart`].
    pub page_turn: Arc<Semaphore>,
    pub changed: UnboundedSender<Changed>,
    pub motion: Notify,
    pub resync_requested: AtomicBool,
    pub resync_wake: Notify,
    pub uids: Batcher<String>,
    pub enis: Batcher<EniId>,
    pub instances: Batcher<InstanceId>,
    pub states: Batcher<InstanceId>,
    pub states_failure: Mutex<Option<LookupFailure>>,
    pub catalog: Mutex<CatalogState>,
    pub subnet_ids: Batcher<SubnetId>,
    pub subnet_names: Batcher<String>,
    pub group_names: Batcher<String>,
    pub group_tags: Batcher<TagTerm>,
    pub subnet_tags: Batcher<TagTerm>,
    pub instance_types: Batcher<String>,
}

impl Ec2 {
    /// Creates the handle, and the channel on which the handle reports changes. Must be called inside a tokio runtime. The handle
    /// sends nothing to EC2 before [`run`](Self::run), [`upstreams`](Self::upstreams) or a mutation is called. `buckets`: the
    /// token buckets of this process, from which earlier handles may have taken tokens.
    pub fn new(
        client: aws_sdk_ec2::Client,
        cluster: Cluster,
        options: Options,
        clock: Clock,
        fence: Fence,
        buckets: &Buckets,
    ) -> (Self, UnboundedReceiver<Changed>) {
        let (changed, changes) = unbounded_channel();
        let inner = Inner {
            client,
            rate_limiter: RateLimiter::before(buckets),
            counts: Counts::default(),
            requests: Requests::default(),
            resyncs: Mutex::new(ResyncStats::default()),
            cache: Mutex::new(CacheState::new(cluster.clone(), options.lag)),
            failure: Mutex::new(None),
            describe_outages: Mutex::new(DescribeOutages::default()),
            unread: Mutex::new(Unread::default()),
            digest_keys: Keys::default(),
            hides_managed: AtomicBool::new(false),
            page_turn: Arc::new(Semaphore::new(1)),
            changed,
            motion: Notify::new(),
            resync_requested: AtomicBool::new(false),
            resync_wake: Notify::new(),
            uids: Batcher::new(),
            enis: Batcher::new(),
            instances: Batcher::new(),
            states: Batcher::new(),
            states_failure: Mutex::new(None),
            catalog: Mutex::new(CatalogState::default()),
            subnet_ids: Batcher::new(),
            subnet_names: Batcher::new(),
            group_names: Batcher::new(),
            group_tags: Batcher::new(),
            subnet_tags: Batcher::new(),
            instance_types: Batcher::new(),
            cluster,
            options,
            clock,
            fence,
        };
        (Self { inner: Arc::new(inner), ticket: Ticket::default(), node: None, report: None }, changes)
    }

    /// Resyncs, polls and sends lookups until `stop` completes. The calls that are under way then are abandoned; they only read.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        self.inner.uids.restart();
        self.inner.enis.restart();
        self.inner.instances.restart();
        self.inner.states.restart();
        self.inner.subnet_ids.restart();
        self.inner.subnet_names.restart();
        self.inner.group_names.restart();
        self.inner.group_tags.restart();
        self.inner.subnet_tags.restart();
        self.inner.instance_types.restart();
        let inner = &self.inner;
        // The loops run concurrently. `FuturesUnordered` polls a loop only when the loop was woken.
        let mut loops: FuturesUnordered<BoxFuture<'_, ()>> = FuturesUnordered::new();
        loops.push(self.keep_resyncing().boxed());
        loops.push(self.keep_polling().boxed());
        loops.push(self.answer(&inner.uids, |uids| self.fetch_uids(uids)).boxed());
        loops.push(self.answer(&inner.enis, |ids| self.fetch_enis(ids)).boxed());
        loops.push(self.answer(&inner.instances, |ids| self.fetch_instances(ids)).boxed());
        loops.push(self.answer(&inner.states, |ids| self.fetch_states(ids)).boxed());
        loops.push(self.answer(&inner.subnet_ids, |ids| self.fetch_subnets(ids)).boxed());
        loops.push(self.answer(&inner.subnet_names, |names| self.fetch_subnet_names(names)).boxed());
        loops.push(self.answer(&inner.group_names, |names| self.fetch_groups(names)).boxed());
        loops.push(self.answer(&inner.subnet_tags, |terms| self.fetch_tagged_subnets(terms)).boxed());
        loops.push(self.answer(&inner.group_tags, |terms| self.fetch_tagged_groups(terms)).boxed());
        loops.push(self.answer(&inner.instance_types, |types| self.fetch_types(types)).boxed());
        tokio::select! {
            biased;
            () = stop => {}
            _ = loops.next() => {}
        }
    }

    /// A handle with the same state, for the calls on one ENI of the NodeENI with this UID. NodeENIs take turns at each action's
    /// token bucket. `since`: when the work for the ENI began; a part of the turns goes to the youngest work.
    /// `withdrawn`: once it is cancelled, a call that still waits for its turn is not sent.
    pub fn acting_for(&self, nodeeni_uid: &str, since: Timestamp, withdrawn: CancellationToken) -> Self {
        let ticket = Ticket { flow: Arc::from(nodeeni_uid), since, withdrawn };
        Self { inner: self.inner.clone(), ticket, node: None, report: None }
    }

    /// The same handle, for calls whose line in the log names this Node.
    #[must_use]
    pub fn on_node(mut self, node: &str) -> Self {
        self.node = Some(Arc::from(node));
        self
    }

    /// The same handle, for one mutation that leaves its times in `report`. None: nothing is noted.
    #[must_use]
    pub fn reporting_to(mut self, report: Option<CallReport>) -> Self {
        self.report = report;
        self
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.inner.clock)()
    }

    /// Changes the cache, reports the ENIAttachments that `change` returns, and wakes the poll if any ENI attaches or detaches.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut CacheState) -> (T, Uids)) -> T {
        let (value, uids, moves) = {
            let mut cache = lock(&self.inner.cache);
            let (value, uids) = change(&mut cache);
            (value, uids, cache.is_moving())
        };
        if moves {
            self.inner.motion.notify_one();
        }
        for attachment_uid in uids {
            self.notify(Changed::Eni { attachment_uid });
        }
        value
    }

    pub(crate) fn notify(&self, changed: Changed) {
        // The send fails only if the receiver is gone: the controller no longer uses this handle.
        let _ = self.inner.changed.send(changed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use multi_eni_plan::attachment::Attachment;
    use std::collections::BTreeMap;

    /// `run` and the mutations can be spawned on a runtime with several threads.
    #[test]
    fn futures_are_send() {
        fn send<T: Send>(_: T) {}
        fn all(ec2: Ec2, eni: &EniId, instance: &InstanceId, attachment: &Attachment) {
            send(ec2.create("token", false, attachment));
            send(ec2.attach(eni, instance, 0, 1));
            send(ec2.set_groups(eni, &[]));
            send(ec2.tag(eni, &BTreeMap::new()));
            send(ec2.detach(eni, "", false));
            send(ec2.delete(eni));
            send(ec2.run(std::future::pending()));
        }
        let _ = all;
    }
}
