//! Sorts the ENIAttachments of a NodeENI on a Node that are in places which the spec no longer describes: an ENI moves to a place
//! that has none, or it remains because its successor can have no place now, or it is surplus. It decides nothing else.

use super::desired::Unplaced;
use super::input::Input;
use super::new_attachment::{NewAttachment, same};
use super::unassigned::UnassignedReason;
use crate::attachment::Attachment;

/// The ENIAttachments in places that the spec no longer describes.
pub(super) struct Undescribed<'a> {
    /// Those that leave their place for another one.
    pub moved: Vec<&'a Attachment>,
    /// Those in use that stay: one for each subnet of the spec that has no ENI and can get no place now. An ENI whose subnet has another
    /// one in use in its place is one of `moved`.
    pub remaining: Vec<&'a Attachment>,
    /// Those that have no successor by the spec.
    pub surplus: Vec<&'a Attachment>,
    /// Why the first of `remaining` has no successor. Until it has one, nothing in use moves, because the places of the others depend
    /// on each other.
    pub no_successor: Option<UnassignedReason>,
}

impl<'a> Undescribed<'a> {
    /// Sorts those of `live` that are not in `kept` and not in a place of `wanted`. `unfilled`: the places of `wanted` without an
    /// ENIAttachment. `unplaced`: the subnets that can get no place.
    pub fn sort(
        input: &Input<'_>,
        live: &[&'a Attachment],
        kept: &[&'a Attachment],
        wanted: &[NewAttachment],
        unfilled: &[&NewAttachment],
        unplaced: &[Unplaced],
    ) -> Self {
        let is_kept = |attachment: &Attachment| kept.iter().any(|other| other.name == attachment.name);
        let is_described = |attachment: &Attachment| wanted.iter().any(|new| new.name == attachment.name);
        let undescribed = live.iter().copied().filter(|attachment| !is_described(attachment) && !is_kept(attachment));
        // A new ENI in a subnet replaces the old ENI in the same subnet.
        let is_same_subnet = |attachment: &&Attachment| {
            unfilled.iter().any(|new| new.spec.request.subnet_id == attachment.request.subnet_id)
        };
        let (mut moved, others): (Vec<&Attachment>, Vec<&Attachment>) = undescribed.partition(is_same_subnet);
        moved.extend(others);
        let rest = moved.split_off(unfilled.len().min(moved.len()));
        // Another ENI in the same subnet is in use in its place already.
        let has_successor = |attachment: &Attachment| {
            let mut places = wanted.iter().filter(|new| new.spec.request.subnet_id == attachment.request.subnet_id);
            places.any(|new| {
                let fits = |other: &&&Attachment| other.name == new.name && same(&other.request, &new.spec.request);
                live.iter().find(fits).is_some_and(|other| input.is_in_use(other))
            })
        };
        let (mut remaining, unused): (Vec<&Attachment>, Vec<&Attachment>) =
            rest.into_iter().partition(|attachment| is_paced(input, attachment));
        let has_eni =
            |place: &Unplaced| kept.iter().any(|attachment| attachment.request.subnet_id == place.subnet.as_str());
        let vacant: Vec<&Unplaced> = unplaced.iter().filter(|place| !has_eni(place)).collect();
        if !vacant.is_empty() {
            let (succeeded, others) = remaining.into_iter().partition(|attachment| has_successor(attachment));
            moved.extend::<Vec<&Attachment>>(succeeded);
            remaining = others;
        }
        let mut surplus = remaining.split_off(vacant.len().min(remaining.len()));
        surplus.extend(unused);
        let no_successor = vacant.first().filter(|_| !remaining.is_empty()).map(|place| place.why.clone());
        Self { moved, remaining, surplus, no_successor }
    }
}

/// Whether the removal of an ENI is paced: it is in use, and its Node stays.
pub(super) fn is_paced(input: &Input<'_>, attachment: &Attachment) -> bool {
    input.is_in_use(attachment) && input.node.is_some_and(|node| !node.deleting)
}
