//! The handle that the controller holds.

use crate::batcher::Batcher;
use crate::cache::state::{CacheState, Uids};
use crate::catalog::state::CatalogState;
use crate::changed::Changed;
use crate::lock::lock;
use crate::options::{Clock, Fence, Options};
use crate::rate_limit::fair_queue::Ticket;
use crate::rate_limit::limiter::{Buckets, RateLimiter};
use crate::request_counts::Counts;
use crate::silences::Silences;
use crate::unreadable::Unread;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use multi_eni_api::ids::{EniId, InstanceId, SubnetId};
use multi_eni_plan::lookup_failure::LookupFailure;
use multi_eni_plan::observed::Cluster;
use std::fmt;
use std::future::Future;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

/// EC2: calls, the view, questions. Clones share everything.
#[derive(Clone)]
pub struct Ec2 {
    pub(crate) inner: Arc<Inner>,
    pub(crate) ticket: Ticket,
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
    pub cache: Mutex<CacheState>,
    pub failure: Mutex<Option<LookupFailure>>,
    pub silences: Mutex<Silences>,
    pub unread: Mutex<Unread>,
    /// EC2 here does not know the parameter IncludeManagedResources (isolated Regions lag).
    pub hides_managed: AtomicBool,
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
    pub instance_types: Batcher<String>,
}

impl Ec2 {
    /// The handle, and where it tells what changed. Must be called inside a tokio runtime. Nothing is sent to EC2 before
    /// [`run`](Self::run) or a mutation is called. `buckets`: of this process, whoever called EC2 before.
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
            cache: Mutex::new(CacheState::new(cluster.clone(), options.lag)),
            failure: Mutex::new(None),
            silences: Mutex::new(Silences::default()),
            unread: Mutex::new(Unread::default()),
            hides_managed: AtomicBool::new(false),
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
            instance_types: Batcher::new(),
            cluster,
            options,
            clock,
            fence,
        };
        (Self { inner: Arc::new(inner), ticket: Ticket::default() }, changes)
    }

    /// Sweeps, polls and answers questions until `stop`. What is under way then is abandoned; it only reads.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        self.inner.uids.restart();
        self.inner.enis.restart();
        self.inner.instances.restart();
        self.inner.states.restart();
        self.inner.subnet_ids.restart();
        self.inner.subnet_names.restart();
        self.inner.group_names.restart();
        self.inner.instance_types.restart();
        let inner = &self.inner;
        // Side by side, and each is polled only when it has something to do.
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
        loops.push(self.answer(&inner.instance_types, |types| self.fetch_types(types)).boxed());
        tokio::select! {
            biased;
            () = stop => {}
            _ = loops.next() => {}
        }
    }

    /// The same, for calls that are made for an ENI of this NodeENI (by its UID) that is asked for since then. NodeENIs take
    /// turns at what EC2 allows, and the youngest work has a part of them.
    /// `withdrawn`: who only waits for a turn by then sends nothing.
    pub fn acting_for(&self, nodeeni_uid: &str, since: Timestamp, withdrawn: CancellationToken) -> Self {
        Self { inner: self.inner.clone(), ticket: Ticket { flow: Arc::from(nodeeni_uid), since, withdrawn } }
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.inner.clock)()
    }

    /// Changes the view, tells who is concerned, and wakes the poll if something moves.
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
            self.tell(Changed::Eni { attachment_uid });
        }
        value
    }

    pub(crate) fn tell(&self, changed: Changed) {
        // Nobody listens any more: the process is on its way out.
        let _ = self.inner.changed.send(changed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use multi_eni_plan::attachment::Attachment;
    use std::collections::BTreeMap;

    /// `run` and every mutation can be spawned on a runtime with several threads.
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
