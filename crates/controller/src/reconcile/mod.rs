//! The loop: what changed → what depends on it → one pure decision each → calls, side by side → what they changed.
//!
//! All decisions run here, on one task and over one consistent picture; only calls wait. No task per object, no lock.

mod attachment;
mod names;
mod node;
mod nodeeni;
mod orphans;
mod outcome;
mod place;
mod problems;
mod removals;
mod silence;
mod survey;
mod warnings;
mod writes;

pub use outcome::{Finished, Outcome};
pub use survey::Survey;

use crate::clock::Wall;
use crate::events::{Announcement, Publisher};
use crate::queue::{Key, Queue};
use crate::serve::Gauges;
use crate::watch::Change;
use crate::world::{Touched, World};
use crate::write::Writer;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, FuturesUnordered};
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::EniId;
use multi_eni_ec2::{Changed, Ec2, UnreadableEni};
use multi_eni_plan::assign::{Assignment, AttachRefusals, RefusalLook};
use multi_eni_plan::facts::{Cluster, NodeFacts};
use multi_eni_plan::intent::Intent;
use multi_eni_plan::look_failure::LookFailure;
use multi_eni_plan::orphans as orphans_plan;
use multi_eni_plan::probes::Probes;
use multi_eni_plan::quota::Quota;
use multi_eni_plan::removals::{Ledger, RemovalPermits};
use multi_eni_plan::rollout::Permits;
use multi_eni_plan::room::Room;
use multi_eni_plan::settings::Settings;
use multi_eni_plan::step::Memory;
use multi_eni_plan::writes::Writes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;
use warnings::Warnings;

/// Everything that a leader acts with.
pub struct Means {
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
    means: Means,
    acting_since: Timestamp,
    world: World,
    queue: Queue,
    calls: FuturesUnordered<BoxFuture<'static, Finished>>,
    /// Events on their way: nothing waits for them.
    telling: FuturesUnordered<BoxFuture<'static, ()>>,
    /// By UID of the ENIAttachment.
    memories: BTreeMap<String, Memory>,
    /// The last answer of `assign`, by Node.
    assignments: BTreeMap<String, Assignment>,
    permits: Permits,
    /// Where what is no longer asked for may go now.
    removals: RemovalPermits,
    /// Which nodes lost ENIs of late, by UID of the NodeENI.
    ledgers: BTreeMap<String, Ledger>,
    quota: Quota,
    probes: Probes,
    room: Room,
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
    states_failure: Option<LookFailure>,
    suspects: BTreeMap<EniId, Timestamp>,
    /// Orphans that are too many to be removed.
    orphans_held: Option<orphans_plan::Held>,
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
    pub fn new(means: Means) -> Self {
        let acting_since = (means.wall)();
        Self {
            means,
            acting_since,
            world: World::default(),
            queue: Queue::default(),
            calls: FuturesUnordered::new(),
            telling: FuturesUnordered::new(),
            memories: BTreeMap::new(),
            assignments: BTreeMap::new(),
            permits: Permits::new(),
            removals: RemovalPermits::default(),
            ledgers: BTreeMap::new(),
            quota: Quota::default(),
            probes: Probes::default(),
            room: Room::default(),
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
        if !self.world.is_warm() {
            return;
        }
        if let Some(crd) = self.world.terminating_crd() {
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
        self.states_failure = self.means.ec2.states_failure();
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
        (self.quota, self.probes, self.room) = (self.quota_told(), self.probes_told(), self.room_told());
        self.wake_everything();
    }

    fn wake_everything(&mut self) {
        let nodeenis: Vec<String> = self.world.nodeenis().map(|entry| entry.intent.name.clone()).collect();
        let attachments: Vec<String> = self.world.attachments().map(|entry| entry.held.name.clone()).collect();
        let keys = self.world.node_names().into_iter().map(Key::Node);
        let keys =
            keys.chain(nodeenis.into_iter().map(Key::NodeEni)).chain(attachments.into_iter().map(Key::Attachment));
        keys.for_each(|key| self.queue.now(key));
    }

    /// A change on the API server.
    fn watched(&mut self, change: Change) {
        if matches!(change, Change::ApiAnswers) {
            return self.api_answers_again();
        }
        for touched in self.world.take(change) {
            self.wake(touched);
        }
    }

    /// Who depends on it.
    fn wake(&mut self, touched: Touched) {
        match touched {
            Touched::Node(name) => {
                let attachments: Vec<String> =
                    self.world.attachments_on(&name).map(|entry| entry.held.name.clone()).collect();
                attachments.into_iter().for_each(|name| self.queue.now(Key::Attachment(name)));
                self.queue.now(Key::Node(name));
            }
            Touched::Pods(node) => self.queue.now(Key::Node(node)),
            Touched::PodsListed => {
                let waiting = self.assignments.iter().filter(|(_, last)| !last.waiting.is_empty());
                let keys: Vec<Key> = waiting.map(|(node, _)| Key::Node(node.clone())).collect();
                keys.into_iter().for_each(|key| self.queue.now(key));
            }
            Touched::NodeEni { name, uid, intent } => {
                self.queue.now(Key::NodeEni(name.clone()));
                if intent {
                    self.wake_nodes_of(&name, &uid);
                }
            }
            Touched::Attachment { name, node, nodeeni_uid } => {
                self.withdraw(&name);
                self.queue.now(Key::Attachment(name));
                self.queue.now(Key::Node(node));
                if let Some(entry) = self.world.nodeeni_by_uid(&nodeeni_uid) {
                    self.queue.now(Key::NodeEni(entry.intent.name.clone()));
                }
            }
        }
    }

    /// Nodes that a NodeENI matches now, matched before, has ENIs on, or may have upstream's on; and those ENIs.
    fn wake_nodes_of(&mut self, name: &str, uid: &str) {
        let intent = self.world.nodeeni(name).map(|entry| &entry.intent);
        let concerns = |intent: &Intent, node: &NodeFacts| {
            intent.ask.as_ref().is_ok_and(|ask| ask.matches(&node.labels)) || intent.may_have_upstreams_on(node)
        };
        let matching = self
            .world
            .nodes()
            .filter(|node| intent.is_some_and(|intent| concerns(intent, node)))
            .map(|node| node.name.clone());
        let before = self.assignments.iter().filter(|(_, old)| old.matches(uid)).map(|(node, _)| node.clone());
        let holding = self.world.attachments_of(uid).map(|entry| self.world.decided_under(&entry.held).to_owned());
        let nodes: BTreeSet<String> = matching.chain(before).chain(holding).collect();
        let attachments: Vec<String> = self.world.attachments_of(uid).map(|entry| entry.held.name.clone()).collect();
        nodes.into_iter().for_each(|node| self.queue.now(Key::Node(node)));
        attachments.into_iter().for_each(|name| self.queue.now(Key::Attachment(name)));
    }

    /// A change on EC2.
    fn seen(&mut self, changed: Changed) {
        match changed {
            Changed::Eni { attachment_uid } => match self.world.attachment_by_uid(&attachment_uid) {
                Some(name) => self.queue.now(Key::Attachment(name.clone())),
                None => self.queue.now(Key::Orphans),
            },
            Changed::Instance(instance) => {
                self.note_refusal_looks(&instance);
                let under = |held| Key::Node(self.world.decided_under(held).to_owned());
                let held = self.world.attachments_of_instance(&instance).map(|entry| &entry.held);
                let keys: Vec<Key> = held
                    .flat_map(|held| [under(held), Key::Attachment(held.name.clone())])
                    .chain(self.world.nodes_on(&instance).map(|node| Key::Node(node.name.clone())))
                    .collect();
                keys.into_iter().for_each(|key| self.queue.now(key));
            }
            Changed::Network => {
                let waiting = self.assignments.iter().filter(|(_, last)| !last.needs.is_empty());
                // Groups that are named may be told apart now: that changes ENIs in place, whoever has asked for them.
                let names_groups = |uid: &str| {
                    let asks = self.world.nodeeni_by_uid(uid).and_then(|entry| entry.intent.ask.as_ref().ok());
                    asks.is_some_and(|ask| !ask.group_names.is_empty())
                };
                let by_name = self.world.attachments().filter(|entry| names_groups(&entry.held.nodeeni_uid));
                let keys: Vec<Key> = waiting
                    .map(|(node, _)| Key::Node(node.clone()))
                    .chain(by_name.map(|entry| Key::Attachment(entry.held.name.clone())))
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
                let unseen = self
                    .world
                    .attachments()
                    .filter(|entry| entry.held.deleting.is_some() || !self.is_ready(entry) || self.is_absent(entry));
                let keys: Vec<Key> = unseen.map(|entry| Key::Attachment(entry.held.name.clone())).collect();
                keys.into_iter().for_each(|key| self.queue.now(key));
            }
        }
    }

    /// What is remembered of objects that are gone.
    fn forget_the_gone(&mut self) {
        let (world, now) = (&self.world, self.now());
        let lasts = self.writes.forget(now, |key| match key {
            Key::Node(name) => world.node(name).is_some() || world.attachments_on(name).next().is_some(),
            Key::Attachment(name) => world.attachment(name).is_some(),
            Key::NodeEni(name) => world.nodeeni(name).is_some(),
            Key::Orphans => true,
        });
        let said_less: Vec<String> =
            lasts.iter().filter_map(|uid| world.nodeeni_by_uid(uid)).map(|entry| entry.intent.name.clone()).collect();
        said_less.into_iter().for_each(|name| self.queue.now(Key::NodeEni(name)));
        self.means.ec2.keep_instances(&world.instances());
        self.refusal_looks.retain(|name, _| world.attachment(name).is_some());
        self.refused_attach.retain(|_, refused| world.node(&refused.node).is_some());
        self.memories.retain(|uid, _| world.attachment_by_uid(uid).is_some());
        self.permits.retain(|uid, _| world.nodeeni_by_uid(uid).is_some());
        self.removals.retain(|uid| world.nodeeni_by_uid(uid).is_some());
        self.ledgers.retain(|uid, _| world.nodeeni_by_uid(uid).is_some());
        self.status_written.retain(|uid, _| world.nodeeni_by_uid(uid).is_some());
    }

    /// How long nothing can happen by itself.
    fn pause(&self) -> Duration {
        const LONG: Duration = Duration::from_secs(3600);
        // What is held back by the picture waits for the picture.
        let is_home = self.started && self.doubted.is_none();
        let decides = self.world.is_warm() && self.world.terminating_crd().is_none() && is_home;
        // That EC2 does not answer the first look, or the questions that prove the place, is said in its time.
        let said_at = || [self.silence_is_said_at(), self.place_recheck].into_iter().flatten().min();
        let due = if decides { self.queue.next_due() } else { said_at() };
        let Some(due) = due else { return LONG };
        Duration::try_from(due.duration_since(self.now()).max(SignedDuration::from_millis(1))).unwrap_or(LONG).min(LONG)
    }

    fn now(&self) -> Timestamp {
        (self.means.wall)()
    }

    /// Begins calls for a key: it is not looked at again before they have ended.
    fn call(&mut self, key: &Key, call: impl Future<Output = Vec<Outcome>> + Send + 'static) {
        self.queue.busy(key.clone());
        let key = key.clone();
        self.calls.push(Box::pin(async move { Finished { key, outcomes: call.await } }));
    }

    /// Publishes an event, beside all else: an API server that is slow to take it holds up no ENI.
    fn tell(&mut self, announcement: Announcement) {
        let (publisher, now) = (self.means.publisher.clone(), self.now());
        self.telling.push(Box::pin(async move { publisher.publish(announcement, now).await }));
    }

    fn gauge(&self) {
        self.means.gauges.waiting.set(i64::try_from(self.queue.len()).unwrap_or(i64::MAX));
        self.means.gauges.ready.store(self.world.is_warm(), std::sync::atomic::Ordering::Relaxed);
    }
}
