//! Which ENIs of a NodeENI are missing on which node, or cannot be as it asks, by the model.

use super::occupants;
use crate::checker::State;
use crate::expected::{DesiredPlaces, Slot, desired_places, has_unknown_subnet, keeps_its_groups};
use std::collections::BTreeSet;

/// The ENIs of a NodeENI that are missing or have other groups for good, with their nodes, in words.
pub(super) fn missing(state: &State, name: &str) -> BTreeSet<String> {
    let model = &state.model;
    let Some(nodeeni) = model.nodeenis.get(name) else { return BTreeSet::new() };
    let mut missing = BTreeSet::new();
    for (node_name, node) in &model.nodes {
        match desired_places(&state.model, nodeeni, node, &state.subnets) {
            DesiredPlaces::Nothing => {}
            DesiredPlaces::Unknown => drop(missing.insert(format!("{node_name}: the desired slots are unknown"))),
            DesiredPlaces::These(places) => {
                if !places.is_empty() && has_unknown_subnet(nodeeni.spec.as_ref(), node, &state.subnets) {
                    missing.insert(format!("{node_name}: EC2 does not know an entry of the list of subnets"));
                }
                for place in places {
                    let slot: Slot = (node.instance.clone(), place.card, place.index);
                    let mine = occupants::occupant(state, &slot)
                        .filter(|eni| occupants::is_of(state, eni, &nodeeni.uid) && eni.current.is_in(&place.subnet));
                    let Some(eni) = mine else {
                        missing.insert(format!("{node_name}: no ENI of the NodeENI at {}/{}", place.card, place.index));
                        continue;
                    };
                    if nodeeni.spec.as_ref().is_some_and(|spec| keeps_its_groups(eni, spec, &state.subnets)) {
                        missing.insert(format!("{node_name}: groups of another VPC for {}", eni.current.id));
                    }
                }
            }
        }
    }
    missing
}
