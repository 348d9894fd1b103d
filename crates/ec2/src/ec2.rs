//! The handle that the controller holds.

use crate::batcher::Questions;
use crate::cache::state::{CacheState, Uids};
use crate::catalog::{CatalogQuery, CatalogState};
use crate::lock::lock;
use crate::options::{Clock, Fence, Options};
use crate::rate_limit::fair_queue::Ticket;
use crate::rate_limit::limiter::{Action, Buckets, RateLimiter, RateStatus};
use crate::request_counts::Counts;
use crate::silences::Silences;
use crate::unreadable::Unread;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use multi_eni_api::ids::{EniId, InstanceId, SubnetId};
use multi_eni_plan::ec2_errors::CallError;
use multi_eni_plan::instance::InstanceObservation;
use multi_eni_plan::lookup_failure::LookupFailure;
use multi_eni_plan::observed::{CatalogLookup, Cluster, Ec2Catalog, InstanceInterfaces, Observation, ObservedEni};
use multi_eni_plan::wait_estimate::CallQueues;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

/// What changed in the view, or was answered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Changed {
    /// Something about the ENI of this ENIAttachment.
    Eni {
        /// The UID of the ENIAttachment.
        attachment_uid: String,
    },
    /// An instance was looked at.
    Instance(InstanceId),
    /// Subnets or groups.
    Ec2Catalog,
    /// What a name of subnets or groups stands for, or which subnets there are.
    Names,
    /// A whole sweep has ended.
    Swept,
    /// EC2 begins to give no answer to what is asked of it, or gives answers again.
    Silence,
}

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
    pub sweep_wanted: AtomicBool,
    pub sweep_wake: Notify,
    pub uids: Questions<String>,
    pub enis: Questions<EniId>,
    pub instances: Questions<InstanceId>,
    pub states: Questions<InstanceId>,
    pub states_failure: Mutex<Option<LookupFailure>>,
    pub catalog: Mutex<CatalogState>,
    pub subnet_ids: Questions<SubnetId>,
    pub subnet_names: Questions<String>,
    pub group_names: Questions<String>,
    pub instance_types: Questions<String>,
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
            sweep_wanted: AtomicBool::new(false),
            sweep_wake: Notify::new(),
            uids: Questions::new(),
            enis: Questions::new(),
            instances: Questions::new(),
            states: Questions::new(),
            states_failure: Mutex::new(None),
            catalog: Mutex::new(CatalogState::default()),
            subnet_ids: Questions::new(),
            subnet_names: Questions::new(),
            group_names: Questions::new(),
            instance_types: Questions::new(),
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
        loops.push(self.keep_sweeping().boxed());
        loops.push(self.keep_polling().boxed());
        loops.push(self.answer(&inner.uids, |uids| self.look_at_uids(uids)).boxed());
        loops.push(self.answer(&inner.enis, |ids| self.look_at_enis(ids)).boxed());
        loops.push(self.answer(&inner.instances, |ids| self.look_at_instances(ids)).boxed());
        loops.push(self.answer(&inner.states, |ids| self.look_at_states(ids)).boxed());
        loops.push(self.answer(&inner.subnet_ids, |ids| self.look_at_subnets(ids)).boxed());
        loops.push(self.answer(&inner.subnet_names, |names| self.look_at_subnet_names(names)).boxed());
        loops.push(self.answer(&inner.group_names, |names| self.look_at_groups(names)).boxed());
        loops.push(self.answer(&inner.instance_types, |types| self.look_at_types(types)).boxed());
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

    /// How the budget of each action stands.
    pub fn rate_status(&self) -> Vec<RateStatus> {
        self.inner.rate_limiter.status()
    }

    /// Who waits to create and to attach.
    pub fn call_queues(&self) -> CallQueues {
        self.inner.rate_limiter.queues()
    }

    // ---- What decisions read ---------------------------------------------------------------------------------------

    /// What the view shows for one ENIAttachment: by its UID tag, and by the ENI ID that its status has.
    pub fn observation(&self, attachment_uid: &str, eni: Option<&EniId>) -> Observation {
        lock(&self.inner.cache).observation(attachment_uid, eni)
    }

    /// Whether [`observation`](Self::observation) would be that it is absent.
    pub fn is_absent(&self, attachment_uid: &str, eni: Option<&EniId>) -> bool {
        lock(&self.inner.cache).is_absent(attachment_uid, eni)
    }

    /// How many ENIs carry this cluster's tag; and those of them for which it is so, sorted by ID.
    pub fn owned_where(&self, is_so: impl Fn(&ObservedEni) -> bool) -> (usize, Vec<ObservedEni>) {
        lock(&self.inner.cache).owned_where(is_so)
    }

    /// Start of the last whole sweep.
    pub fn last_sweep(&self) -> Option<Timestamp> {
        lock(&self.inner.cache).last_sweep()
    }

    /// How many ENIs of this cluster the last whole sweep showed, readable or not.
    pub fn swept(&self) -> usize {
        lock(&self.inner.cache).swept()
    }

    /// Start of the latest Describe that showed an ENI or an instance of this cluster, or when the place was proven otherwise.
    pub fn home_shown(&self) -> Option<Timestamp> {
        lock(&self.inner.cache).home_shown()
    }

    /// The account and Region are this cluster's, as of then.
    pub fn note_home(&self, at: Timestamp) {
        lock(&self.inner.cache).note_home(at);
    }

    /// Whether EC2 answered a Delete of this process's for that ENI.
    pub fn is_deleted(&self, eni: &EniId) -> bool {
        lock(&self.inner.cache).is_deleted(eni)
    }

    /// All ENIs on an instance, if it was looked at since its Node is there.
    pub fn instance_interfaces(&self, instance: &InstanceId) -> Option<InstanceInterfaces> {
        lock(&self.inner.cache).instance_interfaces(instance)
    }

    /// Forgets what was seen on other instances than these.
    pub fn keep_instances(&self, instances: &BTreeSet<InstanceId>) {
        lock(&self.inner.cache).keep_instances(instances);
    }

    /// The state of an instance, if it was looked at within about an hour.
    pub fn instance_observation(&self, instance: &InstanceId) -> Option<InstanceObservation> {
        lock(&self.inner.cache).instance_observation(instance)
    }

    /// Why the last look at states of instances failed; None when it succeeded.
    pub fn states_failure(&self) -> Option<LookupFailure> {
        lock(&self.inner.states_failure).clone()
    }

    /// What is known of subnets and groups.
    pub fn catalog(&self) -> Arc<Ec2Catalog> {
        lock(&self.inner.catalog).facts()
    }

    /// The Region that is called.
    pub fn region(&self) -> Option<String> {
        self.inner.client.config().region().map(ToString::to_string)
    }

    /// Why the last sweep failed, or else the last look at instances' states, or at subnets, groups or instance types; None if all
    /// succeeded.
    pub fn failure(&self) -> Option<LookupFailure> {
        self.place_failure().or_else(|| self.catalog().failures.values().next().cloned())
    }

    /// The same of what proves the place: ENIs, instances, subnets.
    pub fn place_failure(&self) -> Option<LookupFailure> {
        let sweep = lock(&self.inner.failure).clone();
        sweep
            .or_else(|| self.states_failure())
            .or_else(|| self.catalog().failure(&[CatalogLookup::SubnetsById]).cloned())
    }

    /// EC2 calls sent, by EC2's name of the action.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.inner.counts.all()
    }

    // ---- Questions -------------------------------------------------------------------------------------------------

    /// Asks for the ENIs whose tag names this ENIAttachment.
    pub fn look_by_tag(&self, attachment_uid: &str) {
        self.inner.uids.ask(attachment_uid.to_owned());
    }

    /// Asks for an ENI by ID, whatever its tags. `Changed::Eni` goes to whom its tags name, and to those who asked
    /// [`observation`](Self::observation) for it.
    pub fn look_by_id(&self, eni: &EniId) {
        self.inner.enis.ask(eni.clone());
    }

    /// Asks for all ENIs on an instance.
    pub fn look_at_instance(&self, instance: &InstanceId) {
        self.inner.instances.ask(instance.clone());
    }

    /// Asks for the state of an instance.
    pub fn look_at_state(&self, instance: &InstanceId) {
        self.inner.states.ask(instance.clone());
    }

    /// Asks for subnets by ID and by tag Name. What was answered less than `network_valid` ago is not asked again.
    pub fn want_subnets(&self, ids: &[SubnetId], names: &[String]) {
        let now = self.now();
        let catalog = lock(&self.inner.catalog);
        let stale = |question: &CatalogQuery| catalog.is_stale(question, now, self.inner.options.network_valid);
        for id in ids {
            if stale(&CatalogQuery::Subnet(id.clone())) {
                self.inner.subnet_ids.ask(id.clone());
            }
        }
        for name in names {
            if stale(&CatalogQuery::SubnetName(name.clone())) {
                self.inner.subnet_names.ask(name.clone());
            }
        }
    }

    /// Asks for security groups by name, in every VPC. What was answered less than `network_valid` ago is not asked
    /// again.
    pub fn want_groups(&self, names: &[String]) {
        let now = self.now();
        let catalog = lock(&self.inner.catalog);
        for name in names {
            let question = CatalogQuery::GroupName(name.clone());
            if catalog.is_stale(&question, now, self.inner.options.network_valid) {
                self.inner.group_names.ask(name.clone());
            }
        }
    }

    /// Asks for groups and subnets by name, and for subnets by ID, however young the last answer is.
    pub fn ask_again(&self, groups: BTreeSet<String>, subnets: BTreeSet<String>, ids: BTreeSet<SubnetId>) {
        groups.into_iter().for_each(|name| self.inner.group_names.ask(name));
        subnets.into_iter().for_each(|name| self.inner.subnet_names.ask(name));
        ids.into_iter().for_each(|id| self.inner.subnet_ids.ask(id));
    }

    /// Asks what an instance type takes, unless that is known.
    pub fn want_instance_type(&self, kind: &str) {
        if !matches!(lock(&self.inner.catalog).facts().instance_types.get(kind), Some(Some(_))) {
            self.inner.instance_types.ask(kind.to_owned());
        }
    }

    /// Whether something was asked and is not yet answered.
    pub fn is_asking(&self) -> bool {
        let inner = &self.inner;
        inner.uids.is_open()
            || inner.enis.is_open()
            || inner.instances.is_open()
            || inner.states.is_open()
            || inner.subnet_ids.is_open()
            || inner.subnet_names.is_open()
            || inner.group_names.is_open()
            || inner.instance_types.is_open()
    }

    /// Another account or Region answered for a while: what it did not show, and what names stood for there, is not known. Asks for a
    /// sweep.
    pub fn forget_absences(&self) {
        lock(&self.inner.cache).forget_absences();
        lock(&self.inner.catalog).forget_absences();
        self.sweep_now();
    }

    /// Asks for a sweep now; nothing if one is under way.
    pub fn sweep_now(&self) {
        self.inner.sweep_wanted.store(true, Ordering::Release);
        self.inner.sweep_wake.notify_one();
    }

    // ---- For the rest of the crate ---------------------------------------------------------------------------------

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

    /// How a sweep ended.
    pub(crate) fn note_failure(&self, error: Option<&CallError>) {
        let now = self.now();
        let mut failure = lock(&self.inner.failure);
        *failure = error.map(|error| LookupFailure::next(failure.as_ref(), Action::DescribeEnis.name(), error, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use multi_eni_plan::attachment::Attachment;

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
