//! `assign`: the plan for one Node, from the desired and the observed state.
//!
//! Keyed by Node, since device indexes and limits belong to an instance. Pure and deterministic: the same input gives the same plan.
//! Once a plan has been applied, the next one is settled.

mod adoption;
mod assignment;
mod attach_refused;
mod desired;
mod duplicates;
mod input;
mod instance_lookup;
mod limits;
mod new_attachment;
mod next_place;
mod node_gone;
mod node_present;
mod outdated;
mod place;
mod planner;
mod recover;
mod resolved;
mod slots;
#[cfg(test)]
pub(crate) mod tests;
mod unassigned;
mod unattachable;

pub use assignment::{Assignment, Need, Pinned, Removal, RemovalReason, Share, WaitsForPods};
pub use attach_refused::{AttachRefusals, AttachRefused, InstanceAtRefusal};
pub use duplicates::DUPLICATE_NODE;
pub use input::Input;
pub use new_attachment::NewAttachment;
pub use recover::{has_nothing, may_be_adopted};
pub use unassigned::{INSTANCE_GONE, Unassigned, UnassignedReason, ZONE_CONTRADICTION};

use crate::attachment::Attachment;
use crate::nodeeni::NodeEni;
use jiff::Timestamp;
use planner::NodePlanner;

/// Decides for one Node.
pub fn assign(input: Input<'_>) -> Assignment {
    let is_here = |attachment: &&Attachment| {
        let instance = input.node.and_then(|node| node.instance.as_ref().ok());
        attachment.instance.is_some() && attachment.instance.as_ref() == instance
    };
    let (here, elsewhere): (Vec<&Attachment>, Vec<&Attachment>) = input.attachments.iter().copied().partition(is_here);
    let nodeenis = by_age(input.nodeenis);
    let mut planner = NodePlanner { input, nodeenis: &nodeenis, here: &here, plan: Assignment::default() };
    // The same name on another instance is another Node: the ENIAttachments of the old instance go as if their Node were gone.
    planner.node_gone(&elsewhere);
    if let Some(node) = input.node {
        match duplicates::counts_instead(&input, node) {
            Some(counts) => planner.report_duplicate(node, counts),
            None => {
                planner.follow(node);
                planner.node_present(node);
            }
        }
    }
    planner.nodeenis_gone();
    planner.plan
}

/// Age decides, then name.
fn by_age<'a>(nodeenis: &[&'a NodeEni]) -> Vec<&'a NodeEni> {
    let mut sorted: Vec<&NodeEni> = nodeenis.to_vec();
    sorted.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
    sorted
}

impl NodePlanner<'_> {
    /// Without its NodeENI an ENIAttachment goes, whatever the Node does.
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

    /// Its finalizer keeps a NodeENI until its ENIAttachments are gone. A NodeENI that is not there all the same lost its finalizer, or
    /// a list did not show it. So its ENIs go after a grace period, and stay if the NodeENI is there again by then.
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
