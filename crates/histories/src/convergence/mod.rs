//! Checks what must hold after the faults have stopped and nothing changes any more. It reads the checker's state only.
//!
//! - `specs`: EC2 is as the specs ask. `occupants`, `room` and `stalled_rollouts` say where no controller could reach that.
//! - `status`: the statuses are true.
//! - [`idle`]: the controller does nothing at rest.
//! - `missing`: which ENIs are missing.
//! - `taints`: no Node keeps its startup taint when all its ENIs are there.

pub mod idle;
mod missing;
mod occupants;
mod room;
mod specs;
mod stalled_rollouts;
mod status;
mod taints;

use crate::checker::{Invariant, State};
use crate::expected::keeps_its_groups;
use multi_eni_plan::attachment::Attachment;
use std::collections::BTreeSet;

/// The problems; empty if there are none. Statuses are checked only when EC2 is as the specs ask.
pub fn problems(state: &State) -> Vec<(Invariant, String)> {
    let mut problems = specs::problems(state);
    if problems.is_empty() {
        problems = status::problems(state);
    }
    if problems.is_empty() {
        problems = taints::problems(state);
    }
    problems
}

/// How many ENIs wait for room on their instance.
pub fn crowded(state: &State) -> usize {
    let attachment = state.model.attachments.values().map(|attachment| &attachment.attachment);
    attachment
        .filter(|attachment| state.model.in_place(attachment).is_none())
        .filter(|attachment| room::lacks_a_place(state, attachment))
        .count()
}

/// How many ENIs EC2 never creates, because of what they ask for in their subnets.
pub fn refused(state: &State) -> usize {
    let attachment = state.model.attachments.values().map(|attachment| &attachment.attachment);
    attachment
        .filter(|attachment| state.model.in_place(attachment).is_none())
        .filter(|attachment| room::is_refused_for_good(state, attachment))
        .count()
}

/// How many attached ENIs keep their groups, because EC2 refuses those that their NodeENI names.
pub fn kept_groups(state: &State) -> usize {
    let attachments = state.model.attachments.values().map(|attachment| &attachment.attachment);
    let keeps = |attachment: &&Attachment| {
        let nodeeni = state.model.nodeenis.values().find(|nodeeni| nodeeni.uid == attachment.nodeeni_uid);
        let spec = nodeeni.and_then(|nodeeni| nodeeni.spec.as_ref());
        let eni = state.model.in_place(attachment);
        eni.zip(spec).is_some_and(|(eni, spec)| keeps_its_groups(eni, spec, &state.subnets))
    };
    attachments.filter(keeps).count()
}

/// How many full subnets ENIs wait for.
pub fn full_subnets(state: &State) -> usize {
    let attachment = state.model.attachments.values().map(|attachment| &attachment.attachment);
    let waits = attachment
        .filter(|attachment| state.model.in_place(attachment).is_none())
        .filter(|attachment| room::lacks_addresses(state, attachment));
    waits.map(|attachment| attachment.request.subnet_id.as_str()).collect::<BTreeSet<_>>().len()
}

/// How many lookups repeat the names that NodeENIs use: names of groups, names of subnets, IDs of subnets that EC2 does not know,
/// and each set of tags.
pub fn kinds_of_names(state: &State) -> u64 {
    let specs = || state.model.nodeenis.values().filter_map(|nodeeni| nodeeni.spec.as_ref());
    let of_groups = specs().any(|spec| spec.security_group_names.iter().flatten().next().is_some());
    let of_subnets =
        specs().any(|spec| spec.subnet_name.iter().chain(spec.subnet_names.iter().flatten()).next().is_some());
    let is_unknown = |id: &String| !state.subnets.iter().any(|subnet| subnet.id == *id);
    let unknown = specs().any(|spec| spec.subnet_id.iter().chain(spec.subnet_ids.iter().flatten()).any(is_unknown));
    let group_terms = || specs().flat_map(|spec| spec.security_group_selector_terms.iter().flatten());
    let of_groups = of_groups || group_terms().any(|term| term.name.is_some());
    // Each set of tags is looked up by a call of its own.
    let tags: BTreeSet<String> =
        group_terms().filter_map(|term| term.tags.as_ref()).map(|tags| format!("{tags:?}")).collect();
    let subnet_terms = specs().flat_map(|spec| spec.subnet_selector_terms.iter().flatten());
    let of_subnet_terms: BTreeSet<String> =
        subnet_terms.filter(|term| term.id.is_none()).map(|term| format!("{term:?}")).collect();
    // Subnets that ENIs are in and that no answer has are described by their IDs.
    let unknown = unknown || !of_subnet_terms.is_empty();
    let of_tags = of_subnet_terms.len() + tags.len();
    let of_tags = u64::try_from(of_tags).unwrap_or(u64::MAX);
    of_tags + [of_groups, of_subnets, unknown].into_iter().map(u64::from).sum::<u64>()
}
