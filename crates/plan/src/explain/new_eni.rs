//! The lines of one Node for the ENIs that a NodeENI does not have there: those that are created or adopted, and the reasons for none.

use super::calls::arrival;
use super::line::{Line, LineKind, Slot};
use super::{Input, unconfirmed};
use crate::assign::{Assignment, NewAttachment, Unassigned, UnassignedReason, VpcCniClaim};
use crate::attachment::Attachment;
use crate::ec2_errors::Call;
use crate::gates::quota::QuotaGate;
use crate::lifecycle::{self, CallHistory};
use crate::nodeeni::{EniSpec, NodeEni};
use crate::observed::{Observation, ObservedEni};
use crate::problem::Problem;
use jiff::SignedDuration;
use multi_eni_api::ENIAttachment;
use std::collections::BTreeMap;

/// The lines that one Node's assignment gives for one NodeENI: the ENIAttachments to create, the reasons for none, and what else is
/// wrong with the NodeENI there.
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
        None => create(spec, new, assignment.beside_vpc_cni.get(&new.name).copied()),
    };
    let problems =
        assignment.problems.iter().filter(|(uid, _)| *uid == nodeeni.uid).map(|(_, problem)| report(problem));
    created.map(made).chain(refused.map(move |refusal| refuse(input, spec, refusal))).chain(problems)
}

/// A problem of the NodeENI, or of the NodeENI on the Node, that does not keep it from its ENI there.
fn report(problem: &Problem) -> Line {
    Line {
        node: problem.node.clone().unwrap_or_default(),
        slot: None,
        mark: LineKind::Blocked,
        eni: None,
        reason: problem.reason.to_owned(),
        message: problem.message.clone(),
        vpc_cni: None,
        is_uncovered: false,
        calls: BTreeMap::new(),
    }
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
        node: None,
        boot_ids: &[],
        instance: None,
        states_failure: None,
        report_outdated_since: None,
        home_shown: None,
        resync_took: SignedDuration::ZERO,
        catalog: input.catalog,
        agreement: lifecycle::Agreement::default(),
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
        vpc_cni: None,
        is_uncovered: false,
        calls,
    }
}

fn create(spec: Option<&EniSpec>, new: &NewAttachment, vpc_cni: Option<VpcCniClaim>) -> Line {
    let request = &new.spec.request;
    // Of an index that the CNI takes later the text says it once for all Nodes.
    let warning = match vpc_cni {
        Some(VpcCniClaim::Next) => NEXT_OF_VPC_CNI,
        Some(VpcCniClaim::Later { .. }) | None => "",
    };
    Line {
        node: new.spec.node_name.clone(),
        slot: Some(Slot::at((request.network_card_index, request.device_index))),
        mark: LineKind::Create,
        eni: None,
        reason: "Create".to_owned(),
        message: format!(
            "create an ENI in {} ({}) and attach it{warning}",
            request.subnet_id,
            request.subnet_cidr.as_deref().unwrap_or("CIDR not known")
        ),
        vpc_cni,
        is_uncovered: false,
        calls: arrival(spec, true),
    }
}

/// The warning that the AWS VPC CNI takes this index on a node where it comes first.
const NEXT_OF_VPC_CNI: &str = "; warning: the AWS VPC CNI on this node takes the lowest free device index, which is this one, and the \
     ENI waits on each node where the CNI is first: use a higher deviceIndex, or deviceIndexPolicy highestFree";

fn refuse(input: &Input<'_>, spec: Option<&EniSpec>, refusal: &Unassigned) -> Line {
    let why = &refusal.why;
    let slot = match why {
        UnassignedReason::SlotHeld { slot, .. }
        | UnassignedReason::SlotPinned { slot, .. }
        | UnassignedReason::SlotTaken { slot, .. } => Some(Slot::at(*slot)),
        _ => None,
    };
    let (node, reason, mut message) = (refusal.node.clone(), why.reason().to_owned(), why.sentence(input.now));
    let (mark, calls) = match why {
        // The new ENI takes the slot of the old one, which has a line of its own.
        UnassignedReason::Replacing | UnassignedReason::AwaitingRollout => (LineKind::Waits, arrival(spec, true)),
        UnassignedReason::SubnetUnconfirmed { subnet, .. } => {
            let forecast = spec.and_then(|spec| unconfirmed::forecast(input.catalog, spec, subnet));
            message = format!(
                "no term of subnetSelectorTerms matches {subnet}, the subnet of the node's ENI: the ENI stays until {}",
                unconfirmed::confirmed(subnet.as_str())
            );
            message.extend(forecast.as_ref().map(|forecast| format!("; {}", forecast.then())));
            let comes = forecast.is_some_and(|forecast| forecast.is_replaced());
            (LineKind::Waits, if comes { arrival(spec, true) } else { BTreeMap::new() })
        }
        why if why.is_transient() => (LineKind::Waits, BTreeMap::new()),
        _ => (LineKind::Blocked, BTreeMap::new()),
    };
    Line { node, slot, mark, eni: None, reason, message, vpc_cni: None, is_uncovered: why.is_not_covered(), calls }
}
