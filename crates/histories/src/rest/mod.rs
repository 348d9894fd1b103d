//! What must hold when faults have stopped and nothing moves any more.
//!
//! - [`specs`]: the account is as the specs ask. - [`status`]: what is reported is so. - [`idle`]: nothing is done.

pub mod idle;
mod specs;
mod status;

use crate::wants::{self, Asked, asked};
use crate::witness::{Promise, Scene};
use std::collections::BTreeSet;

/// What does not hold; empty when all is as it should be.
pub fn problems(scene: &Scene) -> Vec<(Promise, String)> {
    let mut problems = specs::problems(scene);
    if problems.is_empty() {
        problems = status::problems(scene);
    }
    problems
}

/// How many ENIs wait for room on their instance.
pub fn crowded(scene: &Scene) -> usize {
    let held = scene.mirror.held.values().map(|held| &held.held);
    held.filter(|held| scene.mirror.in_place(held).is_none()).filter(|held| specs::lacks_a_place(scene, held)).count()
}

/// How many subnets are waited for that have no room.
pub fn full_subnets(scene: &Scene) -> usize {
    let held = scene.mirror.held.values().map(|held| &held.held);
    let waits =
        held.filter(|held| scene.mirror.in_place(held).is_none()).filter(|held| specs::lacks_addresses(scene, held));
    waits.map(|held| held.request.subnet_id.as_str()).collect::<BTreeSet<_>>().len()
}

/// How many kinds of names NodeENIs use: of groups, of subnets, and IDs of subnets that EC2 does not know.
pub fn kinds_of_names(scene: &Scene) -> u64 {
    let specs = || scene.mirror.nodeenis.values().filter_map(|nodeeni| nodeeni.spec.as_ref());
    let of_groups = specs().any(|spec| spec.security_group_names.iter().flatten().next().is_some());
    let of_subnets =
        specs().any(|spec| spec.subnet_name.iter().chain(spec.subnet_names.iter().flatten()).next().is_some());
    let is_unknown = |id: &String| !scene.subnets.iter().any(|subnet| subnet.id == *id);
    let unknown = specs().any(|spec| spec.subnet_id.iter().chain(spec.subnet_ids.iter().flatten()).any(is_unknown));
    [of_groups, of_subnets, unknown].into_iter().map(u64::from).sum()
}

/// What of a NodeENI is truly missing, on which node, in words.
fn missing(scene: &Scene, name: &str) -> BTreeSet<String> {
    let mirror = &scene.mirror;
    let Some(nodeeni) = mirror.nodeenis.get(name) else { return BTreeSet::new() };
    let mut missing = BTreeSet::new();
    for (node, truth) in &mirror.nodes {
        match asked(&scene.mirror, nodeeni, truth, &scene.subnets) {
            Asked::Nothing => {}
            Asked::Unknown => drop(missing.insert(format!("{node}: what it asks for cannot be known"))),
            Asked::These(places) if places.is_empty() => {
                missing.insert(format!("{node}: no subnet of its zone"));
            }
            Asked::These(places) => {
                for place in places {
                    let slot: wants::Slot = (truth.instance.clone(), place.card, place.index);
                    let mine = specs::occupant(scene, &slot)
                        .is_some_and(|eni| specs::is_of(scene, eni, &nodeeni.uid) && eni.seen.is_in(&place.subnet));
                    if !mine {
                        missing.insert(format!("{node}: nothing of it at {}/{}", place.card, place.index));
                    }
                }
            }
        }
    }
    missing
}
