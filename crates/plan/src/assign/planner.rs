//! The planner of one Node. It borrows the input and collects the plan; each file of this folder adds the methods for one part of
//! the decision. It changes no input and makes no request.

use super::assignment::{Assignment, Removal, RemovalReason};
use super::input::Input;
use super::slot_policies::SlotPolicies;
use super::unassigned::{Unassigned, UnassignedReason};
use crate::attachment::Attachment;
use crate::lookup_failure::LookupFailure;
use crate::nodeeni::NodeEni;
use crate::observed::ObservedNode;
use jiff::{SignedDuration, Timestamp};

/// No lookup is repeated sooner than this where clocks disagree or EC2 shows nothing.
pub(super) const JUST_NOW: SignedDuration = SignedDuration::from_secs(5);

/// The decision for one Node: the input, and the plan so far.
pub(super) struct NodePlanner<'a> {
    /// The input of the decision.
    pub input: Input<'a>,
    /// All NodeENIs, the oldest first.
    pub nodeenis: &'a [&'a NodeEni],
    /// The ENIAttachments of the Node's instance.
    pub here: &'a [&'a Attachment],
    /// The plan so far.
    pub plan: Assignment,
}

impl NodePlanner<'_> {
    /// Deletes an ENIAttachment, unless it is being deleted already or cannot be read.
    pub fn remove(&mut self, attachment: &Attachment, why: RemovalReason) {
        if attachment.deleting.is_none()
            && attachment.unreadable.is_none()
            && !self.plan.delete.iter().any(|removal| removal.name == attachment.name)
        {
            self.plan.delete.push(Removal { name: attachment.name.clone(), uid: attachment.uid.clone(), why });
        }
    }

    /// Reports that a NodeENI gets nothing, or not all, on the Node.
    pub fn refuse(&mut self, node: &ObservedNode, nodeeni: &NodeEni, why: UnassignedReason) {
        let refusal = Unassigned { nodeeni_uid: nodeeni.uid.clone(), node: node.name.clone(), why };
        if !self.plan.refused.contains(&refusal) {
            self.plan.refused.push(refusal);
        }
    }

    /// The reason for a slot that a NodeENI of this name holds.
    pub fn slot_held(&self, nodeeni: &NodeEni, slot: (i32, i32), holder: &str, leaving: bool) -> UnassignedReason {
        let policy =
            |nodeeni: &NodeEni| nodeeni.spec.as_ref().map_or_else(|_| Default::default(), |spec| spec.index_policy);
        let of_holder = self.nodeenis.iter().find(|other| other.name == holder);
        let policies = SlotPolicies {
            own: policy(nodeeni),
            holder: of_holder.map_or_else(Default::default, |holder| policy(holder)),
        };
        UnassignedReason::SlotHeld { slot, holder: holder.to_owned(), leaving, policies }
    }

    /// The reason while a lookup of `what` is under way; or that it failed, once it has failed for long enough.
    pub fn lookup_pending(&mut self, failure: Option<&LookupFailure>, what: &'static str) -> UnassignedReason {
        match failure {
            Some(failure) if self.input.now >= failure.report_at() => UnassignedReason::LookupFailed(failure.clone()),
            Some(failure) => {
                self.plan.recheck_at(failure.report_at());
                UnassignedReason::LookupPending(what)
            }
            None => UnassignedReason::LookupPending(what),
        }
    }

    /// Decides again after `blocked_recheck`, because a user may change what was looked up.
    pub fn recheck_later(&mut self) {
        let at = self.input.now.saturating_add(self.input.settings.blocked_recheck).unwrap_or(Timestamp::MAX);
        self.plan.recheck_at(at);
    }
}
