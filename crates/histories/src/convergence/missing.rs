//! Which ENIs of a NodeENI are missing on which node, by the model.

use super::specs;
use crate::checker::State;
use crate::expected::{DesiredPlaces, Slot, desired_places};
use std::collections::BTreeSet;

/// The ENIs of a NodeENI that are missing, with their nodes, in words.
pub(super) fn missing(state: &State, name: &str) -> BTreeSet<String> {
    let model = &state.model;
    let Some(nodeeni) = model.nodeenis.get(name) else { return BTreeSet::new() };
    let mut missing = BTreeSet::new();
    for (node_name, node) in &model.nodes {
        match desired_places(&state.model, nodeeni, node, &state.subnets) {
            DesiredPlaces::Nothing => {}
            DesiredPlaces::Unknown => drop(missing.insert(format!("{node_name}: what it asks for cannot be known"))),
            DesiredPlaces::These(places) if places.is_empty() => {
                missing.insert(format!("{node_name}: no subnet of its zone"));
            }
            DesiredPlaces::These(places) => {
                for place in places {
                    let slot: Slot = (node.instance.clone(), place.card, place.index);
                    let mine = specs::occupant(state, &slot)
                        .is_some_and(|eni| specs::is_of(state, eni, &nodeeni.uid) && eni.current.is_in(&place.subnet));
                    if !mine {
                        missing.insert(format!("{node_name}: nothing of it at {}/{}", place.card, place.index));
                    }
                }
            }
        }
    }
    missing
}
