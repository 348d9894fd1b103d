//! One ENIAttachment: `step`, and its one action.

use super::{Outcome, Reconciler, writes};
use crate::events::{About, Announcement};
use crate::store::AttachmentEntry;
use crate::work_queue::Key;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
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
use multi_eni_plan::writes::{Asked, Write};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

impl Reconciler {
    pub(super) fn attachment(&mut self, key: &Key, name: &str) {
        let Some(entry) = self.store.attachment(name).cloned() else { return self.decided(key, &[], |_| false) };
        if entry.attachment.is_torn() && self.put_back(key, &entry) {
            return;
        }
        let step = self.step(&entry);
        if let Some(at) = step.recheck {
            self.queue.at(key.clone(), at);
        }
        let mut work: Vec<BoxFuture<'static, Outcome>> = Vec::new();
        let report = self.writes_status(&entry, &step).then(|| writes::report_of(&entry.attachment, &step.status));
        let release = matches!(step.action, Action::Release).then(|| release_of(&entry));
        let repair = entry.attachment.is_torn().then(|| repair_of(&entry));
        self.decided(key, &report.iter().chain(&release).chain(&repair).cloned().collect::<Vec<_>>(), |_| false);
        if let Some(asked) = report.filter(|asked| self.may_write(key, asked)) {
            // Said when it happens, not again with each try to write it down.
            if !self.writes.is_failing(key, &asked.target) {
                self.announce(&entry, &step);
            }
            let (writer, entry, status) = (self.deps.writer.clone(), entry.clone(), step.status.clone());
            work.push(writes::sent(asked, async move { writer.attachment_status(entry, status).await }));
        }
        self.act(key, &entry, step.action, &mut work);
        match work.pop() {
            None => {}
            // As good as always, and thousands of them may wait.
            Some(one) if work.is_empty() => self.call(key, one.map(|outcome| vec![outcome])),
            Some(last) => {
                work.push(last);
                self.call(key, join_all(work));
            }
        }
    }

    /// What somebody took off one of our objects is put back, by itself: it needs the version that was seen.
    fn put_back(&mut self, key: &Key, entry: &Arc<AttachmentEntry>) -> bool {
        let asked = repair_of(entry);
        if !self.may_write(key, &asked) {
            return false;
        }
        let eni_attachment = &entry.attachment;
        tracing::warn!(attachment = %eni_attachment.name, finalizer = eni_attachment.guarded, label_and_owner = eni_attachment.labelled, "somebody took a mark of ours off it: it is put back");
        let (writer, entry) = (self.deps.writer.clone(), entry.clone());
        self.call(key, writes::sent(asked, async move { writer.repair(entry).await }).map(|outcome| vec![outcome]));
        true
    }

    pub(super) fn step(&self, entry: &AttachmentEntry) -> Step {
        let eni_attachment = &entry.attachment;
        let (observation, memory, catalog) =
            (self.observation(eni_attachment), self.memory(eni_attachment), self.deps.ec2.catalog());
        let rivals = self.rivals(eni_attachment, &observation);
        let rivals: Vec<&Attachment> = rivals.iter().map(|entry| &entry.attachment).collect();
        lifecycle::step(lifecycle::Input {
            rivals: &rivals,
            ..self.step_input(eni_attachment, &observation, &memory, &catalog)
        })
    }

    /// Others that name the ENI which this one is to take over.
    fn rivals(&self, eni_attachment: &Attachment, observation: &Observation) -> Vec<Arc<AttachmentEntry>> {
        let Some(adopted) = &eni_attachment.adopted else { return Vec::new() };
        if matches!(observation, Observation::Seen(eni) if eni.attachment_uid() == Some(eni_attachment.uid.as_str())) {
            return Vec::new();
        }
        let others = self.store.attachments().filter(|entry| entry.attachment.uid != eni_attachment.uid);
        others.filter(|entry| entry.attachment.eni().as_ref() == Some(adopted)).cloned().collect()
    }

    pub(super) fn memory(&self, eni_attachment: &Attachment) -> CallHistory {
        self.memories
            .get(&eni_attachment.uid)
            .cloned()
            .unwrap_or_else(|| CallHistory::begin(self.acting_since, eni_attachment))
    }

    pub(super) fn memory_mut(&mut self, eni_attachment: &Attachment) -> &mut CallHistory {
        let since = self.acting_since;
        self.memories.entry(eni_attachment.uid.clone()).or_insert_with(|| CallHistory::begin(since, eni_attachment))
    }

    pub(super) fn step_input<'a>(
        &'a self,
        eni_attachment: &'a Attachment,
        observation: &'a Observation,
        memory: &'a CallHistory,
        catalog: &'a Ec2Catalog,
    ) -> lifecycle::Input<'a> {
        let node = eni_attachment.instance.as_ref().and_then(|instance| self.store.node_on(instance));
        lifecycle::Input {
            cluster: &self.deps.cluster,
            attachment: eni_attachment,
            observation,
            spec: self
                .store
                .nodeeni_by_uid(&eni_attachment.nodeeni_uid)
                .and_then(|entry| entry.nodeeni.spec.as_ref().ok()),
            rivals: &[],
            node_leaving: node.is_none_or(|node| node.deleting),
            instance: eni_attachment
                .instance
                .as_ref()
                .and_then(|instance| self.deps.ec2.instance_observation(instance)),
            states_failure: self.states_failure.as_ref(),
            home_shown: self.deps.ec2.home_shown(),
            catalog,
            memory,
            quota: &self.quota,
            permissions: &self.permissions,
            subnets: &self.subnets,
            settings: &self.deps.settings,
            now: self.now(),
        }
    }

    /// Its ENI, by its status or by what this process was answered.
    pub(super) fn eni_of(&self, attachment: &Attachment) -> Option<EniId> {
        match self.memories.get(&attachment.uid) {
            Some(memory) => memory.eni_of(attachment),
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

    /// A call that comes right after leaves the writing to its answer: three writes are enough for the way in.
    fn writes_status(&self, entry: &AttachmentEntry, step: &Step) -> bool {
        let waits = match step.action {
            Action::Create { .. } | Action::Attach { .. } | Action::Delete { .. } | Action::Release => false,
            Action::Detach { .. }
            | Action::Modify { .. }
            | Action::NextAttempt
            | Action::LookByTag
            | Action::LookById(_) => true,
            Action::LookAtSubnet(_) | Action::LookAtState(_) | Action::Wait | Action::Settled => true,
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
        let withdrawn = CancellationToken::new();
        if matches!(action, Action::Create { .. } | Action::Attach { .. }) {
            self.bringing.insert(entry.attachment.name.clone(), (entry.attachment.uid.clone(), withdrawn.clone()));
        }
        let ec2 = self.deps.ec2.acting_for(&entry.attachment.nodeeni_uid, entry.attachment.created, withdrawn);
        let (call, future): (Call, BoxFuture<'static, Result<(), CallError>>) = match action {
            Action::Wait | Action::Settled | Action::NextAttempt => return,
            Action::LookByTag => return self.look(key, || ec2.look_by_tag(&entry.attachment.uid)),
            Action::LookById(eni) => return self.look(key, || ec2.look_by_id(&eni)),
            Action::LookAtSubnet(subnet) => return self.look(key, || ec2.want_subnets(&[subnet], &[])),
            Action::LookAtState(instance) => return self.look(key, || ec2.look_at_state(&instance)),
            Action::Release => {
                let asked = release_of(entry);
                if self.may_write(key, &asked) {
                    if !self.writes.is_failing(key, &asked.target) {
                        self.announce_removed(entry);
                    }
                    let (writer, entry) = (self.deps.writer.clone(), entry.clone());
                    work.push(writes::sent(asked, async move { writer.release(entry).await }));
                }
                return;
            }
            Action::Create { token, may_repeat } => {
                let entry = entry.clone();
                self.quota.sent(&entry.attachment.uid);
                self.subnets.sent(&entry.attachment.uid, &entry.attachment.request);
                self.permissions.sent(Call::Create, self.now());
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
                self.memory_mut(&entry.attachment).sends_attach(before.as_deref());
                (Call::Attach, async move { ec2.attach(&eni, &instance, card, index).await.map(drop) }.boxed())
            }
            Action::Detach { eni, attachment, force } => {
                let leaving = entry.attachment.deleting.is_some();
                if self.memory_mut(&entry.attachment).sends_detach(&attachment, force, leaving) {
                    self.announce_forced(entry);
                }
                (Call::Detach, async move { ec2.detach(&eni, &attachment, force).await }.boxed())
            }
            Action::Delete { eni } => (Call::Delete, async move { ec2.delete(&eni).await }.boxed()),
            Action::Modify { eni, change } => {
                let now = self.now();
                let nodeeni = self.store.nodeeni_by_uid(&entry.attachment.nodeeni_uid).cloned();
                let spec = nodeeni.as_ref().and_then(|nodeeni| nodeeni.nodeeni.spec.as_ref().ok());
                self.memory_mut(&entry.attachment).sends_change(&change, spec, now);
                change_in_place(ec2, eni, change)
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

    /// What is on its way out needs no Create and no Attach that only waits for its turn.
    pub(super) fn withdraw(&mut self, name: &str) {
        let stays = |uid: &String| {
            self.store
                .attachment(name)
                .is_some_and(|entry| entry.attachment.uid == *uid && entry.attachment.deleting.is_none())
        };
        if let Some((_, withdrawn)) = self.bringing.get(name).filter(|(uid, _)| !stays(uid)) {
            withdrawn.cancel();
        }
    }

    /// What the quota of ENIs held back may try again.
    pub(super) fn wake_those_without_an_eni(&mut self) {
        let keys = self.store.attachments().filter(|entry| entry.attachment.awaits_its_eni());
        let keys: Vec<Key> = keys.map(|entry| Key::Attachment(entry.attachment.name.clone())).collect();
        keys.into_iter().for_each(|key| self.queue.now(key));
    }

    /// What waits for what EC2 has just granted to another one may try again.
    pub(super) fn wake_the_refused(&mut self) {
        let waits = |memory: &CallHistory| memory.failures().any(|failure| self.permissions.concerns(failure));
        let uids = self.memories.iter().filter(|(_, memory)| waits(memory)).map(|(uid, _)| uid);
        let keys: Vec<Key> =
            uids.filter_map(|uid| self.store.attachment_by_uid(uid)).cloned().map(Key::Attachment).collect();
        keys.into_iter().for_each(|key| self.queue.now(key));
        self.wake_those_without_an_eni();
    }

    /// What the statuses tell of what EC2 refuses to all.
    pub(super) fn probes_told(&self) -> PermissionGate {
        PermissionGate::told(
            self.store.attachments().map(|entry| (entry.attachment.uid.as_str(), self.memory(&entry.attachment))),
        )
    }

    /// What the statuses tell of full subnets.
    pub(super) fn room_told(&self) -> SubnetGate {
        SubnetGate::told(self.store.attachments().map(|entry| (&entry.attachment, self.memory(&entry.attachment))))
    }

    /// What the statuses tell of the quota of ENIs.
    pub(super) fn quota_told(&self) -> QuotaGate {
        QuotaGate::told(self.store.attachments().map(|entry| (&entry.attachment, self.memory(&entry.attachment))))
    }

    /// A look is answered by a change of the view; if none comes, it is asked again.
    fn look(&mut self, key: &Key, spec: impl FnOnce()) {
        spec();
        self.queue.at(key.clone(), self.now().saturating_add(SignedDuration::from_secs(5)).unwrap_or_default());
    }

    /// One event when it becomes ready.
    fn announce(&mut self, entry: &AttachmentEntry, step: &Step) {
        if is_true(&step.status.conditions, types::READY) && !self.is_ready(entry) {
            let eni_attachment = &entry.attachment;
            let note = format!(
                "{} of NodeENI {} is attached at device index {}",
                step.status.eni_id.as_deref().unwrap_or_default(),
                eni_attachment.nodeeni,
                eni_attachment.request.device_index
            );
            self.publish(&eni_attachment.node, false, "ENIAttached", "Attach", note);
        }
    }

    fn announce_removed(&mut self, entry: &AttachmentEntry) {
        let eni_attachment = &entry.attachment;
        if let Some(eni) = &eni_attachment.status.eni_id {
            let note = format!("{eni} of NodeENI {} is detached and deleted", eni_attachment.nodeeni);
            self.publish(&eni_attachment.node, false, "ENIDeleted", "Delete", note);
        }
    }

    fn announce_forced(&mut self, entry: &AttachmentEntry) {
        let eni_attachment = &entry.attachment;
        let note = format!(
            "{} of NodeENI {} is detached by force: device index {} may be unusable until the instance is stopped",
            eni_attachment.status.eni_id.as_deref().unwrap_or_default(),
            eni_attachment.nodeeni,
            eni_attachment.request.device_index
        );
        self.publish(&eni_attachment.node, true, "ForcedDetach", "Detach", note);
    }

    fn publish(&mut self, node: &str, warning: bool, reason: &'static str, action: &'static str, note: String) {
        let about = About::Node { name: node.to_owned() };
        self.tell(Announcement { about, warning, reason, action, note });
    }
}

fn repair_of(entry: &AttachmentEntry) -> Asked {
    writes::to_attachment(Write::RepairAttachment, &entry.attachment, ())
}

fn release_of(entry: &AttachmentEntry) -> Asked {
    writes::to_attachment(Write::ReleaseAttachment, &entry.attachment, ())
}

/// A change in place: which call makes it.
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
        Change::Untag(keys) => (Call::Untag, async move { ec2.untag(&eni, &keys).await }.boxed()),
        Change::Tags(tags) => (Call::Tag, async move { ec2.tag(&eni, &tags).await }.boxed()),
    }
}
