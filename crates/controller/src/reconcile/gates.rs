//! Restores the gates of permissions, of subnets and of the quota from the statuses, and wakes the ENIAttachments that they held back.
//! `instance_types.rs` has the same for the gate of instance types. It decides nothing.

use super::Reconciler;
use crate::work_queue::Key;
use multi_eni_plan::gates::permission::PermissionGate;
use multi_eni_plan::gates::quota::QuotaGate;
use multi_eni_plan::gates::subnet::SubnetGate;
use multi_eni_plan::lifecycle::CallHistory;

impl Reconciler {
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
}
