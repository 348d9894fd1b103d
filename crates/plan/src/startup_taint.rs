//! Decides for one Node whether it keeps its startup taint, with which Pods wait for its ENIs. The taint goes when all ENIs of the Node
//! are Ready, or when no NodeENI wants one there. It is given the decision of `assign` for the same Node. It writes nothing.

use crate::assign::{Assignment, DUPLICATE_NODE, Unassigned};
use crate::attachment::Attachment;
use crate::nodeeni::NodeEni;
use crate::observed::ObservedNode;
use crate::unconfigured;
use jiff::Timestamp;
use multi_eni_api::conditions::{is_true, types};
use multi_eni_api::eniattachment::Phase;

/// What the decision depends on.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The Node.
    pub node: &'a ObservedNode,
    /// The decision of `assign` for the Node.
    pub assignment: &'a Assignment,
    /// The ENIAttachments that are decided under the Node.
    pub attachments: &'a [&'a Attachment],
    /// All NodeENIs.
    pub nodeenis: &'a [&'a NodeEni],
    /// Whether EC2 shows the ENI of an ENIAttachment as attached. The status of the ENIAttachment may be an earlier process's.
    pub is_attached: &'a dyn Fn(&Attachment) -> bool,
    /// Now.
    pub now: Timestamp,
}

/// What happens to the startup taint of a Node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The Node has none, or is being deleted.
    Nothing,
    /// The taints at these places of `spec.taints` go.
    Remove(Vec<usize>),
    /// The taint stays.
    Keep {
        /// What a user must look at, if the wait does not end by itself.
        failing: Option<Failing>,
        /// When to decide again, if nothing changes before.
        recheck: Option<Timestamp>,
    },
}

/// Why the taint stays until a user acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// CamelCase reason, as in a condition.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

/// Decides about the startup taint of one Node.
pub fn decide(input: &Input<'_>) -> Decision {
    let node = input.node;
    if node.startup_taints.is_empty() || node.deleting {
        return Decision::Nothing;
    }
    if let Some(waits) = waits(input) {
        return Decision::Keep { failing: waits.failing, recheck: waits.until };
    }
    // NodeENIs may select the Node by labels that are still to come, whether or not others have their ENIs there.
    match node.awaits_labels_until(input.now) {
        Some(until) => Decision::Keep { failing: None, recheck: Some(until).filter(|until| *until < Timestamp::MAX) },
        None => Decision::Remove(node.startup_taints.clone()),
    }
}

/// The Node waits for an ENI.
struct Waits {
    failing: Option<Failing>,
    until: Option<Timestamp>,
}

/// What the Node waits for. A reason that does not end by itself comes before the others.
fn waits(input: &Input<'_>) -> Option<Waits> {
    let Input { node, assignment, attachments, now, .. } = *input;
    let problems = assignment.problems.iter().map(|(_, problem)| problem);
    let mut here = problems.filter(|problem| problem.node.as_ref() == Some(&node.name));
    if let Some(problem) = here.find(|problem| problem.reason == DUPLICATE_NODE) {
        let failing = Failing { reason: problem.reason.to_owned(), message: problem.message.clone() };
        return Some(Waits { failing: Some(failing), until: None });
    }
    let is_leaving = |attachment: &Attachment| {
        let is_removed = assignment.delete.iter().any(|removal| removal.name == attachment.name);
        attachment.deleting.is_some() || attachment.deselected_since.is_some() || is_removed
    };
    let staying: Vec<&Attachment> = attachments.iter().copied().filter(|attachment| !is_leaving(attachment)).collect();
    let (ready, others): (Vec<&Attachment>, Vec<&Attachment>) =
        staying.into_iter().partition(|attachment| is_ready(input, attachment));
    // While a lookup is open, the number of ENIs that a NodeENI wants is not known.
    let is_open =
        |uid: &String| assignment.refused.iter().any(|refusal| refusal.nodeeni_uid == *uid && refusal.why.awaits_ec2());
    let missing: Vec<&String> = assignment
        .matched
        .iter()
        .filter(|uid| {
            let here = ready.iter().filter(|attachment| attachment.nodeeni_uid == **uid).count();
            here < assignment.of_nodeeni(uid).awaited() || is_open(uid)
        })
        .collect();
    if others.is_empty() && missing.is_empty() {
        return None;
    }
    let of_attachments = others.iter().find_map(|attachment| failure(attachment, now));
    let of_nodeenis = || {
        let standing = |refusal: &&Unassigned| !refusal.why.is_transient() && !refusal.why.is_not_covered();
        let mut refused = assignment.refused.iter().filter(|refusal| missing.contains(&&refusal.nodeeni_uid));
        refused.find(standing).map(|refusal| refused_by(input, refusal))
    };
    let until =
        others.iter().filter_map(|attachment| unconfigured::overdue_at(attachment)).filter(|at| *at > now).min();
    Some(Waits { failing: of_attachments.or_else(of_nodeenis), until })
}

/// Whether Pods can use the ENI: the status says so, and EC2 shows it now. Before the first resync of a process EC2 shows nothing.
fn is_ready(input: &Input<'_>, attachment: &Attachment) -> bool {
    is_true(&attachment.status.conditions, types::READY) && (input.is_attached)(attachment)
}

/// What the ENIAttachment says, if a user must look at it.
fn failure(attachment: &Attachment, now: Timestamp) -> Option<Failing> {
    if let Some(error) = &attachment.unreadable {
        let message = format!("ENIAttachment {} cannot be parsed: {error}", attachment.name);
        return Some(Failing { reason: "ENIAttachmentUnreadable".to_owned(), message });
    }
    let is_failing = attachment.status.phase == Phase::Blocked || unconfigured::is_overdue(attachment, now);
    let ready = attachment.status.conditions.iter().find(|condition| condition.type_ == types::READY);
    ready.filter(|ready| is_failing && ready.status != "True").map(|ready| Failing {
        reason: ready.reason.clone(),
        message: format!("ENIAttachment {}: {}", attachment.name, ready.message),
    })
}

fn refused_by(input: &Input<'_>, refusal: &Unassigned) -> Failing {
    let nodeeni = input.nodeenis.iter().find(|nodeeni| nodeeni.uid == refusal.nodeeni_uid);
    let name = nodeeni.map_or(refusal.nodeeni_uid.as_str(), |nodeeni| nodeeni.name.as_str());
    let message = format!("NodeENI {name}: {}", refusal.why.sentence(input.now));
    Failing { reason: refusal.why.reason().to_owned(), message }
}

#[cfg(test)]
mod tests;
