//! The loop of a term. It takes changes from the watches and from EC2, adds the keys that depend on them to the queue, makes one
//! pure decision for each key, and starts the calls that the decision asks for. The results of ended calls are changes again.
//!
//! All decisions run here, on one task and over one consistent store; only calls wait. There is no task per object and no lock.
//! Start reading at [`Reconciler::run`]. `reconciler.rs` has the state. Each kind of key has a file: `node.rs`, `attachment.rs`,
//! `nodeeni.rs`, `orphans.rs`.

mod account_and_region;
mod attach_traces;
mod attachment;
mod attachment_calls;
mod attachment_events;
mod awaited_subnets;
mod call_result_types;
mod call_results;
mod describe_outage;
mod dry_run;
mod gates;
mod instance_types;
mod kept_taints;
mod last_assignments;
mod log_throttle;
mod name_resolution;
mod node;
mod node_events;
mod nodeeni;
mod orphans;
mod problems;
mod reconciler;
mod removals;
mod snapshot;
mod startup_taint;
mod stopwatches;
mod term_edits;
mod undecided_nodes;
mod wake;
mod write_backoff;

pub use call_result_types::{Finished, Outcome};
pub use dry_run::DryRun;
pub use reconciler::{Dependencies, Reconciler};

use crate::events::NewEvent;
use crate::store::{NodeEniEntry, StoreChange};
use crate::watch::Change;
use crate::work_queue::{Key, depends_on_all};
use futures::StreamExt;
use futures::stream::BoxStream;
use jiff::{SignedDuration, Timestamp};
use multi_eni_ec2::Changed;
use multi_eni_plan::nodeeni::NodeEni;
use multi_eni_plan::observed::ObservedNode;
use std::collections::BTreeSet;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;

/// A request passes the queue of its client, whose task gives it a place, then the pool of connections, and then the task of its
/// connection, which writes it. The call is polled before each of these tasks runs.
const STEPS_OF_A_REQUEST: usize = 3;

/// After so many decisions the process's other tasks run.
const DECIDED_AT_ONCE: usize = 200;

impl Reconciler {
    /// Runs until `stop` completes. Calls that are under way then may take `grace` to end.
    pub async fn run(
        mut self,
        mut changes: BoxStream<'static, Change>,
        mut ec2_changes: UnboundedReceiver<Changed>,
        stop: impl Future<Output = ()>,
        grace: Duration,
    ) {
        let mut stop = std::pin::pin!(stop);
        let mut scrapes = self.deps.gauges.snapshot_requests();
        loop {
            self.decide_all().await;
            self.update_gauges();
            let pause = self.pause();
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = std::future::ready(()), if !self.answered.is_empty() => {
                    std::mem::take(&mut self.answered).into_iter().for_each(|finished| self.finish(finished));
                }
                Some(finished) = self.calls.next() => self.finish(finished),
                Some(()) = self.event_writes.next() => {}
                Some(scrape) = scrapes.recv() => self.answer_scrape(scrape),
                change = changes.next() => match change {
                    Some(change) => self.handle_watch_change(change),
                    None => break,
                },
                Some(changed) = ec2_changes.recv() => self.handle_ec2_change(changed),
                () = tokio::time::sleep(pause) => {}
            }
        }
        let drained = async {
            while self.calls.next().await.is_some() {}
            while self.event_writes.next().await.is_some() {}
        };
        if tokio::time::timeout(grace, drained).await.is_err() {
            tracing::warn!("abandoning calls that are under way");
        }
    }

    /// Decides every key that is ready. Calls are started here but never awaited. Between many keys the process's other tasks run: the
    /// answers to probes and the Lease.
    async fn decide_all(&mut self) {
        if !self.store.is_warm() {
            return;
        }
        if let Some(crd) = self.store.terminating_crd() {
            self.hold_for_deleted_crd(crd);
            return;
        }
        if !self.check_place() {
            return;
        }
        if !self.started {
            self.started = true;
            self.start();
        }
        // A key that a decision adds for a time, even for this moment, waits for the next round: answers, changes and the Lease
        // come first.
        self.queue.advance_to(self.now());
        self.states_failure = self.deps.ec2.states_failure();
        let mut decided = 0_usize;
        while let Some(key) = self.queue.pop() {
            decided += 1;
            if decided.is_multiple_of(DECIDED_AT_ONCE) {
                tokio::task::yield_now().await;
            }
            if depends_on_all(&key) {
                self.send_started().await;
            }
            self.deps.gauges.counted.reconciles.count([key.kind()]);
            match &key {
                Key::Node(name) => self.node(&key, name),
                Key::Attachment(name) => self.attachment(&key, name),
                Key::NodeEni(name) => self.nodeeni(&key, name),
                Key::Orphans => self.orphans(&key),
            }
        }
    }

    /// Sends the calls that were started in this round. The status of a NodeENI, which is read from the decisions of all its Nodes, comes
    /// after them. Answers that come meanwhile are taken after the round.
    async fn send_started(&mut self) {
        if !std::mem::take(&mut self.has_unsent_calls) {
            return;
        }
        for _ in 0..STEPS_OF_A_REQUEST {
            while let Poll::Ready(Some(finished)) = futures::poll!(self.calls.next()) {
                self.answered.push(finished);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Warns that nothing is done: deleting a CRD deletes all its objects, but is no request to remove ENIs that carry traffic.
    fn hold_for_deleted_crd(&mut self, crd: &str) {
        self.warn_once(format!(
            "the CRD {crd} is being deleted: nothing is attached, detached or deleted any more. \
             To remove the ENIs, delete the NodeENIs before the CRD"
        ));
    }

    /// Starts a term: restores the gates from the statuses and reconciles everything.
    fn start(&mut self) {
        (self.quota, self.permissions, self.subnets) =
            (self.quota_gate_from_statuses(), self.permission_gate_from_statuses(), self.subnet_gate_from_statuses());
        self.instance_types = self.instance_type_gate_from_statuses();
        self.enqueue_all();
    }

    fn enqueue_all(&mut self) {
        let nodeenis: Vec<String> = self.store.nodeenis().map(|entry| entry.nodeeni.name.clone()).collect();
        let attachments: Vec<String> = self.store.attachments().map(|entry| entry.attachment.name.clone()).collect();
        let keys = self.store.node_names().into_iter().map(Key::Node);
        let keys =
            keys.chain(nodeenis.into_iter().map(Key::NodeEni)).chain(attachments.into_iter().map(Key::Attachment));
        keys.for_each(|key| self.queue.add(key));
    }

    /// Takes a change of the API server.
    fn handle_watch_change(&mut self, change: Change) {
        if matches!(change, Change::ApiAnswers) {
            return self.api_answers_again();
        }
        for affected in self.store.take(change) {
            self.enqueue_dependents(affected);
        }
    }

    /// Adds every key that depends on the change to the queue.
    fn enqueue_dependents(&mut self, affected: StoreChange) {
        self.note_term_edits();
        self.wake_requested();
        match affected {
            StoreChange::Node(name) => {
                let attachments: Vec<String> =
                    self.store.attachments_on(&name).map(|entry| entry.attachment.name.clone()).collect();
                attachments.into_iter().for_each(|name| self.queue.add(Key::Attachment(name)));
                self.queue.add(Key::Node(name));
            }
            StoreChange::Pods(node) => self.queue.add(Key::Node(node)),
            StoreChange::PodsListed => {
                let waiting = self.assignments.iter().filter(|(_, last)| !last.waiting.is_empty());
                let keys: Vec<Key> = waiting.map(|(node, _)| Key::Node(node.clone())).collect();
                keys.into_iter().for_each(|key| self.queue.add(key));
            }
            StoreChange::NodeEni { name, uid, nodeeni } => {
                self.queue.add(Key::NodeEni(name.clone()));
                if nodeeni {
                    self.enqueue_nodes_of(&name, &uid);
                }
            }
            StoreChange::Attachment { name, node, nodeeni_uid } => {
                self.cancel_calls(&name);
                self.queue.add(Key::Attachment(name));
                self.queue.add(Key::Node(node));
                if let Some(entry) = self.store.nodeeni_by_uid(&nodeeni_uid) {
                    self.queue.add(Key::NodeEni(entry.nodeeni.name.clone()));
                }
            }
        }
    }

    /// Adds to the queue the Nodes that a NodeENI matches now, matched before, has ENIs on, or may have upstream's ENIs on, with the
    /// other Nodes of their instances; and its ENIAttachments.
    fn enqueue_nodes_of(&mut self, name: &str, uid: &str) {
        let nodeeni = self.store.nodeeni(name).map(|entry| &entry.nodeeni);
        let concerns = |nodeeni: &NodeEni, node: &ObservedNode| {
            nodeeni.spec.as_ref().is_ok_and(|spec| spec.matches(&node.labels)) || nodeeni.may_have_upstreams_on(node)
        };
        let matching = self
            .store
            .nodes()
            .filter(|node| nodeeni.is_some_and(|nodeeni| concerns(nodeeni, node)))
            .map(|node| node.name.clone());
        let before =
            self.assignments.iter().filter(|(_, old)| old.concerns(|of| of == uid)).map(|(node, _)| node.clone());
        let holding =
            self.store.attachments_of(uid).map(|entry| self.store.decided_under(&entry.attachment).to_owned());
        let nodes: BTreeSet<String> = matching.chain(before).chain(holding).collect();
        let attachments: Vec<String> =
            self.store.attachments_of(uid).map(|entry| entry.attachment.name.clone()).collect();
        // At the start of a term every Node is decided before the first status.
        if self.started && nodeeni.is_some() {
            self.undecided.changed(uid, &nodes);
        }
        self.enqueue_instances_of(nodes);
        attachments.into_iter().for_each(|name| self.queue.add(Key::Attachment(name)));
    }

    /// Adds to the queue these Nodes, and the other Nodes of their instances: what is reported of several Nodes of one instance depends
    /// on the NodeENIs of each of them.
    fn enqueue_instances_of(&mut self, nodes: BTreeSet<String>) {
        let instances = nodes.iter().filter_map(|name| self.store.node(name)?.instance.as_ref().ok());
        let of_instances = instances.flat_map(|instance| self.store.nodes_on(instance)).map(|node| node.name.clone());
        let others: BTreeSet<String> = of_instances.collect();
        nodes.into_iter().chain(others).for_each(|node| self.queue.add(Key::Node(node)));
    }

    /// Takes a change of the EC2 cache.
    fn handle_ec2_change(&mut self, changed: Changed) {
        match changed {
            Changed::Eni { attachment_uid } => match self.store.attachment_by_uid(&attachment_uid) {
                Some(name) => self.queue.add(Key::Attachment(name.clone())),
                None => self.queue.add(Key::Orphans),
            },
            Changed::Instance(instance) => {
                self.note_refusal_observations(&instance);
                let under = |attachment| Key::Node(self.store.decided_under(attachment).to_owned());
                let attachment = self.store.attachments_of_instance(&instance).map(|entry| &entry.attachment);
                let keys: Vec<Key> = attachment
                    .flat_map(|attachment| [under(attachment), Key::Attachment(attachment.name.clone())])
                    .chain(self.store.nodes_on(&instance).map(|node| Key::Node(node.name.clone())))
                    .collect();
                keys.into_iter().for_each(|key| self.queue.add(key));
            }
            Changed::Subnets(ids) => {
                let attachments = self.awaited_subnets.answered(&ids).into_iter().map(Key::Attachment);
                let nodes = ids.iter().flat_map(|id| self.assignments.needing_subnet(id));
                let keys: Vec<Key> = attachments.chain(nodes.map(|node| Key::Node(node.clone()))).collect();
                keys.into_iter().for_each(|key| self.queue.add(key));
            }
            Changed::Ec2Catalog => {
                let waiting = self.assignments.needing_lookups();
                // A group name may be resolved now. That changes ENIs in place, also where no decision waits for the name.
                let names_groups = |entry: &&NodeEniEntry| {
                    let spec = entry.nodeeni.spec.as_ref();
                    spec.is_ok_and(|spec| !spec.group_names.is_empty() || !spec.group_terms.is_empty())
                };
                let by_name = self.store.nodeenis().filter(names_groups);
                let attachments = by_name.flat_map(|entry| self.store.attachments_of(&entry.nodeeni.uid));
                let keys: Vec<Key> = waiting
                    .map(|node| Key::Node(node.clone()))
                    .chain(attachments.map(|entry| Key::Attachment(entry.attachment.name.clone())))
                    .collect();
                keys.into_iter().for_each(|key| self.queue.add(key));
            }
            Changed::DescribeOutage => self.describe_outage_changed(),
            Changed::Names => self.names_changed(),
            Changed::Resynced => {
                self.check_place_after_resync();
                self.queue.add(Key::Orphans);
                self.forget_deleted();
                self.note_unreadable_enis();
                self.refresh_names();
                self.enqueue_tainted_nodes();
                self.enqueue_resync_waiters();
                // Before the first resync nothing could be observed. Also, no other change reports that an ENI is absent.
                let to_check = self.store.attachments().filter(|entry| {
                    entry.attachment.deleting.is_some() || !self.is_ready(entry) || self.is_absent(entry)
                });
                let keys: Vec<Key> = to_check.map(|entry| Key::Attachment(entry.attachment.name.clone())).collect();
                keys.into_iter().for_each(|key| self.queue.add(key));
            }
        }
    }

    /// Forgets what is remembered of objects that are gone.
    fn forget_deleted(&mut self) {
        let (store, now) = (&self.store, self.now());
        let lasts = self.writes.forget(now, |key| match key {
            Key::Node(name) => store.node(name).is_some() || store.attachments_on(name).next().is_some(),
            Key::Attachment(name) => store.attachment(name).is_some(),
            Key::NodeEni(name) => store.nodeeni(name).is_some(),
            Key::Orphans => true,
        });
        let changed_nodeenis: Vec<String> =
            lasts.iter().filter_map(|uid| store.nodeeni_by_uid(uid)).map(|entry| entry.nodeeni.name.clone()).collect();
        changed_nodeenis.into_iter().for_each(|name| self.queue.add(Key::NodeEni(name)));
        let creating: BTreeSet<&str> =
            self.assignments.values().flat_map(|last| &last.create).map(|new| new.name.as_str()).collect();
        self.stopwatches.retain(
            |name| creating.contains(name) || store.attachment(name).is_some(),
            |uid| store.attachment_by_uid(uid).is_some(),
        );
        self.attach_traces.retain(now, |uid| store.attachment_by_uid(uid).is_some());
        self.deps.ec2.keep_instances(&store.instances());
        self.refusal_observations.retain(|name, _| store.attachment(name).is_some());
        self.kept_taints.retain(|name| store.node(name).is_some());
        self.outdated_reports.retain(|uid| store.attachment_by_uid(uid).is_some());
        self.refused_attach.retain(|_, refused| store.node(&refused.node).is_some());
        self.call_histories.retain(|uid, _| store.attachment_by_uid(uid).is_some());
        self.agreements.retain(|uid, _| store.attachment_by_uid(uid).is_some());
        self.permits.retain(|uid, _| store.nodeeni_by_uid(uid).is_some());
        self.undecided.retain(|uid| store.nodeeni_by_uid(uid).is_some());
        self.removals.retain(|uid| store.nodeeni_by_uid(uid).is_some());
        self.removal_histories.retain(|uid, _| store.nodeeni_by_uid(uid).is_some());
        self.term_edits.retain(|uid, _| store.nodeeni_by_uid(uid).is_some());
        self.status_written.retain(|uid, _| store.nodeeni_by_uid(uid).is_some());
        self.status_changed.retain(|uid, _| store.nodeeni_by_uid(uid).is_some());
        self.share_changed.retain(|uid, _| store.nodeeni_by_uid(uid).is_some());
    }

    /// How long to sleep if no change arrives.
    fn pause(&self) -> Duration {
        const LONG: Duration = Duration::from_secs(3600);
        // While the place is in doubt, keys wait for a resync or a lookup, not for a time.
        let is_place_proven = self.started && self.place_doubted_at.is_none();
        let decides = self.store.is_warm() && self.store.terminating_crd().is_none() && is_place_proven;
        // Wake up to report that EC2 does not answer the first resync or the lookups that prove the place.
        let report_at = || [self.describe_outage_due_at(), self.place_recheck].into_iter().flatten().min();
        let due = if decides { self.queue.next_due() } else { report_at() };
        let Some(due) = due else { return LONG };
        Duration::try_from(due.duration_since(self.now()).max(SignedDuration::from_millis(1))).unwrap_or(LONG).min(LONG)
    }

    fn now(&self) -> Timestamp {
        (self.deps.wall)()
    }

    /// Starts calls for a key. The key is not reconciled again before they have ended.
    fn start_calls(&mut self, key: &Key, call: impl Future<Output = Vec<Outcome>> + Send + 'static) {
        self.queue.busy(key.clone());
        self.has_unsent_calls = true;
        let key = key.clone();
        self.calls.push(Box::pin(async move { Finished { key, outcomes: call.await } }));
    }

    /// Publishes an event without waiting for it: a slow API server must not delay other work.
    fn publish(&mut self, event: NewEvent) {
        let (recorder, now) = (self.deps.recorder.clone(), self.now());
        self.event_writes.push(Box::pin(async move { recorder.publish(event, now).await }));
    }

    /// Logs a warning, at most once in ten minutes.
    pub(super) fn warn_once(&mut self, warning: String) {
        if self.warnings.is_due(&warning, self.now()) {
            tracing::warn!("{warning}");
        }
    }

    fn update_gauges(&self) {
        self.deps.gauges.waiting.set(i64::try_from(self.queue.len()).unwrap_or(i64::MAX));
        self.deps.gauges.ready.store(self.store.is_warm(), std::sync::atomic::Ordering::Relaxed);
    }
}
