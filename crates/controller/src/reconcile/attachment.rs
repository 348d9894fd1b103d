//! Reconciles one ENIAttachment: `lifecycle::step` returns its status and its next action, and this file starts the calls for
//! both. It is given the store's entry and the cache of EC2. It never chooses an action itself.

use super::{Outcome, Reconciler, write_backoff};
use crate::api_writes::WriteAnswer;
use crate::metrics::Span;
use crate::store::AttachmentEntry;
use crate::work_queue::Key;
use futures::future::{BoxFuture, join_all};
use futures::{FutureExt, TryFutureExt};
use jiff::SignedDuration;
use multi_eni_api::conditions::{is_true, types};
use multi_eni_api::ids::EniId;
use multi_eni_ec2::Ec2;
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::ec2_errors::{Call, CallError};
use multi_eni_plan::gates::permission::PermissionGate;
use multi_eni_plan::gates::quota::QuotaGate;
use multi_eni_plan::gates::subnet::SubnetGate;
use multi_eni_plan::lifecycle::{self, Action, CallHistory, Change, Step};
use multi_eni_plan::observed::{Ec2Catalog, Observation};
use multi_eni_plan::write_history::{PendingWrite, Write};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

impl Reconciler {
    pub(super) fn attachment(&mut self, key: &Key, name: &str) {
        let Some(entry) = self.store.attachment(name).cloned() else { return self.retain_decided(key, &[], |_| false) };
        if entry.attachment.is_torn() && self.put_back(key, &entry) {
            return;
        }
        self.follow_trace(&entry.attachment);
        let step = self.step(&entry);
        if let Some(at) = step.recheck {
            self.queue.add_at(key.clone(), at);
        }
        self.measure_attached(&entry, &step);
        let mut work: Vec<BoxFuture<'static, Outcome>> = Vec::new();
        let report =
            self.writes_status(&entry, &step).then(|| write_backoff::report_of(&entry.attachment, &step.status));
        let release = matches!(step.action, Action::Release).then(|| release_of(&entry));
        let repair = entry.attachment.is_torn().then(|| repair_of(&entry));
        self.retain_decided(key, &report.iter().chain(&release).chain(&repair).cloned().collect::<Vec<_>>(), |_| false);
        if let Some(asked) = report.filter(|asked| self.may_write(key, asked)) {
            // Publish the event with the first try to write the status, not with each retry.
            if !self.writes.is_failing(key, &asked.target) {
                self.publish_attached(&entry, &step);
                self.publish_on_attachment(&entry.attachment, &step.status);
            }
            let stored_ready = (is_true(&step.status.conditions, types::READY) && !self.is_ready(&entry))
                .then(|| self.attach_traces.becomes_ready(&entry.attachment.uid, self.now()))
                .flatten();
            let (writer, entry, status) = (self.deps.writer.clone(), entry.clone(), step.status.clone());
            let wall = self.deps.wall.clone();
            work.push(write_backoff::sent(asked, async move {
                let answer = writer.attachment_status(entry, status).await;
                if let (Some(stored_ready), Ok(WriteAnswer { is_applied: true, .. })) = (stored_ready, &answer) {
                    let _ = stored_ready.set(wall());
                }
                answer
            }));
        }
        self.act(key, &entry, step.action, &mut work);
        match work.pop() {
            None => {}
            // Nearly always there is one call, and thousands of ENIAttachments may wait: do without the vector of futures.
            Some(one) if work.is_empty() => self.start_calls(key, one.map(|outcome| vec![outcome])),
            Some(last) => {
                work.push(last);
                self.start_calls(key, join_all(work));
            }
        }
    }

    /// Follows an ENIAttachment on its way to Ready, for its trace.
    fn follow_trace(&mut self, attachment: &Attachment) {
        let now = self.now();
        self.attach_traces.shown(attachment);
        if attachment.deleting.is_some() {
            return self.attach_traces.deleted(&attachment.uid, now);
        }
        self.attach_traces.follow(attachment, self.stopwatches.decided_at(&attachment.name), now);
    }

    /// Restores the finalizer, label and owner reference that somebody removed, in a write of its own, which needs the known
    /// resourceVersion.
    fn put_back(&mut self, key: &Key, entry: &Arc<AttachmentEntry>) -> bool {
        let asked = repair_of(entry);
        if !self.may_write(key, &asked) {
            return false;
        }
        let attachment = &entry.attachment;
        tracing::warn!(
            attachment = %attachment.name,
            finalizer = attachment.has_finalizer,
            label_and_owner = attachment.labelled,
            "restoring removed finalizer, label or owner reference of ENIAttachment"
        );
        let (writer, entry) = (self.deps.writer.clone(), entry.clone());
        self.start_calls(
            key,
            write_backoff::sent(asked, async move { writer.repair(entry).await }).map(|outcome| vec![outcome]),
        );
        true
    }

    pub(super) fn step(&self, entry: &AttachmentEntry) -> Step {
        let attachment = &entry.attachment;
        let (observation, call_history, catalog) =
            (self.observation(attachment), self.call_history(attachment), self.deps.ec2.catalog());
        let rivals = self.rivals(attachment, &observation);
        let rivals: Vec<&Attachment> = rivals.iter().map(|entry| &entry.attachment).collect();
        let boot_ids = self.store.boots_on(attachment.instance.as_ref());
        lifecycle::step(lifecycle::Input {
            rivals: &rivals,
            boot_ids: &boot_ids,
            instance_type: self.instance_type_of(attachment, &catalog),
            ..self.step_input(attachment, &observation, &call_history, &catalog)
        })
    }

    /// Other ENIAttachments whose status names the ENI that this one is to adopt.
    fn rivals(&self, attachment: &Attachment, observation: &Observation) -> Vec<Arc<AttachmentEntry>> {
        let Some(adopted) = &attachment.adopted else { return Vec::new() };
        if matches!(observation, Observation::Seen(eni) if eni.attachment_uid() == Some(attachment.uid.as_str())) {
            return Vec::new();
        }
        let others = self.store.attachments().filter(|entry| entry.attachment.uid != attachment.uid);
        others.filter(|entry| entry.attachment.eni().as_ref() == Some(adopted)).cloned().collect()
    }

    pub(super) fn call_history(&self, attachment: &Attachment) -> CallHistory {
        self.call_histories
            .get(&attachment.uid)
            .cloned()
            .unwrap_or_else(|| CallHistory::begin(self.acting_since, attachment))
    }

    pub(super) fn call_history_mut(&mut self, attachment: &Attachment) -> &mut CallHistory {
        let since = self.acting_since;
        self.call_histories.entry(attachment.uid.clone()).or_insert_with(|| CallHistory::begin(since, attachment))
    }

    pub(super) fn step_input<'a>(
        &'a self,
        attachment: &'a Attachment,
        observation: &'a Observation,
        call_history: &'a CallHistory,
        catalog: &'a Ec2Catalog,
    ) -> lifecycle::Input<'a> {
        lifecycle::Input {
            cluster: &self.deps.cluster,
            attachment,
            observation,
            spec: self.store.nodeeni_by_uid(&attachment.nodeeni_uid).and_then(|entry| entry.nodeeni.spec.as_ref().ok()),
            rivals: &[],
            node: attachment.instance.as_ref().and_then(|instance| self.store.node_on(instance)),
            boot_ids: &[],
            instance: attachment.instance.as_ref().and_then(|instance| self.deps.ec2.instance_observation(instance)),
            states_failure: self.states_failure.as_ref(),
            home_shown: self.deps.ec2.home_shown(),
            resync_took: self.deps.ec2.resync_took(),
            catalog,
            call_history,
            quota: &self.quota,
            instance_type: None,
            permissions: &self.permissions,
            subnets: &self.subnets,
            settings: &self.deps.settings,
            now: self.now(),
        }
    }

    /// The ID of its ENI: from its status, or from the answer that this process got to Create.
    pub(super) fn eni_of(&self, attachment: &Attachment) -> Option<EniId> {
        match self.call_histories.get(&attachment.uid) {
            Some(call_history) => call_history.eni_of(attachment),
            None => attachment.eni(),
        }
    }

    pub(super) fn observation(&self, attachment: &Attachment) -> Observation {
        self.deps.ec2.observation(&attachment.uid, self.eni_of(attachment).as_ref())
    }

    pub(super) fn is_ready(&self, entry: &AttachmentEntry) -> bool {
        is_true(&entry.attachment.status.conditions, types::READY)
    }

    pub(super) fn is_absent(&self, entry: &AttachmentEntry) -> bool {
        self.deps.ec2.is_absent(&entry.attachment.uid, self.eni_of(&entry.attachment).as_ref())
    }

    /// Whether the status is written now. If a call follows at once, the status is written with the call's answer: an ENI costs
    /// three writes until it is Ready.
    fn writes_status(&self, entry: &AttachmentEntry, step: &Step) -> bool {
        let waits = match step.action {
            Action::Create { .. } | Action::Attach { .. } | Action::Delete { .. } | Action::Release => false,
            Action::Detach { .. }
            | Action::Modify { .. }
            | Action::NextAttempt
            | Action::LookupByTag
            | Action::LookupById(_) => true,
            Action::LookupSubnet(_) | Action::LookupInstance(_) | Action::Wait | Action::Settled => true,
        };
        waits && step.status != entry.attachment.status
    }

    fn act(
        &mut self,
        key: &Key,
        entry: &Arc<AttachmentEntry>,
        action: Action,
        work: &mut Vec<BoxFuture<'static, Outcome>>,
    ) {
        let cancelled = CancellationToken::new();
        if matches!(action, Action::Create { .. } | Action::Attach { .. }) {
            self.cancellable_calls
                .insert(entry.attachment.name.clone(), (entry.attachment.uid.clone(), cancelled.clone()));
        }
        let ec2 = self.deps.ec2.acting_for(&entry.attachment.nodeeni_uid, entry.attachment.created, cancelled);
        let report = changes_ec2(&action).then(|| self.attach_traces.report_of_call(&entry.attachment.uid)).flatten();
        let ec2 = ec2.on_node(&entry.attachment.node).reporting_to(report);
        let (call, future): (Call, BoxFuture<'static, Result<(), CallError>>) = match action {
            Action::Wait | Action::Settled | Action::NextAttempt => return,
            Action::LookupByTag => return self.start_lookup(key, || ec2.lookup_by_tag(&entry.attachment.uid)),
            Action::LookupById(eni) => return self.start_lookup(key, || ec2.lookup_by_id(&eni)),
            Action::LookupSubnet(subnet) => {
                // A user has asked for a new try: the last answer may be young.
                let described = self.deps.ec2.catalog().subnets.get(&subnet).map(|described| described.as_of);
                let call_history = self.call_history(&entry.attachment);
                let is_asked_for = described.is_some_and(|at| call_history.is_woken_after(at));
                return self.start_lookup(key, || match is_asked_for {
                    true => ec2.refresh(BTreeSet::new(), BTreeSet::new(), [subnet].into()),
                    false => ec2.lookup_subnets(&[subnet], &[]),
                });
            }
            Action::LookupInstance(instance) => return self.start_lookup(key, || ec2.lookup_instance_state(&instance)),
            Action::Release => {
                let asked = release_of(entry);
                if self.may_write(key, &asked) {
                    if !self.writes.is_failing(key, &asked.target) {
                        self.publish_deleted(entry);
                    }
                    let (writer, entry) = (self.deps.writer.clone(), entry.clone());
                    work.push(write_backoff::sent(asked, async move { writer.release(entry).await }));
                }
                return;
            }
            Action::Create { token, may_repeat } => {
                let entry = entry.clone();
                let now = self.now();
                self.quota.sent(&entry.attachment.uid, now);
                self.subnets.sent(&entry.attachment.uid, &entry.attachment.request);
                self.permissions.sent(Call::Create, now);
                self.instance_type_sent(&entry);
                let (wall, uid) = (self.deps.wall.clone(), entry.attachment.uid.clone());
                let create = async move {
                    let sent = wall();
                    let result = ec2.create(&token, may_repeat, &entry.attachment).await.map(|eni| eni.id);
                    Outcome::Created { uid, sent, result }
                };
                return work.push(create.boxed());
            }
            Action::Attach { eni, instance, card, index } => {
                let before = entry.attachment.status.attachment_id.clone();
                self.call_history_mut(&entry.attachment).sends_attach(before.as_deref());
                (Call::Attach, async move { ec2.attach(&eni, &instance, card, index).await.map(drop) }.boxed())
            }
            Action::Detach { eni, attachment, force } => {
                let leaving = entry.attachment.deleting.is_some();
                if force {
                    self.deps.gauges.counted.attachments.forced_detaches.count(["attachment"]);
                }
                if self.call_history_mut(&entry.attachment).sends_detach(&attachment, force, leaving) {
                    self.publish_forced_detach(entry);
                }
                (Call::Detach, async move { ec2.detach(&eni, &attachment, force).await }.boxed())
            }
            Action::Delete { eni } => (Call::Delete, async move { ec2.delete(&eni).await }.boxed()),
            Action::Modify { eni, change } => {
                let now = self.now();
                let nodeeni = self.store.nodeeni_by_uid(&entry.attachment.nodeeni_uid).cloned();
                let spec = nodeeni.as_ref().and_then(|nodeeni| nodeeni.nodeeni.spec.as_ref().ok());
                self.call_history_mut(&entry.attachment).sends_change(&change, spec, now);
                let (gauges, attribute) = (self.deps.gauges.clone(), change.attribute());
                let (call, changed) = change_in_place(ec2, eni, change);
                let counted = move |(): &()| gauges.counted.attachments.in_place_changes.count([attribute]);
                (call, changed.inspect_ok(counted).boxed())
            }
        };
        self.permissions.sent(call, self.now());
        let (wall, uid) = (self.deps.wall.clone(), entry.attachment.uid.clone());
        work.push(
            async move {
                let sent = wall();
                Outcome::Called { uid, call, sent, result: future.await }
            }
            .boxed(),
        );
    }

    /// Cancels a Create or Attach that still waits for its turn, if the ENIAttachment is being deleted or is gone.
    pub(super) fn cancel_calls(&mut self, name: &str) {
        let stays = |uid: &String| {
            self.store
                .attachment(name)
                .is_some_and(|entry| entry.attachment.uid == *uid && entry.attachment.deleting.is_none())
        };
        if let Some((_, cancelled)) = self.cancellable_calls.get(name).filter(|(uid, _)| !stays(uid)) {
            cancelled.cancel();
        }
    }

    /// Adds the ENIAttachments without an ENI to the queue: the quota or a subnet has room again.
    pub(super) fn enqueue_without_eni(&mut self) {
        let keys = self.store.attachments().filter(|entry| entry.attachment.awaits_its_eni());
        let keys: Vec<Key> = keys.map(|entry| Key::Attachment(entry.attachment.name.clone())).collect();
        keys.into_iter().for_each(|key| self.queue.add(key));
    }

    /// Adds the ENIAttachments whose calls were refused to the queue: EC2 has just allowed a call of the same kind.
    pub(super) fn enqueue_refused(&mut self) {
        let waits =
            |call_history: &CallHistory| call_history.failures().any(|failure| self.permissions.concerns(failure));
        let uids = self.call_histories.iter().filter(|(_, call_history)| waits(call_history)).map(|(uid, _)| uid);
        let keys: Vec<Key> =
            uids.filter_map(|uid| self.store.attachment_by_uid(uid)).cloned().map(Key::Attachment).collect();
        keys.into_iter().for_each(|key| self.queue.add(key));
        self.enqueue_without_eni();
    }

    /// The permission gate, restored from the failures in the statuses.
    pub(super) fn permission_gate_from_statuses(&self) -> PermissionGate {
        PermissionGate::from_histories(
            self.store.attachments().map(|entry| (entry.attachment.uid.as_str(), self.call_history(&entry.attachment))),
        )
    }

    /// The subnet gate, restored from the failures in the statuses.
    pub(super) fn subnet_gate_from_statuses(&self) -> SubnetGate {
        SubnetGate::from_histories(
            self.store.attachments().map(|entry| (&entry.attachment, self.call_history(&entry.attachment))),
        )
    }

    /// The quota gate, restored from the failures in the statuses.
    pub(super) fn quota_gate_from_statuses(&self) -> QuotaGate {
        QuotaGate::from_histories(
            self.store.attachments().map(|entry| (&entry.attachment, self.call_history(&entry.attachment))),
        )
    }

    /// Measures the time from the Create, when EC2 first shows the ENI attached.
    fn measure_attached(&mut self, entry: &AttachmentEntry, step: &Step) {
        if is_true(&step.status.conditions, types::ATTACHED)
            && let Some(took) = self.stopwatches.attached(&entry.attachment.uid, self.now())
        {
            self.deps.gauges.counted.attachments.took(Span::CreateToAttached, took);
        }
    }

    /// Starts a lookup. Its answer comes as a change of the EC2 cache; if none comes, the key is reconciled again after five
    /// seconds.
    fn start_lookup(&mut self, key: &Key, spec: impl FnOnce()) {
        spec();
        self.queue.add_at(key.clone(), self.now().saturating_add(SignedDuration::from_secs(5)).unwrap_or_default());
    }
}

fn repair_of(entry: &AttachmentEntry) -> PendingWrite {
    write_backoff::to_attachment(Write::RepairAttachment, &entry.attachment, ())
}

fn release_of(entry: &AttachmentEntry) -> PendingWrite {
    write_backoff::to_attachment(Write::ReleaseAttachment, &entry.attachment, ())
}

/// Whether the action is an EC2 call that changes something.
fn changes_ec2(action: &Action) -> bool {
    match action {
        Action::Create { .. }
        | Action::Attach { .. }
        | Action::Modify { .. }
        | Action::Detach { .. }
        | Action::Delete { .. } => true,
        Action::LookupByTag | Action::LookupById(_) | Action::LookupSubnet(_) | Action::LookupInstance(_) => false,
        Action::NextAttempt | Action::Release | Action::Wait | Action::Settled => false,
    }
}

/// The EC2 call for a change in place.
fn change_in_place(ec2: Ec2, eni: EniId, change: Change) -> (Call, BoxFuture<'static, Result<(), CallError>>) {
    match change {
        Change::DeleteOnTermination { attachment, value } => {
            (Call::Modify, async move { ec2.set_delete_on_termination(&eni, &attachment, value).await }.boxed())
        }
        Change::Groups(groups) => (Call::Modify, async move { ec2.set_groups(&eni, &groups).await }.boxed()),
        Change::Description(text) => (Call::Modify, async move { ec2.set_description(&eni, &text).await }.boxed()),
        Change::SourceDestCheck(value) => {
            (Call::Modify, async move { ec2.set_source_dest_check(&eni, value).await }.boxed())
        }
        Change::ConnectionTracking(timeouts) => {
            (Call::Modify, async move { ec2.set_connection_tracking(&eni, timeouts).await }.boxed())
        }
        Change::Untag(keys) => (Call::Untag, async move { ec2.untag(&eni, &keys).await }.boxed()),
        Change::Tags(tags) => (Call::Tag, async move { ec2.tag(&eni, &tags).await }.boxed()),
    }
}
