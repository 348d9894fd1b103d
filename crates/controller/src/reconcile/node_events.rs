//! The Events on a Node about one of its ENIs: it is attached, it is deleted, its detach is forced. They are made from the
//! ENIAttachment and its next status.

use super::reconciler::Reconciler;
use crate::events::{NewEvent, Regarding};
use crate::store::AttachmentEntry;
use multi_eni_api::EniAttachmentStatus;
use multi_eni_api::conditions::{is_true, types};
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::lifecycle::Step;

impl Reconciler {
    /// Publishes one event when the ENI is attached.
    pub(super) fn publish_attached(&mut self, entry: &AttachmentEntry, step: &Step) {
        let attachment = &entry.attachment;
        let is_attached = |status: &EniAttachmentStatus| is_true(&status.conditions, types::ATTACHED);
        if attachment.deleting.is_none() && is_attached(&step.status) && !is_attached(&attachment.status) {
            let note = format!(
                "{} of NodeENI {} is attached at device index {}",
                step.status.eni_id.as_deref().unwrap_or_default(),
                attachment.nodeeni,
                attachment.request.device_index
            );
            self.publish(NewEvent {
                regarding: regarding_node(attachment),
                warning: false,
                reason: "ENIAttached",
                action: "Attach",
                note,
            });
        }
    }

    /// Publishes that the ENI is gone, if there was one.
    pub(super) fn publish_deleted(&mut self, entry: &AttachmentEntry) {
        let attachment = &entry.attachment;
        if let Some(eni) = &attachment.status.eni_id {
            let note = format!("{eni} of NodeENI {} is detached and deleted", attachment.nodeeni);
            self.publish(NewEvent {
                regarding: regarding_node(attachment),
                warning: false,
                reason: "ENIDeleted",
                action: "Delete",
                note,
            });
        }
    }

    /// Publishes that a detach is forced now.
    pub(super) fn publish_forced_detach(&mut self, entry: &AttachmentEntry) {
        let attachment = &entry.attachment;
        let note = format!(
            "{} of NodeENI {} is detached by force: device index {} may be unusable until the instance is stopped",
            attachment.status.eni_id.as_deref().unwrap_or_default(),
            attachment.nodeeni,
            attachment.request.device_index
        );
        self.publish(NewEvent {
            regarding: regarding_node(attachment),
            warning: true,
            reason: "ForcedDetach",
            action: "Detach",
            note,
        });
    }
}

fn regarding_node(attachment: &Attachment) -> Regarding {
    Regarding::Node { name: attachment.node.clone() }
}
