//! Decides for one Node which ENIAttachments to create, delete and mark, and why a NodeENI gets no ENI there. The input is the
//! desired and the observed state; the decision is keyed by Node because device indexes and limits belong to an instance.
//! `assign` makes no request and writes nothing. The same input always gives the same plan, and a plan that has been applied is
//! followed by a settled one.

mod adoption;
mod another_index;
mod assignment;
mod attach_refusals;
mod desired;
mod device_indexes;
mod duplicate_nodes;
mod existing_eni_request;
mod group_terms;
mod highest_free;
mod input;
mod instance_lookup;
mod limits;
mod listed_subnets;
mod new_attachment;
mod node_gone;
mod node_present;
mod nodeeni_on_node;
mod outdated;
mod planner;
mod recover;
mod replacement_check;
mod resolved;
mod slot_policies;
mod slots;
mod subnet_terms;
#[cfg(test)]
pub(crate) mod tests;
mod unassigned;
mod unassigned_sentences;
mod unattachable_eni;
mod undescribed;
mod unknown_entry;
mod vpc_cni;
mod vpc_cni_claim;
mod zone;

pub use assignment::{Assignment, GroupsWait, Need, NodeEniAssignment, Pinned, Removal, RemovalReason, WaitsForPods};
pub use attach_refusals::{AttachRefusal, AttachRefusals, InstanceAtRefusal};
pub use duplicate_nodes::DUPLICATE_NODE;
pub use input::Input;
pub use new_attachment::NewAttachment;
pub use recover::{has_nothing, may_be_adopted};
pub use slot_policies::SlotPolicies;
pub use unassigned::{INSTANCE_GONE, Unassigned, UnassignedReason, ZONE_CONTRADICTION};
pub(crate) use unassigned_sentences::LACKS_TYPE;
pub use vpc_cni_claim::VpcCniClaim;

use crate::attachment::Attachment;
use crate::nodeeni::NodeEni;
use jiff::Timestamp;
use planner::NodePlanner;

/// Decides what to create, delete and mark for one Node. `input.node` is None for a Node that is gone.
pub fn assign(input: Input<'_>) -> Assignment {
    let is_here = |attachment: &&Attachment| {
        let instance = input.node.and_then(|node| node.instance.as_ref().ok());
        attachment.instance.is_some() && attachment.instance.as_ref() == instance
    };
    let (here, elsewhere): (Vec<&Attachment>, Vec<&Attachment>) = input.attachments.iter().copied().partition(is_here);
    let nodeenis = by_age(input.nodeenis);
    let mut planner = NodePlanner { input, nodeenis: &nodeenis, here: &here, plan: Assignment::default() };
    // A Node that has the same name on another instance is another Node. Handle the ENIAttachments of the old instance as if
    // their Node were gone.
    planner.node_gone(&elsewhere);
    if let Some(node) = input.node {
        match duplicate_nodes::counts_instead(&input, node) {
            Some(counts) => planner.report_duplicate(node, counts),
            None => {
                planner.follow(node);
                planner.node_present(node);
            }
        }
    }
    planner.nodeenis_gone();
    planner.plan.write_once();
    planner.plan
}

/// Sorts the NodeENIs by creation time, the oldest first, and then by name.
fn by_age<'a>(nodeenis: &[&'a NodeEni]) -> Vec<&'a NodeEni> {
    let mut sorted: Vec<&NodeEni> = nodeenis.to_vec();
    sorted.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
    sorted
}

impl NodePlanner<'_> {
    /// Deletes the ENIAttachments whose NodeENI is being deleted or is gone, whether or not the Node exists.
    fn nodeenis_gone(&mut self) {
        let input = self.input;
        let is_live = |attachment: &&&Attachment| attachment.deleting.is_none() && attachment.unreadable.is_none();
        for attachment in input.attachments.iter().filter(is_live) {
            match input.nodeenis.iter().find(|nodeeni| nodeeni.uid == attachment.nodeeni_uid) {
                Some(nodeeni) if nodeeni.deleting => self.remove(attachment, RemovalReason::NodeEniDeleted),
                Some(_) => {}
                None => self.nodeeni_gone(attachment),
            }
        }
    }

    /// Handles an ENIAttachment whose NodeENI does not exist. The finalizer of a NodeENI normally keeps it until its
    /// ENIAttachments are gone. So either the finalizer was removed by hand, or a list did not show the NodeENI. The
    /// ENIAttachment is deleted after a grace period, and kept if the NodeENI appears again before.
    fn nodeeni_gone(&mut self, attachment: &Attachment) {
        let Some(since) = attachment.deselected_since else {
            if !self.plan.deselect.contains(&attachment.name) {
                self.plan.deselect.push(attachment.name.clone());
            }
            return;
        };
        let over = since.saturating_add(self.input.settings.node_gone_grace).unwrap_or(Timestamp::MAX);
        if self.input.now < over {
            self.plan.recheck_at(over);
        } else {
            self.remove(attachment, RemovalReason::NodeEniDeleted);
        }
    }
}
