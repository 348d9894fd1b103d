//! The place that a NodeENI with subnetSelectorTerms asks for on a Node: one ENI, in any subnet of the zone that a term matches. An
//! ENIAttachment that exists decides which one, because an ENI never moves from one such subnet to another.

use super::attachable::{is_in_vpc, is_near};
use super::groups::groups;
use super::places::{DesiredPlaces, Place};
use crate::checker::model::{Model, ModelNode, ModelNodeEni};
use crate::environment::POOL;
use crate::highest_free_places::kept_indexes;
use crate::script::SubnetPlace;
use multi_eni_api::{DeviceIndexPolicy, NodeEniSpec, SubnetSelectorTerm};
use multi_eni_plan::attachment::Attachment;

pub(super) fn place(
    model: &Model,
    (nodeeni, spec, terms): (&ModelNodeEni, &NodeEniSpec, &[SubnetSelectorTerm]),
    node: &ModelNode,
    subnets: &[SubnetPlace],
) -> DesiredPlaces {
    let mut found: Vec<&SubnetPlace> =
        subnets.iter().filter(|subnet| terms.iter().any(|term| matches(term, subnet))).collect();
    // Terms select among the subnets of the node's VPC only.
    found.retain(|subnet| is_in_vpc(node, subnet));
    if found.is_empty() {
        return DesiredPlaces::Unknown;
    }
    found.retain(|subnet| is_near(node, subnet));
    found.sort_by(|a, b| a.id.cmp(&b.id));
    if !found.is_empty() && groups(spec, node.placement).is_none() {
        return DesiredPlaces::Unknown;
    }
    let card = spec.network_card_index.unwrap_or(0);
    let is_any_index = spec.device_index_policy == Some(DeviceIndexPolicy::HighestFree);
    let present = model.attachments.values().map(|attachment| &attachment.attachment).filter(|attachment| {
        attachment.nodeeni_uid == nodeeni.uid
            && attachment.slot().0 == card
            && (is_any_index || attachment.slot().1 == spec.device_index)
            && attachment.instance.as_ref().is_some_and(|on| on.as_str() == node.instance)
            && found.iter().any(|subnet| subnet.id == attachment.request.subnet_id)
    });
    // Of several that work the oldest one stays: an ENI that is adopted later takes nobody's place.
    let present = present.min_by_key(|attachment| {
        (attachment.deleting.is_some(), model.in_place(attachment).is_none(), attachment.created)
    });
    let at = |(card, index): (i32, i32), subnet: &str| {
        DesiredPlaces::These(vec![Place { card, index, subnet: subnet.to_owned(), is_in_other_vpc: false }])
    };
    if let Some(attachment) = present {
        return at(attachment.slot(), &attachment.request.subnet_id);
    }
    // An ENI that was adopted from upstream keeps its place.
    let pinned = found
        .iter()
        .find_map(|subnet| model.pinned(&nodeeni.uid, &node.instance, &subnet.id).map(|slot| at(slot, &subnet.id)));
    let index_for = |subnet: &SubnetPlace| match is_any_index {
        true => kept_indexes(model, nodeeni, (&node.instance, card), &[subnet]).into_values().next().unwrap_or(-1),
        false => spec.device_index,
    };
    let first = found.first().map(|subnet| at((card, index_for(subnet)), &subnet.id));
    // A term by the ID of no subnet may be meant for an ENI that exists. Such a node stays as it is.
    let is_of = |attachment: &Attachment| {
        attachment.nodeeni_uid == nodeeni.uid
            && attachment.deleting.is_none()
            && attachment.instance.as_ref().is_some_and(|on| on.as_str() == node.instance)
    };
    let has_one = model.attachments.values().any(|attachment| is_of(&attachment.attachment));
    match pinned.or(first) {
        None if has_unknown(terms, subnets) && has_one => DesiredPlaces::Unknown,
        place => place.unwrap_or(DesiredPlaces::These(Vec::new())),
    }
}

/// Whether a term by ID stands for no subnet.
pub(super) fn has_unknown(terms: &[SubnetSelectorTerm], subnets: &[SubnetPlace]) -> bool {
    terms.iter().filter_map(|term| term.id.as_ref()).any(|id| !subnets.iter().any(|subnet| subnet.id == *id))
}

fn matches(term: &SubnetSelectorTerm, subnet: &SubnetPlace) -> bool {
    let has_tag = |(key, value): (&String, &String)| {
        key == POOL && subnet.shown_pool().is_some_and(|pool| value == "*" || value == pool)
    };
    term.id.iter().all(|id| *id == subnet.id)
        && term.name.iter().all(|name| subnet.shown_name() == Some(name))
        && term.tags.iter().flatten().all(has_tag)
}
