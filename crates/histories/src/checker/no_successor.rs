//! An ENI in use that an edit takes away although nothing can come in its place: part of `nothing-unasked`.

use super::max_staleness::MAX_STALENESS;
use super::model::{ModelNode, ModelNodeEni};
use super::settled::{fits, is_old, settled};
use super::state::State;
use crate::expected::{DesiredPlaces, Place, desired_places};
use crate::script::Millis;
use multi_eni_plan::attachment::Attachment;

/// Whether the NodeENI asks for as many ENIs on the node as it has in use there, no place that it asks for is open, and one of those
/// places can never have an ENI, because its subnet is in another VPC. A network card that does not exist does not count: on a Node
/// without a type label only EC2 knows that.
pub(super) fn is_lost_for_nothing(state: &State, at: Millis, lost: &Attachment) -> bool {
    let Some((node, nodeeni)) = settled(state, at, lost).filter(|_| !state.has_died(lost)) else { return false };
    if !is_old(state, at, nodeeni) && !fitted_before(state, at, (node, nodeeni), lost) {
        return false;
    }
    let DesiredPlaces::These(places) = desired_places(&state.model, nodeeni, node, &state.subnets) else {
        return false;
    };
    let others: Vec<&Attachment> = state
        .model
        .attachments
        .values()
        .map(|attachment| &attachment.attachment)
        .filter(|other| other.nodeeni_uid == lost.nodeeni_uid && other.instance == lost.instance)
        .filter(|other| other.name != lost.name && other.deleting.is_none() && state.model.in_place(other).is_some())
        .collect();
    let is_open = |place: &Place| {
        let here =
            |other: &&Attachment| other.slot() == (place.card, place.index) && other.request.subnet_id == place.subnet;
        !place.is_in_other_vpc && !others.iter().any(here)
    };
    // Another ENI in the same subnet is in its place already.
    let has_successor =
        places.iter().any(|place| place.subnet == lost.request.subnet_id && !place.is_in_other_vpc && !is_open(place));
    let is_asked_for = others.len() < places.len() && !has_successor;
    is_asked_for && places.iter().any(|place| place.is_in_other_vpc) && !places.iter().any(is_open)
}

/// Whether the NodeENI asked for this ENI before its last edit, and for long. So a replica that does not know the edit yet has no reason
/// to take the ENI away either.
fn fitted_before(state: &State, at: Millis, (node, nodeeni): (&ModelNode, &ModelNodeEni), lost: &Attachment) -> bool {
    let Some(before) = state.model.specs_before.get(&nodeeni.uid) else { return false };
    let former = ModelNodeEni { spec: before.spec.clone(), ..nodeeni.clone() };
    at >= before.since + MAX_STALENESS && fits(state, (node, &former), lost)
}
