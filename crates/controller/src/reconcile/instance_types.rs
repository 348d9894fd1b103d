//! Gives the gate of instance types what it decides by: the ENIs as their instance type concerns them, and the answers of calls.
//! It decides nothing.

use super::Reconciler;
use crate::store::AttachmentEntry;
use multi_eni_api::eniattachment::Phase;
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::ec2_errors::{Call, CallError};
use multi_eni_plan::gates::instance_type::{Hold, InstanceTypeGate, Subject};
use multi_eni_plan::observed::Ec2Catalog;

impl Reconciler {
    /// The gate and its subject, for an ENIAttachment whose ENI is still to be created. None if the gate cannot hold it back.
    pub(super) fn instance_type_of<'a>(
        &'a self,
        attachment: &'a Attachment,
        catalog: &Ec2Catalog,
    ) -> Option<(&'a InstanceTypeGate, Subject<'a>)> {
        if self.eni_of(attachment).is_some() {
            return None;
        }
        Some((&self.instance_types, self.subject(attachment, catalog)?))
    }

    pub(super) fn instance_type_sent(&mut self, entry: &AttachmentEntry) {
        let catalog = self.deps.ec2.catalog();
        let now = self.now();
        let mut gate = std::mem::take(&mut self.instance_types);
        if let Some(subject) = self.subject(&entry.attachment, &catalog) {
            gate.sent(&entry.attachment.uid, &subject, now);
        }
        self.instance_types = gate;
    }

    pub(super) fn instance_type_answered(
        &mut self,
        entry: &AttachmentEntry,
        call: Call,
        result: &Result<(), CallError>,
    ) {
        if !matches!((call, result), (Call::Attach, _) | (Call::Create, Err(_))) {
            return;
        }
        let (catalog, now) = (self.deps.ec2.catalog(), self.now());
        let mut gate = std::mem::take(&mut self.instance_types);
        let uid = &entry.attachment.uid;
        let failure = self.call_histories.get(uid).and_then(|history| history.failure_of(call));
        let subject = self.subject(&entry.attachment, &catalog);
        let may_go_on = subject.is_some_and(|subject| gate.answered(uid, &subject, call, result, failure, now));
        self.instance_types = gate;
        if call == Call::Attach && result.is_err() && !self.instance_types.is_open() {
            self.withdraw_held_creates(&catalog);
        }
        if may_go_on {
            self.enqueue_without_eni();
        }
    }

    /// Cancels the Creates that wait for the rate limiter and that the gate holds back by now. A Create that was sent stays.
    fn withdraw_held_creates(&self, catalog: &Ec2Catalog) {
        for (name, (uid, token)) in &self.cancellable_calls {
            let Some(entry) = self.store.attachment(name).filter(|entry| entry.attachment.uid == *uid) else {
                continue;
            };
            let held = self
                .instance_type_of(&entry.attachment, catalog)
                .and_then(|(gate, subject)| gate.holds_back(uid, &subject, self.now()));
            if matches!(held, Some(Hold::Refused(..))) {
                token.cancel();
            }
        }
    }

    /// The gate, restored from the statuses.
    pub(super) fn instance_type_gate_from_statuses(&self) -> InstanceTypeGate {
        let catalog = self.deps.ec2.catalog();
        let attached = self.store.attachments().filter(|entry| entry.attachment.status.phase == Phase::Attached);
        let attached = attached.filter_map(|entry| self.subject(&entry.attachment, &catalog));
        let failed = self.store.attachments().filter_map(|entry| {
            let failure =
                self.call_history(&entry.attachment).failure.filter(|failure| failure.call == Call::Attach)?;
            Some((self.subject(&entry.attachment, &catalog)?, failure))
        });
        InstanceTypeGate::from_statuses(attached, failed)
    }

    /// The ENI as its instance type concerns it. None if the Node has no type label.
    fn subject<'a>(&'a self, attachment: &Attachment, catalog: &Ec2Catalog) -> Option<Subject<'a>> {
        let instance = attachment.instance.as_ref()?;
        let kind = self.store.node_on(instance)?.instance_type.as_deref()?;
        let interfaces = self.deps.ec2.instance_interfaces(instance);
        let here = self.store.attachments_of_instance(instance).map(|entry| &entry.attachment);
        Some(Subject::of(attachment, (kind, catalog), interfaces.as_ref(), here))
    }
}
