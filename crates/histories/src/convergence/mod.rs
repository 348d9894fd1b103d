//! What must hold when faults have stopped and nothing moves any more.
//!
//! - [`specs`]: the account is as the specs ask. - [`status`]: what is reported is so. - [`idle`]: nothing is done.

pub mod idle;
mod specs;
mod status;

use crate::checker::{Promise, State};
use crate::expected::{self, Asked, asked};
use std::collections::BTreeSet;

/// What does not hold; empty when all is as it should be.
pub fn problems(state: &State) -> Vec<(Promise, String)> {
    let mut problems = specs::problems(state);
    if problems.is_empty() {
        problems = status::problems(state);
    }
    problems
}

/// How many ENIs wait for room on their instance.
pub fn crowded(state: &State) -> usize {
    let attachment = state.model.attachments.values().map(|attachment| &attachment.attachment);
    attachment
        .filter(|attachment| state.model.in_place(attachment).is_none())
        .filter(|attachment| specs::lacks_a_place(state, attachment))
        .count()
}

/// How many subnets are waited for that have no room.
pub fn full_subnets(state: &State) -> usize {
    let attachment = state.model.attachments.values().map(|attachment| &attachment.attachment);
    let waits = attachment
        .filter(|attachment| state.model.in_place(attachment).is_none())
        .filter(|attachment| specs::lacks_addresses(state, attachment));
    waits.map(|attachment| attachment.request.subnet_id.as_str()).collect::<BTreeSet<_>>().len()
}

/// How many kinds of names NodeENIs use: of groups, of subnets, and IDs of subnets that EC2 does not know.
pub fn kinds_of_names(state: &State) -> u64 {
    let specs = || state.model.nodeenis.values().filter_map(|nodeeni| nodeeni.spec.as_ref());
    let of_groups = specs().any(|spec| spec.security_group_names.iter().flatten().next().is_some());
    let of_subnets =
        specs().any(|spec| spec.subnet_name.iter().chain(spec.subnet_names.iter().flatten()).next().is_some());
    let is_unknown = |id: &String| !state.subnets.iter().any(|subnet| subnet.id == *id);
    let unknown = specs().any(|spec| spec.subnet_id.iter().chain(spec.subnet_ids.iter().flatten()).any(is_unknown));
    [of_groups, of_subnets, unknown].into_iter().map(u64::from).sum()
}

/// What of a NodeENI is truly missing, on which node, in words.
fn missing(state: &State, name: &str) -> BTreeSet<String> {
    let model = &state.model;
    let Some(nodeeni) = model.nodeenis.get(name) else { return BTreeSet::new() };
    let mut missing = BTreeSet::new();
    for (node, truth) in &model.nodes {
        match asked(&state.model, nodeeni, truth, &state.subnets) {
            Asked::Nothing => {}
            Asked::Unknown => drop(missing.insert(format!("{node}: what it asks for cannot be known"))),
            Asked::These(places) if places.is_empty() => {
                missing.insert(format!("{node}: no subnet of its zone"));
            }
            Asked::These(places) => {
                for place in places {
                    let slot: expected::Slot = (truth.instance.clone(), place.card, place.index);
                    let mine = specs::occupant(state, &slot)
                        .is_some_and(|eni| specs::is_of(state, eni, &nodeeni.uid) && eni.seen.is_in(&place.subnet));
                    if !mine {
                        missing.insert(format!("{node}: nothing of it at {}/{}", place.card, place.index));
                    }
                }
            }
        }
    }
    missing
}
