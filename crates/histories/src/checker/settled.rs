//! What a replica has had time to see: an ENI in place about which nothing has changed for long.

use super::max_staleness::MAX_STALENESS;
use super::model::{ModelNode, ModelNodeEni};
use super::state::State;
use crate::expected::{DesiredPlaces, Place, desired_places};
use crate::script::Millis;
use multi_eni_plan::attachment::Attachment;

/// Whether an ENIAttachment is as its NodeENI asks and its ENI is in place, and nothing of that has changed for long.
pub(super) fn is_well(state: &State, at: Millis, eni_attachment: &Attachment) -> bool {
    settled(state, at, eni_attachment)
        .is_some_and(|(node, nodeeni)| is_old(state, at, nodeeni) && fits(state, (node, nodeeni), eni_attachment))
}

/// Whether a replica has had time to see the spec.
pub(super) fn is_old(state: &State, at: Millis, nodeeni: &ModelNodeEni) -> bool {
    at >= state.model.nodeenis_changed.get(&nodeeni.uid).copied().unwrap_or(0) + MAX_STALENESS
}

/// The Node and the NodeENI of an ENIAttachment whose ENI is in place, if nothing but the NodeENI has changed for long.
pub(super) fn settled<'m>(
    state: &'m State,
    at: Millis,
    eni_attachment: &Attachment,
) -> Option<(&'m ModelNode, &'m ModelNodeEni)> {
    let model = &state.model;
    let eni = model.in_place(eni_attachment)?;
    let instance = eni_attachment.instance.as_ref().map(ToString::to_string).unwrap_or_default();
    let last_disturbed = [
        eni.disturbed,
        eni.state_since,
        model.attachments.get(&eni_attachment.name).map_or(at, |eni_attachment| eni_attachment.disturbed),
        model.nodes_changed.get(&eni_attachment.node).copied().unwrap_or(0),
        model.instances_changed.get(&instance).copied().unwrap_or(0),
    ];
    let disturbed = last_disturbed.into_iter().max().unwrap_or(at);
    if at < disturbed + MAX_STALENESS {
        return None;
    }
    let node = model.nodes.get(&eni_attachment.node).filter(|node| node.instance == instance)?;
    let nodeeni = model.nodeenis.values().find(|nodeeni| nodeeni.uid == eni_attachment.nodeeni_uid)?;
    Some((node, nodeeni))
}

/// Whether the NodeENI asks for this ENI on the Node.
pub(super) fn fits(state: &State, (node, nodeeni): (&ModelNode, &ModelNodeEni), eni_attachment: &Attachment) -> bool {
    let (card, index) = eni_attachment.slot();
    let subnet = eni_attachment.request.subnet_id.clone();
    let place = Place { card, index, subnet, is_in_other_vpc: false };
    let is_there = match desired_places(&state.model, nodeeni, node, &state.subnets) {
        DesiredPlaces::Nothing => false,
        DesiredPlaces::Unknown => true,
        DesiredPlaces::These(places) => places.contains(&place),
    };
    is_there
        && nodeeni.spec.as_ref().is_none_or(|spec| {
            let positive = |count: Option<i32>, least: i32| count.filter(|n| *n >= least);
            eni_attachment.request.ipv4_prefix_count == positive(spec.ipv4_prefix_count, 1)
                && eni_attachment.request.ipv6_address_count == positive(spec.ipv6_address_count, 1)
                && eni_attachment.request.ipv6_prefix_count == positive(spec.ipv6_prefix_count, 1)
                && eni_attachment.request.private_ip_count == positive(spec.private_ip_count, 2)
        })
}
