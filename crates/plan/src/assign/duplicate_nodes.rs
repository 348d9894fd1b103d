//! Decides between several Nodes of one instance: a host that registered under another name, or a Node object that a user
//! created. The instance is the identity. One of its Nodes counts; the other Nodes get no ENI, remove none, and are reported on
//! the NodeENIs.

use super::input::Input;
use super::planner::NodePlanner;
use crate::attachment::Attachment;
use crate::observed::ObservedNode;
use crate::problem::Problem;

/// Reason of the condition for a Node whose instance has another Node that counts.
pub const DUPLICATE_NODE: &str = "DuplicateNode";

/// The Node that counts instead of this one; None if this Node counts.
pub(super) fn counts_instead<'a>(input: &Input<'a>, node: &ObservedNode) -> Option<&'a ObservedNode> {
    let before = input.others.iter().copied().filter(|other| other.counts_before(node));
    before.reduce(|first, other| if other.counts_before(first) { other } else { first })
}

impl NodePlanner<'_> {
    /// Reports on each NodeENI that selects either Node which of the two counts, and why.
    pub(super) fn report_duplicate(&mut self, node: &ObservedNode, counts: &ObservedNode) {
        let input = self.input;
        let instance = node.instance.as_ref().map(ToString::to_string).unwrap_or_default();
        let why =
            if node.deleting && !counts.deleting { "the other Node is being deleted" } else { "it is the older Node" };
        let message = format!(
            "Nodes {} and {} have the same instance {instance}: {} counts, because {why}; {} gets no ENI. Delete the Node that \
         no kubelet reports for: the ENIs stay attached and move to the remaining Node",
            counts.name, node.name, counts.name, node.name
        );
        let concerned = input
            .nodeenis
            .iter()
            .filter(|nodeeni| nodeeni.spec_for(&node.labels).is_some() || nodeeni.spec_for(&counts.labels).is_some());
        for nodeeni in concerned {
            let problem = Problem { reason: DUPLICATE_NODE, message: message.clone(), node: Some(node.name.clone()) };
            self.plan.problems.push((nodeeni.uid.clone(), problem));
        }
    }

    /// Moves to this Node the ENIAttachments of the instance that carry another Node's name.
    pub(super) fn follow(&mut self, node: &ObservedNode) {
        let is_live = |attachment: &&&Attachment| attachment.deleting.is_none() && attachment.unreadable.is_none();
        let elsewhere = self.here.iter().filter(is_live).filter(|attachment| attachment.node != node.name);
        self.plan.follow.extend(elsewhere.map(|attachment| attachment.name.clone()));
    }
}
