//! The device indexes of a NodeENI with `deviceIndexPolicy: highestFree`, by the design's rules: an ENIAttachment keeps its index,
//! and another subnet takes over the index of an ENI that it replaces. It uses none of the controller's code.

use crate::checker::model::{Model, ModelEni, ModelNodeEni};
use crate::script::SubnetPlace;
use multi_eni_api::names::TAG_NODEENI_UID;
use std::collections::BTreeMap;

/// The index of each subnet that has one on this instance and network card, by the subnet's ID.
pub fn kept_indexes(
    model: &Model,
    nodeeni: &ModelNodeEni,
    (instance, card): (&str, i32),
    listed: &[&SubnetPlace],
) -> BTreeMap<String, i32> {
    let mut own = own(model, nodeeni, instance, card);
    let mut kept = BTreeMap::new();
    let subnets = listed.iter().map(|place| &place.id);
    for subnet in subnets.clone() {
        if !kept.contains_key(subnet)
            && model.pinned(&nodeeni.uid, instance, subnet).is_none()
            && let Some(at) = own.iter().position(|(_, _, of)| of == subnet)
        {
            kept.insert(subnet.clone(), own.remove(at).1);
        }
    }
    for subnet in subnets {
        if !kept.contains_key(subnet) && model.pinned(&nodeeni.uid, instance, subnet).is_none() && !own.is_empty() {
            kept.insert(subnet.clone(), own.remove(0).1);
        }
    }
    kept
}

/// The indexes on the card that the NodeENI has, with their subnets: ENIs in use first, those being deleted last, and the higher
/// index first.
fn own(model: &Model, nodeeni: &ModelNodeEni, instance: &str, card: i32) -> Vec<(u8, i32, String)> {
    let attachments = model.attachments.values().map(|attachment| &attachment.attachment);
    let here = attachments.filter(|attachment| {
        attachment.nodeeni_uid == nodeeni.uid
            && attachment.slot().0 == card
            && attachment.instance.as_ref().is_some_and(|on| on.as_str() == instance)
            // An ENI that was adopted from upstream keeps its place, which is looked up apart.
            && model.pinned(&nodeeni.uid, instance, &attachment.request.subnet_id) != Some(attachment.slot())
    });
    let stored = here.map(|attachment| {
        let rank = match (attachment.deleting, model.in_place(attachment)) {
            (None, Some(_)) => 0,
            (None, None) => 1,
            (Some(_), _) => 3,
        };
        (rank, attachment.slot().1, attachment.request.subnet_id.clone())
    });
    let is_lost = |eni: &&ModelEni| {
        eni.made_for.as_ref().is_some_and(|uid| !model.uids.contains_key(uid))
            && eni.current.tags.get(TAG_NODEENI_UID) == Some(nodeeni.uid.as_str())
    };
    let lost = model.enis.values().filter(is_lost).filter_map(|eni| {
        let at = eni.current.attachment.as_ref()?;
        // An ENIAttachment in the slot comes first: the ENI is not adopted there.
        let is_held = model.attachments.values().any(|attachment| {
            let attachment = &attachment.attachment;
            attachment.slot() == (at.card, at.index)
                && attachment.instance.as_ref().is_some_and(|on| on.as_str() == instance)
        });
        if is_held || at.card != card || at.instance.as_ref().is_none_or(|on| on.as_str() != instance) {
            return None;
        }
        Some((2, at.index, eni.current.subnet.as_ref()?.to_string()))
    });
    let mut own: Vec<(u8, i32, String)> = stored.chain(lost).collect();
    own.sort_by_key(|(rank, index, _)| (*rank, std::cmp::Reverse(*index)));
    own
}
