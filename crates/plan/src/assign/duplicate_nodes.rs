//! Decides between several Nodes of one instance: a host that registered under another name, or a Node object that a user
//! created. The instance is the identity. One of its Nodes counts; the other Nodes get no ENI, remove none, and are reported on
//! the NodeENIs that select one of the Nodes and cover the instance.

use super::assignment::Assignment;
use super::input::Input;
use super::nodeeni_on_node::NodeEniOnNode;
use super::planner::NodePlanner;
use super::unassigned::UnassignedReason;
use crate::attachment::Attachment;
use crate::nodeeni::{EniSpec, NodeEni};
use crate::observed::ObservedNode;
use crate::problem::Problem;

/// Reason of the condition for a Node whose instance has another Node that counts.
pub const DUPLICATE_NODE: &str = "DuplicateNode";

/// The Node that counts instead of this one; None if this Node counts.
pub(super) fn counts_instead<'a>(input: &Input<'a>, node: &ObservedNode) -> Option<&'a ObservedNode> {
    let before = input.others.iter().copied().filter(|other| other.counts_before(node));
    before.reduce(|first, other| if other.counts_before(first) { other } else { first })
}

/// Which of the two Nodes a NodeENI selects.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Selects {
    Both,
    /// Only the Node that counts.
    Counting,
    /// Only the Node that does not count.
    Duplicate,
}

impl Selects {
    /// None: neither.
    fn of<'n>(nodeeni: &'n NodeEni, node: &ObservedNode, counts: &ObservedNode) -> Option<(Self, &'n EniSpec)> {
        match (nodeeni.spec_for(&counts.labels), nodeeni.spec_for(&node.labels)) {
            (Some(spec), Some(_)) => Some((Self::Both, spec)),
            (Some(spec), None) => Some((Self::Counting, spec)),
            (None, Some(spec)) => Some((Self::Duplicate, spec)),
            (None, None) => None,
        }
    }

    /// What follows for the ENIs of the NodeENI, after the advice to delete one of the Nodes.
    fn then(self, node: &str, counts: &str) -> String {
        match self {
            Self::Both => ": the ENIs stay attached and move to the remaining Node".to_owned(),
            Self::Counting => {
                format!(
                    ". The NodeENI selects only {counts}: give {node} the labels before you delete {counts}, to keep the ENIs"
                )
            }
            Self::Duplicate => format!(". The NodeENI selects only {node}, which gets its ENIs when {counts} is gone"),
        }
    }
}

/// Whether a NodeENI covers the instance of the two Nodes.
enum Coverage {
    Covered,
    NotCovered,
    /// It is known when a lookup has ended.
    Pending(UnassignedReason),
}

impl NodePlanner<'_> {
    /// Reports on each NodeENI that selects either Node and covers their instance which of the two counts, and why.
    pub(super) fn report_duplicate(&mut self, node: &ObservedNode, counts: &ObservedNode) {
        let why =
            if node.deleting && !counts.deleting { "the other Node is being deleted" } else { "it is the older Node" };
        let instance = node.instance.as_ref().map(ToString::to_string).unwrap_or_default();
        let (counting, duplicate) = (&counts.name, &node.name);
        for nodeeni in self.nodeenis.iter().copied() {
            let Some((selects, spec)) = Selects::of(nodeeni, node, counts) else { continue };
            match self.coverage(counts, nodeeni, spec) {
                Coverage::Covered => {
                    let message = format!(
                        "Nodes {counting} and {duplicate} have the same instance {instance}: {counting} counts, because {why}; \
                         {duplicate} gets no ENI. Delete the Node that no kubelet reports for{}",
                        selects.then(duplicate, counting)
                    );
                    let problem = Problem { reason: DUPLICATE_NODE, message, node: Some(node.name.clone()) };
                    self.plan.problems.push((nodeeni.uid.clone(), problem));
                }
                // The Node that counts has the same reason.
                Coverage::Pending(_) if selects == Selects::Counting => {}
                Coverage::Pending(why) => {
                    self.plan.matched.push(nodeeni.uid.clone());
                    self.plan.desired.push((nodeeni.uid.clone(), 1));
                    self.refuse(node, nodeeni, why);
                }
                Coverage::NotCovered => {}
            }
        }
    }

    /// Whether the NodeENI covers the instance, by the Node that counts. Of that decision only the lookups are kept.
    fn coverage(&mut self, counts: &ObservedNode, nodeeni: &NodeEni, spec: &EniSpec) -> Coverage {
        let mine: Vec<&Attachment> =
            self.here.iter().copied().filter(|attachment| attachment.nodeeni_uid == nodeeni.uid).collect();
        let (input, nodeenis, here) = (self.input, self.nodeenis, self.here);
        let mut trial = NodePlanner { input, nodeenis, here, plan: Assignment::default() };
        let subnets = trial.subnets_of(NodeEniOnNode { node: counts, nodeeni, spec, mine: &mine });
        let subnets = subnets.map(|subnets| subnets.len());
        let Assignment { needs, recheck, .. } = trial.plan;
        self.plan.needs.extend(needs);
        if let Some(at) = recheck {
            self.plan.recheck_at(at);
        }
        match subnets {
            Err(why) if why.is_not_covered() => Coverage::NotCovered,
            Err(why) if mine.is_empty() && (why.is_transient() || matches!(why, UnassignedReason::LookupFailed(_))) => {
                Coverage::Pending(why)
            }
            // The NodeENI has an ENI there, or a user has to correct it before more is known.
            Ok(_) | Err(_) => Coverage::Covered,
        }
    }

    /// Moves to this Node the ENIAttachments of the instance that carry another Node's name.
    pub(super) fn follow(&mut self, node: &ObservedNode) {
        let is_live = |attachment: &&&Attachment| attachment.deleting.is_none() && attachment.unreadable.is_none();
        let elsewhere = self.here.iter().filter(is_live).filter(|attachment| attachment.node != node.name);
        self.plan.follow.extend(elsewhere.map(|attachment| attachment.name.clone()));
    }
}
