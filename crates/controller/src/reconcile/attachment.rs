//! Reconciles one ENIAttachment: `lifecycle::step` returns its status and its next action. This file gives it its input and writes the
//! status; `attachment_calls.rs` executes the action. It is given the store's entry and the cache of EC2. It decides nothing itself.

use super::attachment_calls::release_of;
use super::{Outcome, Reconciler, write_backoff};
use crate::api_writes::WriteAnswer;
use crate::metrics::Span;
use crate::store::AttachmentEntry;
use crate::work_queue::Key;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use multi_eni_api::conditions::{is_true, types};
use multi_eni_api::ids::EniId;
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::lifecycle::{self, Action, Agreement, CallHistory, Step};
use multi_eni_plan::observed::{Ec2Catalog, Observation};
use multi_eni_plan::write_history::{PendingWrite, Write};
use std::sync::Arc;

impl Reconciler {
    pub(super) fn attachment(&mut self, key: &Key, name: &str) {
        let Some(entry) = self.store.attachment(name).cloned() else { return self.retain_decided(key, &[], |_| false) };
        if entry.attachment.is_torn() && self.put_back(key, &entry) {
            return;
        }
        if entry.attachment.deleting.is_some() && self.instance_types.left(&entry.attachment.uid, self.now()) {
            self.enqueue_without_eni();
        }
        self.follow_trace(&entry.attachment);
        if self.deps.settings.node_agent {
            self.outdated_reports.note(&entry.attachment, self.now());
        }
        let step = self.step(&entry);
        if let Some(at) = step.recheck {
            self.queue.add_at(key.clone(), at);
        }
        self.note_agreement(&entry.attachment.uid, step.agreement);
        self.measure_attached(&entry, &step);
        let mut work: Vec<BoxFuture<'static, Outcome>> = Vec::new();
        let report =
            self.writes_status(&entry, &step).then(|| write_backoff::report_of(&entry.attachment, &step.status));
        let release = matches!(step.action, Action::Release).then(|| release_of(&entry));
        let repair = entry.attachment.is_torn().then(|| repair_of(&entry));
        let decided = report.iter().chain(&release).chain(&repair).map(|asked| asked.target.clone());
        self.retain_decided(key, &decided.collect::<Vec<_>>(), |_| false);
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
            .map(|call_history| call_history.as_ref().clone())
            .unwrap_or_else(|| CallHistory::begin(self.acting_since, attachment))
    }

    pub(super) fn call_history_mut(&mut self, attachment: &Attachment) -> &mut CallHistory {
        let since = self.acting_since;
        let begin = || Box::new(CallHistory::begin(since, attachment));
        self.call_histories.entry(attachment.uid.clone()).or_insert_with(begin)
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
            report_outdated_since: self.outdated_reports.since(&attachment.uid),
            home_shown: self.deps.ec2.home_shown(),
            resync_took: self.deps.ec2.resync_took(),
            catalog,
            agreement: self.agreements.get(&attachment.uid).copied().unwrap_or_default(),
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

    /// Keeps what EC2 has shown of the values that the NodeENI asks for. The next step compares with it.
    fn note_agreement(&mut self, uid: &str, agreement: Agreement) {
        match self.agreements.get_mut(uid) {
            Some(known) => *known = agreement,
            None if agreement == Agreement::default() => {}
            None => drop(self.agreements.insert(uid.to_owned(), agreement)),
        }
    }

    /// Measures the time from the Create, when EC2 first shows the ENI attached.
    fn measure_attached(&mut self, entry: &AttachmentEntry, step: &Step) {
        if is_true(&step.status.conditions, types::ATTACHED)
            && let Some(took) = self.stopwatches.attached(&entry.attachment.uid, self.now())
        {
            self.deps.gauges.counted.attachments.took(Span::CreateToAttached, took);
        }
    }
}

fn repair_of(entry: &AttachmentEntry) -> PendingWrite {
    write_backoff::to_attachment(Write::RepairAttachment, &entry.attachment, ())
}
