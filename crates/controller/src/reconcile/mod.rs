//! The loop: what changed → what depends on it → one pure decision each → calls, side by side → what they changed.
//!
//! All decisions run here, on one task and over one consistent picture; only calls wait. No task per object, no lock.

mod attachment;
mod dry_run;
mod names;
mod node;
mod nodeeni;
mod orphans;
mod outcome;
mod place;
mod problems;
mod removals;
mod silence;
mod warnings;
mod writes;

pub use dry_run::DryRun;
pub use outcome::{Finished, Outcome};

use crate::api_writes::Writer;
use crate::clock::Wall;
use crate::events::{Announcement, Publisher};
use crate::http_server::Gauges;
use crate::store::{Store, StoreChange};
use crate::watch::Change;
use crate::work_queue::{Key, Queue};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, FuturesUnordered};
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::EniId;
use multi_eni_ec2::{Changed, Ec2, UnreadableEni};
use multi_eni_plan::assign::{Assignment, AttachRefusals, RefusalLook};
use multi_eni_plan::gates::permission::PermissionGate;
use multi_eni_plan::gates::quota::QuotaGate;
use multi_eni_plan::gates::subnet::SubnetGate;
use multi_eni_plan::lifecycle::CallHistory;
use multi_eni_plan::lookup_failure::LookupFailure;
use multi_eni_plan::nodeeni::NodeEni;
use multi_eni_plan::observed::{Cluster, ObservedNode};
use multi_eni_plan::orphans as orphans_plan;
use multi_eni_plan::removals::{RemovalHistory, RemovalPermits};
use multi_eni_plan::rollout::Permits;
use multi_eni_plan::settings::Settings;
use multi_eni_plan::writes::Writes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;
use warnings::Warnings;

/// Everything that a leader acts with.
pub struct Dependencies {
    /// Who we are on EC2.
    pub cluster: Cluster,
    /// EC2.
    pub ec2: Ec2,
    /// The API server, behind the fence.
    pub writer: Writer,
    /// Events.
    pub publisher: Publisher,
    /// Graces.
    pub settings: Settings,
    /// Wall clock.
    pub wall: Wall,
    /// What is shown to Prometheus.
    pub gauges: Arc<Gauges>,
}

/// One term of leadership.
pub struct Reconciler {
    deps: Dependencies,
    acting_since: Timestamp,
    store: Store,
    queue: Queue,
    calls: FuturesUnordered<BoxFuture<'static, Finished>>,
    /// Events on their way: nothing waits for them.
    telling: FuturesUnordered<BoxFuture<'static, ()>>,
    /// By UID of the ENIAttachment.
    memories: BTreeMap<String, CallHistory>,
    /// The last answer of `assign`, by Node.
    assignments: BTreeMap<String, Assignment>,
    permits: Permits,
    /// Where what is no longer asked for may go now.
    removals: RemovalPermits,
    /// Which nodes lost ENIs of late, by UID of the NodeENI.
    removal_histories: BTreeMap<String, RemovalHistory>,
    quota: QuotaGate,
    permissions: PermissionGate,
    subnets: SubnetGate,
    refused_attach: AttachRefusals,
    /// What was on the instances when EC2 refused an Attach, by name of the ENIAttachment.
    refusal_looks: BTreeMap<String, RefusalLook>,
    /// Calls that bring an ENI on its way, by the name of its ENIAttachment, with its UID: withdrawn when it goes.
    bringing: BTreeMap<String, (String, CancellationToken)>,
    /// What became of writes to the API server, and when each may be sent again.
    writes: Writes<Key>,
    /// NodeENIs (by UID) for which a Node's writes on their way make ENIAttachments.
    creating: BTreeMap<Key, BTreeSet<String>>,
    /// When the status of a NodeENI (by UID) was written last.
    status_written: BTreeMap<String, Timestamp>,
    /// Why no instance can be asked about, if that is so.
    states_failure: Option<LookupFailure>,
    suspects: BTreeMap<EniId, Timestamp>,
    /// Orphans that are too many to be removed.
    orphans_held: Option<orphans_plan::DeletionBrake>,
    /// What EC2 refuses for orphans.
    orphans_refused: orphans_plan::Refusals,
    /// The sweep after which calls for orphans were made last.
    orphans_called: Option<Timestamp>,
    warnings: Warnings,
    started: bool,
    /// When it was last asked what names stand for.
    names_asked: Option<Timestamp>,
    /// The sweep that put the place in doubt: it showed nothing of what statuses name.
    doubted: Option<Timestamp>,
    /// The last sweep after which a doubt was cleared.
    place_proven: Option<Timestamp>,
    /// When it will be said that the place cannot be proven.
    place_recheck: Option<Timestamp>,
    /// The sweep after which it was last said that this is another account or Region.
    place_told_at: Option<Timestamp>,
    /// The version of each NodeENI (by UID) on which it was last said that nothing is done.
    halted: BTreeMap<String, String>,
    /// ENIs of this cluster that the last sweep could not read: their NodeENIs say so.
    unreadable: BTreeMap<String, UnreadableEni>,
}

impl Reconciler {
    /// A reconciler that acts from now on.
    pub fn new(deps: Dependencies) -> Self {
        let acting_since = (deps.wall)();
        Self {
            deps,
            acting_since,
            store: Store::default(),
            queue: Queue::default(),
            calls: FuturesUnordered::new(),
            telling: FuturesUnordered::new(),
            memories: BTreeMap::new(),
            assignments: BTreeMap::new(),
            permits: Permits::new(),
            removals: RemovalPermits::default(),
            removal_histories: BTreeMap::new(),
            quota: QuotaGate::default(),
            permissions: PermissionGate::default(),
            subnets: SubnetGate::default(),
            refused_attach: AttachRefusals::new(),
            refusal_looks: BTreeMap::new(),
            bringing: BTreeMap::new(),
            writes: Writes::default(),
            creating: BTreeMap::new(),
            status_written: BTreeMap::new(),
            states_failure: None,
            suspects: BTreeMap::new(),
            orphans_held: None,
            orphans_refused: orphans_plan::Refusals::default(),
            orphans_called: None,
            warnings: Warnings::default(),
            started: false,
            names_asked: None,
            doubted: None,
            place_proven: None,
            place_recheck: None,
            place_told_at: None,
            halted: BTreeMap::new(),
            unreadable: BTreeMap::new(),
        }
    }

    /// Runs until `stop`; calls on their way then get `patience` to end.
    pub async fn run(
        mut self,
        mut changes: BoxStream<'static, Change>,
        mut seen: UnboundedReceiver<Changed>,
        stop: impl Future<Output = ()>,
        patience: Duration,
    ) {
        let mut stop = std::pin::pin!(stop);
        loop {
            self.decide_all();
            self.gauge();
            let pause = self.pause();
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(finished) = self.calls.next() => self.finish(finished),
                Some(()) = self.telling.next() => {}
                change = changes.next() => match change {
                    Some(change) => self.watched(change),
                    None => break,
                },
                Some(changed) = seen.recv() => self.seen(changed),
                () = tokio::time::sleep(pause) => {}
            }
        }
        let drained = async {
            while self.calls.next().await.is_some() {}
            while self.telling.next().await.is_some() {}
        };
        if tokio::time::timeout(patience, drained).await.is_err() {
            tracing::warn!("calls on their way are abandoned: the next leader finds them by token and tag");
        }
    }

    /// Every key that is ready gets its decision; calls are begun, never waited for.
    fn decide_all(&mut self) {
        if !self.store.is_warm() {
            return;
        }
        if let Some(crd) = self.store.terminating_crd() {
            self.hold(crd);
            return;
        }
        if !self.is_at_home() {
            return;
        }
        if !self.started {
            self.started = true;
            self.look_at_everything();
        }
        // What a decision puts off, if only to this moment, waits for the next round, in which answers, changes and the Lease
        // get their turn first.
        self.queue.fall_due(self.now());
        self.states_failure = self.deps.ec2.states_failure();
        while let Some(key) = self.queue.pop() {
            match &key {
                Key::Node(name) => self.node(&key, name),
                Key::Attachment(name) => self.attachment(&key, name),
                Key::NodeEni(name) => self.nodeeni(&key, name),
                Key::Orphans => self.orphans(&key),
            }
        }
    }

    /// Deleting a CRD deletes all its objects; that is no word about ENIs that carry traffic.
    fn hold(&mut self, crd: &str) {
        self.warn_once(format!(
            "the CRD {crd} is being deleted: nothing is attached, detached or deleted any more. \
             To remove the ENIs, delete the NodeENIs before the CRD"
        ));
    }

    /// A new leader knows nothing of what happened before.
    fn look_at_everything(&mut self) {
        (self.quota, self.permissions, self.subnets) = (self.quota_told(), self.probes_told(), self.room_told());
        self.wake_everything();
    }

    fn wake_everything(&mut self) {
        let nodeenis: Vec<String> = self.store.nodeenis().map(|entry| entry.nodeeni.name.clone()).collect();
        let attachments: Vec<String> = self.store.attachments().map(|entry| entry.attachment.name.clone()).collect();
        let keys = self.store.node_names().into_iter().map(Key::Node);
        let keys =
            keys.chain(nodeenis.into_iter().map(Key::NodeEni)).chain(attachments.into_iter().map(Key::Attachment));
        keys.for_each(|key| self.queue.now(key));
    }

    /// A change on the API server.
    fn watched(&mut self, change: Change) {
        if matches!(change, Change::ApiAnswers) {
            return self.api_answers_again();
        }
        for touched in self.store.take(change) {
            self.wake(touched);
        }
    }

    /// Who depends on it.
    fn wake(&mut self, touched: StoreChange) {
        match touched {
            StoreChange::Node(name) => {
                let attachments: Vec<String> =
                    self.store.attachments_on(&name).map(|entry| entry.attachment.name.clone()).collect();
                attachments.into_iter().for_each(|name| self.queue.now(Key::Attachment(name)));
                self.queue.now(Key::Node(name));
            }
            StoreChange::Pods(node) => self.queue.now(Key::Node(node)),
            StoreChange::PodsListed => {
                let waiting = self.assignments.iter().filter(|(_, last)| !last.waiting.is_empty());
                let keys: Vec<Key> = waiting.map(|(node, _)| Key::Node(node.clone())).collect();
                keys.into_iter().for_each(|key| self.queue.now(key));
            }
            StoreChange::NodeEni { name, uid, nodeeni } => {
                self.queue.now(Key::NodeEni(name.clone()));
                if nodeeni {
                    self.wake_nodes_of(&name, &uid);
                }
            }
            StoreChange::Attachment { name, node, nodeeni_uid } => {
                self.withdraw(&name);
                self.queue.now(Key::Attachment(name));
                self.queue.now(Key::Node(node));
                if let Some(entry) = self.store.nodeeni_by_uid(&nodeeni_uid) {
                    self.queue.now(Key::NodeEni(entry.nodeeni.name.clone()));
                }
            }
        }
    }

    /// Nodes that a NodeENI matches now, matched before, has ENIs on, or may have upstream's on; and those ENIs.
    fn wake_nodes_of(&mut self, name: &str, uid: &str) {
        let nodeeni = self.store.nodeeni(name).map(|entry| &entry.nodeeni);
        let concerns = |nodeeni: &NodeEni, node: &ObservedNode| {
            nodeeni.spec.as_ref().is_ok_and(|spec| spec.matches(&node.labels)) || nodeeni.may_have_upstreams_on(node)
        };
        let matching = self
            .store
            .nodes()
            .filter(|node| nodeeni.is_some_and(|nodeeni| concerns(nodeeni, node)))
            .map(|node| node.name.clone());
        let before = self.assignments.iter().filter(|(_, old)| old.matches(uid)).map(|(node, _)| node.clone());
        let holding =
            self.store.attachments_of(uid).map(|entry| self.store.decided_under(&entry.attachment).to_owned());
        let nodes: BTreeSet<String> = matching.chain(before).chain(holding).collect();
        let attachments: Vec<String> =
            self.store.attachments_of(uid).map(|entry| entry.attachment.name.clone()).collect();
        nodes.into_iter().for_each(|node| self.queue.now(Key::Node(node)));
        attachments.into_iter().for_each(|name| self.queue.now(Key::Attachment(name)));
    }

    /// A change on EC2.
    fn seen(&mut self, changed: Changed) {
        match changed {
            Changed::Eni { attachment_uid } => match self.store.attachment_by_uid(&attachment_uid) {
                Some(name) => self.queue.now(Key::Attachment(name.clone())),
                None => self.queue.now(Key::Orphans),
            },
            Changed::Instance(instance) => {
                self.note_refusal_looks(&instance);
                let under = |attachment| Key::Node(self.store.decided_under(attachment).to_owned());
                let attachment = self.store.attachments_of_instance(&instance).map(|entry| &entry.attachment);
                let keys: Vec<Key> = attachment
                    .flat_map(|attachment| [under(attachment), Key::Attachment(attachment.name.clone())])
                    .chain(self.store.nodes_on(&instance).map(|node| Key::Node(node.name.clone())))
                    .collect();
                keys.into_iter().for_each(|key| self.queue.now(key));
            }
            Changed::Ec2Catalog => {
                let waiting = self.assignments.iter().filter(|(_, last)| !last.needs.is_empty());
                // Groups that are named may be told apart now: that changes ENIs in place, whoever has asked for them.
                let names_groups = |uid: &str| {
                    let asks = self.store.nodeeni_by_uid(uid).and_then(|entry| entry.nodeeni.spec.as_ref().ok());
                    asks.is_some_and(|spec| !spec.group_names.is_empty())
                };
                let by_name = self.store.attachments().filter(|entry| names_groups(&entry.attachment.nodeeni_uid));
                let keys: Vec<Key> = waiting
                    .map(|(node, _)| Key::Node(node.clone()))
                    .chain(by_name.map(|entry| Key::Attachment(entry.attachment.name.clone())))
                    .collect();
                keys.into_iter().for_each(|key| self.queue.now(key));
            }
            Changed::Silence => self.ec2_silence_changed(),
            Changed::Names => self.names_changed(),
            Changed::Swept => {
                self.doubt_the_place();
                self.queue.now(Key::Orphans);
                self.forget_the_gone();
                self.note_unreadable_enis();
                self.ask_for_names_again();
                // What was blind until the first sweep sees now; absence is told by no other change.
                let unseen = self.store.attachments().filter(|entry| {
                    entry.attachment.deleting.is_some() || !self.is_ready(entry) || self.is_absent(entry)
                });
                let keys: Vec<Key> = unseen.map(|entry| Key::Attachment(entry.attachment.name.clone())).collect();
                keys.into_iter().for_each(|key| self.queue.now(key));
            }
        }
    }

    /// What is remembered of objects that are gone.
    fn forget_the_gone(&mut self) {
        let (store, now) = (&self.store, self.now());
        let lasts = self.writes.forget(now, |key| match key {
            Key::Node(name) => store.node(name).is_some() || store.attachments_on(name).next().is_some(),
            Key::Attachment(name) => store.attachment(name).is_some(),
            Key::NodeEni(name) => store.nodeeni(name).is_some(),
            Key::Orphans => true,
        });
        let said_less: Vec<String> =
            lasts.iter().filter_map(|uid| store.nodeeni_by_uid(uid)).map(|entry| entry.nodeeni.name.clone()).collect();
        said_less.into_iter().for_each(|name| self.queue.now(Key::NodeEni(name)));
        self.deps.ec2.keep_instances(&store.instances());
        self.refusal_looks.retain(|name, _| store.attachment(name).is_some());
        self.refused_attach.retain(|_, refused| store.node(&refused.node).is_some());
        self.memories.retain(|uid, _| store.attachment_by_uid(uid).is_some());
        self.permits.retain(|uid, _| store.nodeeni_by_uid(uid).is_some());
        self.removals.retain(|uid| store.nodeeni_by_uid(uid).is_some());
        self.removal_histories.retain(|uid, _| store.nodeeni_by_uid(uid).is_some());
        self.status_written.retain(|uid, _| store.nodeeni_by_uid(uid).is_some());
    }

    /// How long nothing can happen by itself.
    fn pause(&self) -> Duration {
        const LONG: Duration = Duration::from_secs(3600);
        // What is held back by the picture waits for the picture.
        let is_home = self.started && self.doubted.is_none();
        let decides = self.store.is_warm() && self.store.terminating_crd().is_none() && is_home;
        // That EC2 does not answer the first look, or the questions that prove the place, is said in its time.
        let said_at = || [self.silence_is_said_at(), self.place_recheck].into_iter().flatten().min();
        let due = if decides { self.queue.next_due() } else { said_at() };
        let Some(due) = due else { return LONG };
        Duration::try_from(due.duration_since(self.now()).max(SignedDuration::from_millis(1))).unwrap_or(LONG).min(LONG)
    }

    fn now(&self) -> Timestamp {
        (self.deps.wall)()
    }

    /// Begins calls for a key: it is not looked at again before they have ended.
    fn call(&mut self, key: &Key, call: impl Future<Output = Vec<Outcome>> + Send + 'static) {
        self.queue.busy(key.clone());
        let key = key.clone();
        self.calls.push(Box::pin(async move { Finished { key, outcomes: call.await } }));
    }

    /// Publishes an event, beside all else: an API server that is slow to take it holds up no ENI.
    fn tell(&mut self, announcement: Announcement) {
        let (publisher, now) = (self.deps.publisher.clone(), self.now());
        self.telling.push(Box::pin(async move { publisher.publish(announcement, now).await }));
    }

    fn gauge(&self) {
        self.deps.gauges.waiting.set(i64::try_from(self.queue.len()).unwrap_or(i64::MAX));
        self.deps.gauges.ready.store(self.store.is_warm(), std::sync::atomic::Ordering::Relaxed);
    }
}
