//! Adoption of this cluster's own ENIs whose ENIAttachment is lost: finalizers stripped, etcd restored from an older state.
//!
//! An ENI that is attached in a slot where its NodeENI wants one is adopted as it is: it may carry traffic, and it is exactly where it
//! is wanted. What is wanted nowhere is [an orphan](crate::orphans).

use super::adoption;
use super::input::Input;
use super::new_attachment::NewAttachment;
use super::slots::occupant;
use crate::attachment::Attachment;
use crate::nodeeni::NodeEni;
use crate::observed::{AttachmentState, InstanceInterfaces, ObservedEni, ObservedNode};
use multi_eni_api::names::TAG_NODEENI_UID;

/// Whether the tags say that the ENI is this NodeENI's: by its UID; or by its name, if no NodeENI of that UID is left, as where a
/// NodeENI was restored under a new UID.
fn is_of(eni: &ObservedEni, nodeeni: &NodeEni, nodeenis: &[&NodeEni]) -> bool {
    let Some(uid) = eni.tags.get(TAG_NODEENI_UID) else { return false };
    uid == nodeeni.uid
        || eni.names_nodeeni(&nodeeni.uid, &nodeeni.name) && !nodeenis.iter().any(|other| other.uid == uid)
}

/// A lost ENI that is attached in this slot, by a look that is young enough.
fn lost_in<'a>(input: &Input<'a>, slot: (i32, i32)) -> Option<&'a ObservedEni> {
    let is_young = |interfaces: &InstanceInterfaces| input.age(interfaces) <= input.settings.instance_lookup_valid;
    shown_lost_in(input, slot).filter(|_| input.instance.is_some_and(is_young))
}

/// The same by the last look, however old.
fn shown_lost_in<'a>(input: &Input<'a>, slot: (i32, i32)) -> Option<&'a ObservedEni> {
    // A look that shows no primary interface is no look.
    let interfaces = input.instance.filter(|interfaces| interfaces.vpc.is_some())?;
    let eni = occupant(interfaces, slot)?;
    let is_on = eni.attachment.as_ref().is_some_and(|at| at.state != AttachmentState::Detaching);
    // Without the tag of an ENIAttachment somebody took it away: not ours to touch.
    let is_lost = eni.attachment_uid().is_some() && !(input.is_held)(eni);
    (is_on && is_lost && eni.is_of(input.cluster)).then_some(eni)
}

/// Whether the last look shows a lost ENI of this NodeENI in the slot: it is adopted as soon as a young one does.
pub(super) fn is_shown(input: &Input<'_>, nodeeni: &NodeEni, nodeenis: &[&NodeEni], slot: (i32, i32)) -> bool {
    nodeeni.guarded && shown_lost_in(input, slot).is_some_and(|eni| is_of(eni, nodeeni, nodeenis))
}

/// The NodeENI whose lost ENI is in this slot by the last look, and may be adopted there: it holds the slot as if nothing had been
/// lost.
pub(super) fn holder<'a>(
    input: &Input<'_>,
    node: &ObservedNode,
    nodeenis: &[&'a NodeEni],
    slot: (i32, i32),
) -> Option<&'a NodeEni> {
    let eni = shown_lost_in(input, slot).filter(|eni| may_be_adopted(eni, node, nodeenis, |_| true))?;
    nodeenis.iter().copied().find(|nodeeni| !nodeeni.deleting && is_of(eni, nodeeni, nodeenis))
}

/// The ENIAttachment that adopts what is in the slot of `new`; None if nothing is there that can be adopted, by a look that is young
/// enough.
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
    // In another subnet than the spec asks for it is adopted all the same, and replaced in its turn.
    let subnet = eni.subnet.as_ref()?;
    let request = if request.subnet_id == subnet.as_str() {
        request.clone()
    } else {
        adoption::request_of(input, nodeeni, (eni, subnet, at))
    };
    let mut adopts = NewAttachment::new(node, instance, nodeeni, request, Some(eni));
    adopts.spec.recovered = true;
    Some(adopts)
}

/// An ENIAttachment that has nothing in its slot: it gives way to an ENI that is there, as where it was restored without its status.
pub fn has_nothing(attachment: &Attachment, is_in_use: bool) -> bool {
    attachment.status.attachment_id.is_none() && !is_in_use
}

/// Whether an ENI of this cluster without an ENIAttachment may still be adopted: its NodeENI selects the Node and asks for ENIs in such
/// a slot. `is_open`: it is not settled yet what that NodeENI gets there.
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
        let in_range =
            at.card == spec.card && at.index >= spec.index && at.index < spec.index.saturating_add(slots.max(1));
        spec.matches(&node.labels) && in_range && is_open(nodeeni)
    })
}
