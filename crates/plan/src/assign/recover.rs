//! Decides which ENIs of this cluster are adopted after their ENIAttachment was lost: finalizers were removed by hand, or etcd
//! was restored from an older state.
//!
//! An ENI that is attached in a slot where its NodeENI asks for one is adopted in place, because it may carry traffic. An ENI
//! that no NodeENI asks for is [an orphan](crate::orphans) and is not handled here.

use super::existing_eni_request::request_of;
use super::input::Input;
use super::new_attachment::NewAttachment;
use super::slots::occupant;
use crate::attachment::Attachment;
use crate::nodeeni::NodeEni;
use crate::observed::{AttachmentState, InstanceInterfaces, ObservedEni, ObservedNode};
use multi_eni_api::DeviceIndexPolicy;
use multi_eni_api::names::TAG_NODEENI_UID;

/// Whether the tags assign the ENI to this NodeENI: by its UID, or by its name if no NodeENI has the tagged UID. The latter
/// happens when a NodeENI is restored with a new UID.
fn is_of(eni: &ObservedEni, nodeeni: &NodeEni, nodeenis: &[&NodeEni]) -> bool {
    let Some(uid) = eni.tags.get(TAG_NODEENI_UID) else { return false };
    uid == nodeeni.uid
        || eni.names_nodeeni(&nodeeni.uid, &nodeeni.name) && !nodeenis.iter().any(|other| other.uid == uid)
}

/// The lost ENI that is attached in this slot, by a lookup that is not older than `instance_lookup_valid`.
fn lost_in<'a>(input: &Input<'a>, slot: (i32, i32)) -> Option<&'a ObservedEni> {
    let is_young = |interfaces: &InstanceInterfaces| input.age(interfaces) <= input.settings.instance_lookup_valid;
    shown_lost_in(input, slot).filter(|_| input.instance.is_some_and(is_young))
}

/// The same by the last lookup, whatever its age.
fn shown_lost_in<'a>(input: &Input<'a>, slot: (i32, i32)) -> Option<&'a ObservedEni> {
    // A lookup that does not show the primary interface does not count.
    let interfaces = input.instance.filter(|interfaces| interfaces.vpc.is_some())?;
    occupant(interfaces, slot).filter(|eni| is_lost(input, eni))
}

/// Whether an ENI on an instance is this cluster's, and its ENIAttachment is lost.
fn is_lost(input: &Input<'_>, eni: &ObservedEni) -> bool {
    let is_on = eni.attachment.as_ref().is_some_and(|at| at.state != AttachmentState::Detaching);
    // An ENI without the tag of an ENIAttachment is not ours to change: a user removed the tag.
    is_on && eni.attachment_uid().is_some() && !(input.is_held)(eni) && eni.is_of(input.cluster)
}

/// Whether the last lookup shows a lost ENI of this NodeENI in the slot. The ENI is adopted once a recent lookup shows it too.
pub(super) fn is_shown(input: &Input<'_>, nodeeni: &NodeEni, nodeenis: &[&NodeEni], slot: (i32, i32)) -> bool {
    nodeeni.has_finalizer && shown_lost_in(input, slot).is_some_and(|eni| is_of(eni, nodeeni, nodeenis))
}

/// The lost ENIs of this NodeENI on the instance that may be adopted here, by the last lookup. Those with upstream's tags are adopted
/// as upstream's.
pub(super) fn lost_of<'a>(
    input: &Input<'a>,
    node: &ObservedNode,
    nodeeni: &NodeEni,
    nodeenis: &[&NodeEni],
) -> impl Iterator<Item = &'a ObservedEni> {
    let (input, shown) = (*input, input.instance.into_iter().flat_map(|interfaces| &interfaces.enis));
    shown.filter(move |eni| {
        let is_ours = is_lost(&input, eni) && eni.upstreams(input.cluster).is_none();
        is_ours && is_of(eni, nodeeni, nodeenis) && may_be_adopted(eni, node, nodeenis, |_| true)
    })
}

/// The NodeENI whose lost ENI is in this slot by the last lookup and may be adopted there. It holds the slot as if its
/// ENIAttachment still existed.
pub(super) fn holder<'a>(
    input: &Input<'_>,
    node: &ObservedNode,
    nodeenis: &[&'a NodeEni],
    slot: (i32, i32),
) -> Option<&'a NodeEni> {
    let eni = shown_lost_in(input, slot).filter(|eni| may_be_adopted(eni, node, nodeenis, |_| true))?;
    nodeenis.iter().copied().find(|nodeeni| !nodeeni.deleting && is_of(eni, nodeeni, nodeenis))
}

/// The ENIAttachment that adopts the ENI in the slot of `new`. None if a recent lookup shows no ENI there that can be adopted.
pub(super) fn lost(
    input: &Input<'_>,
    (node, nodeeni): (&ObservedNode, &NodeEni),
    nodeenis: &[&NodeEni],
    new: &NewAttachment,
) -> Option<NewAttachment> {
    let instance = node.instance.as_ref().ok()?;
    let request = &new.spec.request;
    let eni = lost_in(input, (request.network_card_index, request.device_index))?;
    let at = eni.attachment.as_ref().filter(|_| is_of(eni, nodeeni, nodeenis))?;
    // An ENI in another subnet than the spec asks for is adopted as well, and replaced in the node's turn of the rollout.
    let subnet = eni.subnet.as_ref()?;
    let request = if request.subnet_id == subnet.as_str() {
        request.clone()
    } else {
        request_of(input, nodeeni, (eni, subnet, at))
    };
    let mut adopts = NewAttachment::new(node, instance, nodeeni, request, Some(eni));
    adopts.spec.recovered = true;
    Some(adopts)
}

/// Whether an ENIAttachment has no ENI in its slot, for example because it was restored without its status. It is then deleted so
/// that another ENIAttachment can adopt the ENI in the slot.
pub fn has_nothing(attachment: &Attachment, is_in_use: bool) -> bool {
    attachment.status.attachment_id.is_none() && !is_in_use
}

/// Whether an ENI of this cluster without an ENIAttachment may still be adopted: its NodeENI selects the Node and asks for an ENI
/// in such a slot. `is_open`: whether it is still open which ENI that NodeENI gets in the slot.
pub fn may_be_adopted(
    eni: &ObservedEni,
    node: &ObservedNode,
    nodeenis: &[&NodeEni],
    is_open: impl Fn(&NodeEni) -> bool,
) -> bool {
    let Some(at) = eni.attachment.as_ref().filter(|at| at.state != AttachmentState::Detaching) else { return false };
    nodeenis.iter().filter(|nodeeni| !nodeeni.deleting && is_of(eni, nodeeni, nodeenis)).any(|nodeeni| {
        let Ok(spec) = &nodeeni.spec else { return true };
        let slots = i32::try_from(spec.subnets.len()).unwrap_or(i32::MAX);
        let in_range = at.card == spec.card
            && match spec.index_policy {
                DeviceIndexPolicy::Exact => {
                    at.index >= spec.index && at.index < spec.index.saturating_add(slots.max(1))
                }
                DeviceIndexPolicy::HighestFree => true,
            };
        spec.matches(&node.labels) && in_range && is_open(nodeeni)
    })
}
