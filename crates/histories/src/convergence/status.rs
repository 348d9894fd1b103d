//! Checks that the statuses are true: the status of each ENIAttachment, and the status of each NodeENI.

use super::missing::missing;
use crate::checker::model::{ModelAttachment, ModelNodeEni};
use crate::checker::{Invariant, State};
use crate::expected::{DesiredPlaces, desired_places, keeps_its_groups};
use crate::network_cards::is_beyond_its_card;
use crate::node_selection::selects;
use crate::script::Placement;
use multi_eni_api::NodeEniStatus;
use multi_eni_api::conditions::{is_true, types};
use multi_eni_api::eniattachment::Phase;
use std::collections::BTreeSet;

type Problem = (Invariant, String);

pub(super) fn problems(state: &State) -> Vec<Problem> {
    let attachment = state.model.attachments.values().filter_map(|attachment| of_attachment(state, attachment));
    let nodeenis = state.model.nodeenis.iter().filter_map(|(name, nodeeni)| of_nodeeni(state, name, nodeeni));
    attachment.chain(nodeenis).map(|how| (Invariant::StatusTrue, how)).collect()
}

fn of_attachment(state: &State, model_attachment: &ModelAttachment) -> Option<String> {
    let attachment = &model_attachment.attachment;
    let (name, status) = (&attachment.name, &attachment.status);
    let ready = is_true(&status.conditions, types::READY);
    let Some(eni) = state.model.in_place(attachment) else {
        let explained = status.conditions.iter().any(|c| c.type_ == types::READY && !c.message.is_empty());
        if ready {
            return Some(format!("{name} says Ready, and its ENI is not attached"));
        }
        return (!explained).then(|| format!("{name} is not ready and does not say why"));
    };
    let at = eni.current.attachment.as_ref().map(|at| at.id.as_str());
    if !ready || status.phase != Phase::Attached {
        return Some(format!("{name} is attached and says {:?}, Ready={ready}", status.phase));
    }
    if status.eni_id.as_deref() != Some(eni.current.id.as_str()) || status.attachment_id.as_deref() != at {
        return Some(format!(
            "{name} says ENI {:?}, attachment {:?}, and has {} {at:?}",
            status.eni_id, status.attachment_id, eni.current.id
        ));
    }
    if let Some(old) = status.conditions.iter().find(|c| c.observed_generation != attachment.generation) {
        return Some(format!(
            "{name} has generation {:?}, and its condition {} says observedGeneration {:?}",
            attachment.generation, old.type_, old.observed_generation
        ));
    }
    let current = &eni.current;
    let has_addresses = status.private_ips == current.private_ips
        && status.ipv4_prefixes == current.ipv4_prefixes
        && status.ipv6_addresses == current.ipv6.addresses
        && status.ipv6_prefixes == current.ipv6.prefixes;
    if status.mac_address.as_deref() != Some(current.mac.as_str()) || !has_addresses {
        return Some(format!("{name} does not say the MAC and IP addresses of {}", eni.current.id));
    }
    let nodeeni = state.model.nodeenis.values().find(|nodeeni| nodeeni.uid == attachment.nodeeni_uid);
    let spec = nodeeni.and_then(|nodeeni| nodeeni.spec.as_ref());
    if spec.is_some_and(|spec| keeps_its_groups(eni, spec, &state.subnets)) {
        let is_said = status.last_error.is_some();
        return (!is_said).then(|| format!("{name} cannot have the groups of its NodeENI, and does not say that"));
    }
    status
        .last_error
        .as_ref()
        .map(|error| format!("{name} is attached and still says {}: {}", error.code, error.message))
}

/// Whether a node may be on the Outpost, and the NodeENI asks for a network card or a device index that its instance does not have. The
/// controller says that without a lookup of the instance, which would show the Outpost.
fn is_refused_before_a_lookup(state: &State, nodeeni: &ModelNodeEni) -> bool {
    let has_outpost = state.subnets.iter().any(|place| place.placement == Placement::Outpost);
    has_outpost
        && nodeeni.spec.as_ref().is_some_and(|spec| {
            let card = spec.network_card_index.unwrap_or(0);
            let has_card = usize::try_from(card).is_ok_and(|card| card < state.cards.len());
            !has_card || is_beyond_its_card(&state.cards, card, spec.device_index)
        })
}

fn of_nodeeni(state: &State, name: &str, nodeeni: &ModelNodeEni) -> Option<String> {
    let status = nodeeni.object.get("status").cloned().unwrap_or_default();
    let status: NodeEniStatus = serde_json::from_value(status).unwrap_or_default();
    let generation = nodeeni.object.pointer("/metadata/generation").and_then(serde_json::Value::as_i64);
    if status.observed_generation != generation {
        return Some(format!(
            "{name} says observedGeneration {:?}, and has generation {generation:?}",
            status.observed_generation
        ));
    }
    if let Some(old) = status.conditions.iter().find(|c| c.observed_generation != generation) {
        return Some(format!(
            "{name} has generation {generation:?}, and its condition {} says observedGeneration {:?}",
            old.type_, old.observed_generation
        ));
    }
    let missing = missing(state, name);
    let (ready, degraded) = (is_true(&status.conditions, types::READY), is_true(&status.conditions, types::DEGRADED));
    if ready != missing.is_empty() {
        return Some(format!("{name} says Ready={ready}, and missing is {missing:?}"));
    }
    if degraded == missing.is_empty() {
        return Some(format!("{name} says Degraded={degraded}, and missing is {missing:?}"));
    }
    let matches = |labels: &std::collections::BTreeMap<String, String>| {
        nodeeni.spec.as_ref().is_some_and(|spec| selects(spec, labels))
    };
    let matched = state.model.nodes.values().filter(|node| matches(&node.labels)).count();
    if usize::try_from(status.matched_nodes).ok() != Some(matched) {
        return Some(format!("{name} says {} nodes match, and {matched} do", status.matched_nodes));
    }
    let without_subnet = state.model.nodes.values().filter(|node| {
        let desired = desired_places(&state.model, nodeeni, node, &state.subnets);
        matches!(desired, DesiredPlaces::These(places) if places.is_empty())
    });
    let without_subnet = without_subnet.count();
    let is_exact = !is_refused_before_a_lookup(state, nodeeni);
    if is_exact && usize::try_from(status.nodes_without_subnet).ok() != Some(without_subnet) {
        let says = status.nodes_without_subnet;
        return Some(format!("{name} says {says} nodes have no subnet in their zone, and {without_subnet} have none"));
    }
    if is_exact && without_subnet > 0 && is_true(&status.conditions, types::ZONES_COVERED) {
        return Some(format!("{name} says ZonesCovered, and {without_subnet} nodes have no subnet in their zone"));
    }
    let unsupported = state.model.nodes.values().filter(|node| node.is_unsupported && matches(&node.labels)).count();
    // The condition is absent while there has been no such node.
    let is_said = status.conditions.iter().any(|c| c.type_ == types::NODES_SUPPORTED && c.status == "False");
    if (unsupported > 0) != is_said {
        return Some(format!(
            "{name} has {unsupported} nodes that can have no ENI, and NodesSupported does not say that"
        ));
    }
    let mine =
        || state.model.attachments.values().filter(|attachment| attachment.attachment.nodeeni_uid == nodeeni.uid);
    let in_place: BTreeSet<&str> = mine()
        .filter_map(|attachment| state.model.in_place(&attachment.attachment))
        .map(|eni| eni.current.id.as_str())
        .collect();
    if [status.attached, status.ready].iter().any(|count| usize::try_from(*count).ok() != Some(in_place.len())) {
        let (attached, ready) = (status.attached, status.ready);
        return Some(format!("{name} says attached={attached}, ready={ready}, and {} are", in_place.len()));
    }
    let listed: BTreeSet<&str> = status
        .attachments
        .iter()
        .filter(|entry| entry.status == "attached")
        .map(|entry| entry.eni_id.as_str())
        .collect();
    if listed != in_place || status.attachments.len() != mine().count() {
        return Some(format!(
            "{name} lists {listed:?} in {} entries, and has {in_place:?} in {} ENIAttachments",
            status.attachments.len(),
            mine().count()
        ));
    }
    None
}
