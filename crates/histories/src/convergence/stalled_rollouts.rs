//! Which rollouts cannot go on, because they wait for nodes whose ENIs no controller can bring. Outdated ENIs may stay there.

use super::occupants::{has_any_on, is_for, is_of, occupant};
use super::room::{is_crowded, is_refused_for_good, lacks_a_place, lacks_addresses};
use crate::checker::model::ModelNode;
use crate::checker::{State, most_unavailable};
use crate::expected::{DesiredPlaces, Place, desired_places};
use crate::node_selection::selects;
use std::collections::BTreeSet;

/// The UIDs of the NodeENIs whose rollout is stalled. It is computed once, because it takes long with many nodes.
pub(super) fn stalled(state: &State) -> BTreeSet<String> {
    let uids = state.model.nodeenis.values().map(|nodeeni| nodeeni.uid.clone());
    uids.filter(|uid| is_stalled(state, uid)).collect()
}

/// Whether a NodeENI's rollout waits for nodes whose ENIs no controller can bring. Outdated ENIs then stay, and their
/// replacements wait.
fn is_stalled(state: &State, uid: &str) -> bool {
    let model = &state.model;
    let spec = model.nodeenis.values().find(|nodeeni| nodeeni.uid == uid).and_then(|nodeeni| nodeeni.spec.as_ref());
    // The controller does not replace a working ENI for a network card that no instance has.
    let card = spec.and_then(|spec| spec.network_card_index).and_then(|card| usize::try_from(card).ok());
    if card.is_some_and(|card| card >= state.cards.len()) {
        return true;
    }
    let most = max_unavailable(state, uid);
    let mine = model
        .attachments
        .values()
        .map(|attachment| &attachment.attachment)
        .filter(|attachment| attachment.nodeeni_uid == uid);
    let stuck = mine.filter(|attachment| model.in_place(attachment).is_none());
    let stuck = stuck.filter(|attachment| {
        lacks_addresses(state, attachment) || lacks_a_place(state, attachment) || is_refused_for_good(state, attachment)
    });
    let nodes = stuck.map(|attachment| attachment.node.as_str()).chain(kept_out(state, uid));
    nodes.collect::<BTreeSet<_>>().len() >= most
}

/// How many nodes a NodeENI's rollout may make unavailable.
fn max_unavailable(state: &State, uid: &str) -> usize {
    let model = &state.model;
    let Some(nodeeni) = model.nodeenis.values().find(|nodeeni| nodeeni.uid == uid) else { return 1 };
    let is_matched = |node: &&ModelNode| nodeeni.spec.as_ref().is_some_and(|spec| selects(spec, &node.labels));
    let matched = model.nodes.values().filter(is_matched).count();
    most_unavailable(&nodeeni.object["spec"]["rollout"]["maxUnavailable"], matched)
}

/// Nodes on which a place of a NodeENI is taken or full, and nodes without any ENI of it on which its places are unknown.
fn kept_out<'a>(state: &'a State, uid: &str) -> Vec<&'a str> {
    let model = &state.model;
    let Some(nodeeni) = model.nodeenis.values().find(|nodeeni| nodeeni.uid == uid) else { return Vec::new() };
    let is_kept_out = |node: &&ModelNode| match desired_places(model, nodeeni, node, &state.subnets) {
        DesiredPlaces::Nothing => false,
        DesiredPlaces::Unknown => !node.deleting && !has_any_on(state, uid, &node.instance),
        DesiredPlaces::These(places) => lacks_one_of(state, uid, &node.instance, &places),
    };
    model.nodes.iter().filter(|(_, node)| is_kept_out(node)).map(|(name, _)| name.as_str()).collect()
}

/// Whether one of these places is taken by another ENI, or full, or in another VPC.
pub(super) fn lacks_one_of(state: &State, uid: &str, instance: &str, places: &[Place]) -> bool {
    places.iter().any(|place| {
        let slot = (instance.to_owned(), place.card, place.index);
        let anothers = state.model.attachments.values().map(|attachment| &attachment.attachment).any(|attachment| {
            attachment.nodeeni_uid != uid
                && attachment.slot() == (place.card, place.index)
                && is_for(attachment, instance)
        });
        let taken = occupant(state, &slot).map_or_else(|| is_crowded(state, &slot), |eni| !is_of(state, eni, uid));
        taken || anothers || place.is_in_other_vpc
    })
}
