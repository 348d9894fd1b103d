//! Decides whether an ENI of a NodeENI with `deviceIndexPolicy: highestFree` needs another device index, because EC2 does not attach it
//! at the chosen one. Then it is deleted, and `highest_free.rs` chooses the next free index. An ENI that was ever attached, or that
//! was adopted, is treated as with an exact index. This file deletes nothing.

use super::assignment::Need;
use super::planner::NodePlanner;
use crate::attachment::Attachment;
use crate::ec2_errors::{Call, CallError, Class, classify};
use crate::nodeeni::NodeEni;
use crate::observed::ObservedEni;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::DeviceIndexPolicy;

/// How long an ENI waits in case an occupied slot becomes free, before another index is chosen. So a node makes at most two
/// Creates a minute for one subnet while others occupy each index that it chooses.
const MOVED_AFTER: SignedDuration = SignedDuration::from_secs(30);

impl NodePlanner<'_> {
    /// Whether the ENI needs another device index, and was never attached: EC2 has refused this index or a lower one for the instance
    /// type, or it has refused the Attach for [`MOVED_AFTER`] because the slot is occupied.
    pub(super) fn needs_another_index(&mut self, nodeeni: &NodeEni, attachment: &Attachment) -> bool {
        let is_chosen = nodeeni.spec.as_ref().is_ok_and(|spec| spec.index_policy == DeviceIndexPolicy::HighestFree);
        if !is_chosen || !is_new(attachment) || self.input.is_in_use(attachment) {
            return false;
        }
        if !self.is_index_refused(attachment) {
            let Some(since) = slot_taken_since(attachment) else { return false };
            let over = since.saturating_add(MOVED_AFTER).unwrap_or(Timestamp::MAX);
            if self.input.now < over {
                self.plan.recheck_at(over);
                return false;
            }
        }
        // A status may be older than the state on EC2.
        let Some(interfaces) = self.input.instance else {
            self.plan.needs.extend(attachment.instance.clone().map(Need::LookupInterfaces));
            return false;
        };
        let is_attached = |eni: &ObservedEni| Some(&eni.id) == attachment.eni().as_ref() && eni.attachment.is_some();
        !interfaces.enis.iter().any(is_attached)
    }

    /// Whether EC2 does not take the device index on instances of this type.
    fn is_index_refused(&self, attachment: &Attachment) -> bool {
        let (card, index) = attachment.slot();
        let kind = self.input.node.and_then(|node| node.instance_type.as_ref());
        let refused = kind.and_then(|kind| self.input.instance_type_gate.refused_index(kind, card));
        refused.is_some_and(|refused| index >= refused)
    }
}

/// Whether the ENI was never attached.
fn is_new(attachment: &Attachment) -> bool {
    attachment.status.attachment_id.is_none() && attachment.adopted.is_none() && !attachment.was_attached()
}

/// Since when EC2 has refused the Attach of this ENI because another interface is in the slot.
fn slot_taken_since(attachment: &Attachment) -> Option<Timestamp> {
    let error = attachment.status.last_error.as_ref().filter(|_| attachment.failed_call() == Some(Call::Attach))?;
    let class = classify(Call::Attach, &CallError::recorded(&error.code, &error.message));
    let since = error.at.as_ref().map_or(attachment.created, |at| at.0.max(attachment.created));
    (class == Class::SlotTaken).then_some(since)
}
