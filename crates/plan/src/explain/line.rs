//! One line of the plan: one ENI of one NodeENI on one Node, or the reason why there is no ENI.

use super::{ExplainedAttachment, Input};
use crate::assign::{Assignment, NewAttachment, RemovalReason, Unassigned, UnassignedReason};
use crate::attachment::Attachment;
use crate::ec2_errors::Call;
use crate::gates::quota::QuotaGate;
use crate::lifecycle::{self, Action, CallHistory};
use crate::max_unavailable::MaxUnavailable;
use crate::nodeeni::{EniSpec, NodeEni};
use crate::observed::{AttachmentState, Observation, ObservedEni};
use crate::removals::Cause;
use crate::unconfigured;
use jiff::SignedDuration;
use multi_eni_api::ENIAttachment;
use multi_eni_api::conditions::types;
use multi_eni_api::eniattachment::Phase;
use serde::Serialize;
use std::collections::BTreeMap;

/// The kind of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum LineKind {
    /// Nothing can be done until somebody changes something.
    Blocked,
    /// An existing ENI is adopted as it is.
    Adopt,
    /// An ENI is created and attached.
    Create,
    /// An ENI is detached and deleted.
    Remove,
    /// An ENI is replaced when the rollout permits.
    Replace,
    /// An attached ENI is changed in place.
    Change,
    /// An action is under way, or waits for something that ends by itself.
    Waits,
    /// The ENI is as its spec asks.
    InPlace,
}

impl LineKind {
    /// The character that stands for the kind in text.
    pub fn sign(self) -> char {
        match self {
            Self::Blocked => '!',
            Self::Adopt => '<',
            Self::Create => '+',
            Self::Remove => '-',
            Self::Replace => '±',
            Self::Change => '~',
            Self::Waits => '…',
            Self::InPlace => '=',
        }
    }
}

/// A slot of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Slot {
    /// Network card.
    pub network_card_index: i32,
    /// Device index.
    pub device_index: i32,
}

impl Slot {
    fn at((network_card_index, device_index): (i32, i32)) -> Self {
        Self { network_card_index, device_index }
    }
}

/// One line of the plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// The Node.
    pub node: String,
    /// The slot, if the line is about one slot.
    #[serde(flatten)]
    pub slot: Option<Slot>,
    /// The kind of the line.
    pub mark: LineKind,
    /// The ENI, if there is one.
    #[serde(rename = "eniID", skip_serializing_if = "Option::is_none")]
    pub eni: Option<String>,
    /// A CamelCase reason for programs, as in conditions.
    pub reason: String,
    /// A sentence for the user.
    pub message: String,
    /// Number of EC2 calls that change something, by action.
    pub calls: BTreeMap<&'static str, u32>,
}

/// The lines that one Node's assignment gives for one NodeENI: the ENIAttachments to create, and the reasons for none.
pub(super) fn of_assignment<'a>(
    input: &'a Input<'a>,
    nodeeni: &'a NodeEni,
    assignment: &'a Assignment,
) -> impl Iterator<Item = Line> + 'a {
    let created = assignment.create.iter().filter(|new| new.spec.node_eni_uid == nodeeni.uid);
    let refused = assignment.refused.iter().filter(|refusal| refusal.nodeeni_uid == nodeeni.uid);
    let spec = nodeeni.spec.as_ref().ok();
    let made = move |new: &NewAttachment| match &new.adopts {
        Some(eni) => adopt(input, spec, new, eni),
        None if assignment.next_of_vpc_cni.contains(&new.name) => beside_vpc_cni(create(spec, new)),
        None => create(spec, new),
    };
    created.map(made).chain(refused.map(move |refusal| refuse(spec, refusal)))
}

/// An adoption: the tags come first, then the changes in place.
fn adopt(input: &Input<'_>, spec: Option<&EniSpec>, new: &NewAttachment, eni: &ObservedEni) -> Line {
    let object = ENIAttachment::new(&new.name, new.spec.clone());
    let eni_attachment = Attachment::read(&object);
    let mut tagged = eni.clone();
    tagged.tags.extend(lifecycle::tags(input.cluster, &eni_attachment));
    let call_history = CallHistory::made(tagged.shown_at);
    let changes = lifecycle::changes(&lifecycle::Input {
        cluster: input.cluster,
        attachment: &eni_attachment,
        observation: &Observation::Seen(Box::new(tagged)),
        spec,
        rivals: &[],
        node_leaving: false,
        instance: None,
        states_failure: None,
        home_shown: None,
        resync_took: SignedDuration::ZERO,
        catalog: input.catalog,
        call_history: &call_history,
        quota: &QuotaGate::default(),
        instance_type: None,
        permissions: &crate::gates::permission::PermissionGate::default(),
        subnets: &crate::gates::subnet::SubnetGate::default(),
        settings: input.settings,
        now: eni.shown_at,
    });
    let mut calls = BTreeMap::from([(Call::Tag.action(), 1)]);
    for change in &changes {
        *calls.entry(change.action()).or_default() += 1;
    }
    let then: Vec<String> = changes.iter().map(ToString::to_string).collect();
    let then = if then.is_empty() { String::new() } else { format!("; then change in place: {}", then.join("; ")) };
    Line {
        node: new.spec.node_name.clone(),
        slot: Some(Slot::at((new.spec.request.network_card_index, new.spec.request.device_index))),
        mark: LineKind::Adopt,
        eni: Some(eni.id.to_string()),
        reason: "Adopt".to_owned(),
        message: format!(
            "{}, without creating an ENI{then}",
            if new.spec.recovered { "adopt because its ENIAttachment was lost" } else { "adopt from upstream" }
        ),
        calls,
    }
}

fn create(spec: Option<&EniSpec>, new: &NewAttachment) -> Line {
    let request = &new.spec.request;
    Line {
        node: new.spec.node_name.clone(),
        slot: Some(Slot::at((request.network_card_index, request.device_index))),
        mark: LineKind::Create,
        eni: None,
        reason: "Create".to_owned(),
        message: format!(
            "create an ENI in {} ({}) and attach it",
            request.subnet_id,
            request.subnet_cidr.as_deref().unwrap_or("CIDR not known")
        ),
        calls: arrival(spec, true),
    }
}

/// Adds the warning that the AWS VPC CNI takes this index on a node where it comes first.
fn beside_vpc_cni(mut line: Line) -> Line {
    line.message.push_str(
        "; warning: the AWS VPC CNI on this node takes the lowest free device index, which is this one, and the ENI waits on each \
         node where the CNI is first: use a higher deviceIndex, or deviceIndexPolicy highestFree",
    );
    line
}

fn refuse(spec: Option<&EniSpec>, refusal: &Unassigned) -> Line {
    let why = &refusal.why;
    let slot = match why {
        UnassignedReason::SlotHeld { slot, .. }
        | UnassignedReason::SlotPinned { slot, .. }
        | UnassignedReason::SlotTaken { slot, .. } => Some(Slot::at(*slot)),
        _ => None,
    };
    let (mark, calls) = match why {
        // The new ENI takes the slot of the old one, which has a line of its own.
        UnassignedReason::Replacing | UnassignedReason::AwaitingRollout => (LineKind::Waits, arrival(spec, true)),
        why if why.is_transient() => (LineKind::Waits, BTreeMap::new()),
        _ => (LineKind::Blocked, BTreeMap::new()),
    };
    let (node, reason, message) = (refusal.node.clone(), why.reason().to_owned(), why.to_string());
    Line { node, slot, mark, eni: None, reason, message, calls }
}

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
    let (mark, reason, message, calls) = if eni_attachment.deleting.is_some() {
        let (reason, message) = reported(attachment);
        (
            if held_back(attachment) { LineKind::Blocked } else { LineKind::Remove },
            reason,
            message,
            departure(attachment),
        )
    } else if let Some(removal) = removal {
        let mark = if matches!(removal.why, RemovalReason::Replaced | RemovalReason::Surplus) {
            LineKind::Replace
        } else {
            LineKind::Remove
        };
        (mark, format!("{:?}", removal.why), because(removal.why).to_owned(), departure(attachment))
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
        let max = spec.map(|spec| spec.max_unavailable).unwrap_or_default();
        let message =
            format!("replace when the rollout permits (rollout.maxUnavailable: {})", at_once(input, nodeeni, max));
        (LineKind::Replace, "AwaitingRollout".to_owned(), message, departure(attachment))
    } else {
        standing(
            spec,
            attachment,
            assignment.is_some_and(|a| a.reconfigure.iter().any(|(name, _)| *name == eni_attachment.name)),
        )
    };
    let slot = Some(Slot::at(eni_attachment.slot()));
    Line {
        node: eni_attachment.node.clone(),
        slot,
        mark,
        eni: eni_attachment.status.eni_id.clone(),
        reason,
        message,
        calls,
    }
}

/// The value of `rollout.maxUnavailable`; for a percentage also the number of nodes.
fn at_once(input: &Input<'_>, nodeeni: Option<&NodeEni>, max: MaxUnavailable) -> String {
    match max {
        MaxUnavailable::Nodes(number) => number.to_string(),
        MaxUnavailable::Percent(_) => {
            let matched = nodeeni.map_or(0, |nodeeni| matched(input, &nodeeni.uid));
            format!("{max}, {} of {matched} nodes", max.of(matched))
        }
    }
}

/// Number of Nodes that a NodeENI matches.
pub(super) fn matched(input: &Input<'_>, uid: &str) -> usize {
    input.assignments.values().filter(|assignment| assignment.matches(uid)).count()
}

type Explanation = (LineKind, String, String, BTreeMap<&'static str, u32>);

/// The ENIAttachment stays: what is done for its ENI.
fn standing(spec: Option<&EniSpec>, attachment: &ExplainedAttachment, reconfigured: bool) -> Explanation {
    let (reason, message) = reported(attachment);
    if held_back(attachment) {
        return (LineKind::Blocked, reason, message, BTreeMap::new());
    }
    if !attachment.changes.is_empty() {
        let mut calls = BTreeMap::new();
        for change in &attachment.changes {
            *calls.entry(change.action()).or_default() += 1;
        }
        let words: Vec<String> = attachment.changes.iter().map(ToString::to_string).collect();
        return (LineKind::Change, "Change".to_owned(), format!("change in place: {}", words.join("; ")), calls);
    }
    if reconfigured {
        let message = "copy the changed node settings to the ENIAttachment".to_owned();
        return (LineKind::Change, "Configure".to_owned(), message, BTreeMap::new());
    }
    match (&attachment.step.action, &attachment.observation) {
        // The node agent has not configured its interface.
        (Action::Settled, _) if unconfigured::since(&attachment.step.status).is_some() => {
            (LineKind::Waits, reason, message, BTreeMap::new())
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

fn held_back(attachment: &ExplainedAttachment) -> bool {
    attachment.step.status.phase == Phase::Blocked
}

/// Reason and message of the condition Ready in the status that the step gives.
fn reported(attachment: &ExplainedAttachment) -> (String, String) {
    let ready = attachment.step.status.conditions.iter().find(|condition| condition.type_ == types::READY);
    ready.map_or_else(Default::default, |condition| (condition.reason.clone(), condition.message.clone()))
}

fn because(why: RemovalReason) -> &'static str {
    match why {
        RemovalReason::NodeEniDeleted => "detach and delete: its NodeENI is deleted",
        RemovalReason::Deselected => "detach and delete: the Node's labels no longer match",
        RemovalReason::NodeGone => "detach and delete: its Node is gone",
        RemovalReason::Replaced | RemovalReason::Surplus => "detach and delete: the spec no longer describes it",
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

/// The calls until an ENI is as its NodeENI asks.
fn arrival(spec: Option<&EniSpec>, create: bool) -> BTreeMap<&'static str, u32> {
    let mut calls = BTreeMap::from([(Call::Attach.action(), 1)]);
    if create {
        calls.insert(Call::Create.action(), 1);
    }
    // Neither Create nor Attach can set these attributes.
    let after = spec.map_or(0, |spec| u32::from(spec.delete_on_termination) + u32::from(!spec.source_dest_check));
    if after > 0 {
        calls.insert(Call::Modify.action(), after);
    }
    calls
}

/// The calls until EC2 has no ENI of this ENIAttachment.
fn departure(attachment: &ExplainedAttachment) -> BTreeMap<&'static str, u32> {
    let Observation::Seen(eni) = &attachment.observation else { return BTreeMap::new() };
    if held_back(attachment) && attachment.attachment.deleting.is_some() {
        return BTreeMap::new();
    }
    let detach = match eni.attachment.as_ref().map(|at| at.state) {
        Some(AttachmentState::Attached | AttachmentState::Attaching) => 1,
        Some(AttachmentState::Detaching) | None => 0,
    };
    let calls = [(Call::Detach.action(), detach), (Call::Delete.action(), 1)];
    calls.into_iter().filter(|(_, n)| *n > 0).collect()
}
