//! The line of an ENIAttachment that exists: what is done with its ENI, and why.

use super::calls::{Calls, arrival, departure};
use super::line::{Line, LineKind, Slot};
use super::outdated::{self, Outdated};
use super::{ExplainedAttachment, Input, groups_wait, unconfirmed};
use crate::assign::{RemovalReason, UnassignedReason};
use crate::attachment::Attachment;
use crate::counted::counted;
use crate::device_return::RETURNING;
use crate::failure::Failure;
use crate::lifecycle::{Action, Change};
use crate::max_unavailable::MaxUnavailable;
use crate::nodeeni::{EniSpec, NodeEni};
use crate::observed::Observation;
use crate::removals::Cause;
use crate::unconfigured;
use jiff::Timestamp;
use multi_eni_api::conditions::types;
use multi_eni_api::eniattachment::Phase;
use std::collections::BTreeMap;

/// The line of an existing ENIAttachment.
pub(super) fn of_attachment(input: &Input<'_>, nodeeni: Option<&NodeEni>, attachment: &ExplainedAttachment) -> Line {
    let eni_attachment = &attachment.attachment;
    let spec = nodeeni.and_then(|nodeeni| nodeeni.spec.as_ref().ok());
    // If the ENIAttachment follows its instance to another Node, the assignment of that Node decides.
    let followed = input.assignments.values().find(|last| last.follow.contains(&eni_attachment.name));
    let assignment = followed.or_else(|| input.assignments.get(&eni_attachment.node));
    let removal = assignment.and_then(|a| a.delete.iter().find(|removal| removal.name == eni_attachment.name));
    let marked = assignment.is_some_and(|a| a.deselect.contains(&eni_attachment.name));
    let waits = assignment.and_then(|a| a.waiting.iter().find(|waits| waits.name == eni_attachment.name));
    let (mark, reason, message, calls) = if let Some(device) = &attachment.step.device_return {
        (LineKind::Waits, RETURNING.to_owned(), device.to_string(), departure(attachment))
    } else if eni_attachment.deleting.is_some() {
        let (reason, message) = reported(attachment);
        (
            if attachment.is_blocked() { LineKind::Blocked } else { LineKind::Remove },
            reason,
            message,
            departure(attachment),
        )
    } else if let Some(removal) = removal {
        let mark = if removal.why == RemovalReason::Replaced { LineKind::Replace } else { LineKind::Remove };
        (mark, word(removal.why).to_owned(), because(removal.why).to_owned(), departure(attachment))
    } else if let Some(waits) = waits {
        let whom = waits
            .pods
            .as_ref()
            .map_or_else(|| "all pods have been listed".to_owned(), |pods| format!("{} ended", pods.join(", ")));
        (
            LineKind::Waits,
            "WaitingForPods".to_owned(),
            format!("no longer asked for, and kept until {whom}"),
            departure(attachment),
        )
    } else if let Some(cause) =
        assignment.and_then(|a| a.losing.values().find_map(|names| names.get(&eni_attachment.name)))
    {
        (LineKind::Remove, "RemovalPaced".to_owned(), paced(*cause), departure(attachment))
    } else if marked
        || eni_attachment.deselected_since.is_some()
            && !assignment.is_some_and(|a| a.reselect.contains(&eni_attachment.name))
    {
        (LineKind::Remove, "Deselected".to_owned(), deselected(input, &eni_attachment.node), departure(attachment))
    } else if assignment.is_some_and(|a| a.outdated.values().any(|names| names.contains(&eni_attachment.name))) {
        let message = format!("replace when the rollout permits (rollout.maxUnavailable: {})", at_once(input, nodeeni));
        (LineKind::Replace, "AwaitingRollout".to_owned(), message, departure(attachment))
    } else {
        let is_reconfigured =
            assignment.is_some_and(|a| a.reconfigure.iter().any(|(name, _)| *name == eni_attachment.name));
        let outdated = assignment
            .zip(nodeeni)
            .and_then(|(assignment, nodeeni)| outdated::outdated(input.catalog, assignment, nodeeni, eni_attachment));
        match outdated {
            Some(outdated) if !attachment.is_blocked() => staying(input, nodeeni, attachment, &outdated),
            _ => {
                let groups = spec
                    .zip(assignment)
                    .and_then(|(spec, assignment)| groups_wait::of_attachment(input, spec, assignment, attachment));
                standing(spec, attachment, (is_reconfigured, groups), input.now)
            }
        }
    };
    let slot = Some(Slot::at(eni_attachment.slot()));
    Line {
        node: eni_attachment.node.clone(),
        slot,
        mark,
        eni: eni_attachment.status.eni_id.clone(),
        reason,
        message,
        vpc_cni: None,
        is_uncovered: false,
        calls,
    }
}

/// The value of `rollout.maxUnavailable`; for a percentage also the number of nodes.
fn at_once(input: &Input<'_>, nodeeni: Option<&NodeEni>) -> String {
    let spec = nodeeni.and_then(|nodeeni| nodeeni.spec.as_ref().ok());
    match spec.map(|spec| spec.max_unavailable).unwrap_or_default() {
        MaxUnavailable::Nodes(number) => number.to_string(),
        max @ MaxUnavailable::Percent(_) => {
            let matched = nodeeni.map_or(0, |nodeeni| input.matched(&nodeeni.uid));
            format!("{max}, {} of {}", max.of(matched), counted(matched, "node"))
        }
    }
}

type Explanation = (LineKind, String, String, Calls);

/// The spec no longer describes the ENI, and the ENI stays for now: until when, and what follows.
fn staying(
    input: &Input<'_>,
    nodeeni: Option<&NodeEni>,
    attachment: &ExplainedAttachment,
    outdated: &Outdated<'_>,
) -> Explanation {
    let spec = nodeeni.and_then(|nodeeni| nodeeni.spec.as_ref().ok());
    let eni_attachment = &attachment.attachment;
    let forecast = outdated.reasons.iter().find_map(|why| match (why, spec) {
        (UnassignedReason::SubnetUnconfirmed { subnet, .. }, Some(spec))
            if subnet.as_str() == eni_attachment.request.subnet_id =>
        {
            unconfirmed::forecast(input.catalog, spec, subnet)
        }
        _ => None,
    });
    if let Some(forecast) = forecast {
        let mark = if forecast.is_replaced() { LineKind::Replace } else { LineKind::Remove };
        let message = forecast.steps(&eni_attachment.request.subnet_id, &at_once(input, nodeeni));
        return (mark, "Outdated".to_owned(), message, departure(attachment));
    }
    let what = format!("outdated: the spec changed, and {}", outdated.differences.join(", and "));
    let changes = in_place(attachment);
    let (mark, message, calls) = match (outdated.obstacle(), outdated.reasons.first()) {
        (Some(why), _) => (
            LineKind::Blocked,
            format!(
                "{what}; the ENI stays until the cause of {} is removed, and is replaced or removed then",
                why.reason()
            ),
            changes,
        ),
        (None, Some(why)) => (
            LineKind::Waits,
            format!("{what}; the ENI stays while {} stands, and is replaced or removed then", why.reason()),
            changes,
        ),
        // The node loses other ENIs of the NodeENI first.
        (None, None) if outdated.has_successor => {
            let calls = departure(attachment).into_iter().chain(arrival(spec, true)).collect();
            (LineKind::Replace, format!("{what}; it is replaced when the removals before it are done"), calls)
        }
        (None, None) => (
            LineKind::Remove,
            format!("{what}; it is removed when the removals before it are done"),
            departure(attachment),
        ),
    };
    (mark, "Outdated".to_owned(), message, calls)
}

/// One call for each change in place that the ENI needs.
fn in_place(attachment: &ExplainedAttachment) -> Calls {
    let mut calls = Calls::new();
    for change in &attachment.changes {
        *calls.entry(change.action()).or_default() += 1;
    }
    calls
}

/// The ENIAttachment stays: what is done for its ENI. `groups`: a change of its groups that waits for EC2's answers.
fn standing(
    spec: Option<&EniSpec>,
    attachment: &ExplainedAttachment,
    (reconfigured, groups): (bool, Option<(Change, String)>),
    now: Timestamp,
) -> Explanation {
    let (reason, message) = reported(attachment);
    if attachment.is_blocked() {
        return (LineKind::Blocked, reason, message, BTreeMap::new());
    }
    if needs_a_person(attachment) {
        // Ready keeps its own reason; the condition Attached has that of the failure.
        let (reason, message) = said(attachment, types::ATTACHED);
        return (LineKind::Blocked, reason, message, BTreeMap::new());
    }
    if !attachment.changes.is_empty() || groups.is_some() {
        let mut calls = in_place(attachment);
        let mut words: Vec<String> = attachment.changes.iter().map(ToString::to_string).collect();
        if let Some((change, sentence)) = groups {
            *calls.entry(change.action()).or_default() += 1;
            words.push(sentence);
        }
        let message = format!("change in place: {}", words.join("; "));
        return (LineKind::Change, "Change".to_owned(), message, calls);
    }
    if reconfigured {
        let message = "copy the changed node settings to the ENIAttachment".to_owned();
        return (LineKind::Change, "Configure".to_owned(), message, BTreeMap::new());
    }
    match (&attachment.step.action, &attachment.observation) {
        // The node agent has not configured its interface.
        (Action::Settled, _) if unconfigured::since(&attachment.step.status).is_some() => {
            let is_for_a_person = unconfigured::needs_a_person(&attachment.step.status, now);
            (if is_for_a_person { LineKind::Blocked } else { LineKind::Waits }, reason, message, BTreeMap::new())
        }
        (Action::Settled, _) => (LineKind::InPlace, reason, message, BTreeMap::new()),
        (_, Observation::Seen(eni)) if eni.attachment.is_none() => {
            (LineKind::Waits, reason, message, arrival(spec, false))
        }
        (_, Observation::Absent { .. }) if attachment.attachment.eni().is_none() => {
            (LineKind::Waits, reason, message, arrival(spec, true))
        }
        _ => (LineKind::Waits, reason, message, BTreeMap::new()),
    }
}

/// Whether a change in place of an ENI in use was refused with an answer that does not change by itself. Such an ENI keeps its phase.
fn needs_a_person(attachment: &ExplainedAttachment) -> bool {
    if attachment.step.status.phase != Phase::Attached {
        return false;
    }
    let eni_attachment = Attachment { status: attachment.step.status.clone(), ..attachment.attachment.clone() };
    let since = eni_attachment.created;
    Failure::recorded(&eni_attachment, since).is_some_and(|failure| failure.needs_a_person())
}

/// Reason and message of the condition Ready in the status that the step gives.
fn reported(attachment: &ExplainedAttachment) -> (String, String) {
    said(attachment, types::READY)
}

/// Reason and message of this condition in the status that the step gives.
fn said(attachment: &ExplainedAttachment, condition: &str) -> (String, String) {
    let found = attachment.step.status.conditions.iter().find(|found| found.type_ == condition);
    found.map_or_else(Default::default, |found| (found.reason.clone(), found.message.clone()))
}

/// The reason of the line.
fn word(why: RemovalReason) -> &'static str {
    match why {
        RemovalReason::NodeEniDeleted => "NodeEniDeleted",
        RemovalReason::Deselected => "Deselected",
        RemovalReason::NodeGone => "NodeGone",
        RemovalReason::Replaced => "Replaced",
        RemovalReason::Surplus => "Surplus",
        RemovalReason::Unattachable => "Unattachable",
        RemovalReason::Recycled => "Recycled",
    }
}

fn because(why: RemovalReason) -> &'static str {
    match why {
        RemovalReason::NodeEniDeleted => "detach and delete: its NodeENI is deleted",
        RemovalReason::Deselected => "detach and delete: the Node's labels no longer match",
        RemovalReason::NodeGone => "detach and delete: its Node is gone",
        RemovalReason::Replaced => {
            "replace: detach and delete it, then create and attach an ENI as the spec describes it"
        }
        RemovalReason::Surplus => "detach and delete: the spec no longer asks for it",
        RemovalReason::Unattachable => "delete: EC2 has refused to attach it for too long",
        RemovalReason::Recycled => "delete the ENIAttachment: its ENI is gone from EC2",
    }
}

fn paced(cause: Cause) -> String {
    let why = match cause {
        Cause::Deselected => "the Node's labels no longer match",
        Cause::Edited => "the spec no longer describes it",
    };
    format!("detach and delete when the removal pace permits (rollout.maxRemovals): {why}")
}

fn deselected(input: &Input<'_>, node: &str) -> String {
    let there = input.nodes.iter().any(|observed_subnet| observed_subnet.name == node);
    if there {
        let grace = input.settings.label_grace;
        format!("detach and delete, unless the labels match again within {grace:#}: the Node's labels no longer match")
    } else {
        let grace = input.settings.node_gone_grace;
        format!("detach and delete, at once if the instance is gone, and after {grace:#} if it runs: its Node is gone")
    }
}
