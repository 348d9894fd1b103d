//! Checks that no Node keeps its startup taint when all ENIs that are wanted there are in place, or none is.

use super::missing::missing;
use crate::checker::startup_taint::is_alone;
use crate::checker::{Invariant, State};

pub(super) fn problems(state: &State) -> Vec<(Invariant, String)> {
    let tainted = state.startup_taints.tainted.keys();
    let tainted: Vec<&String> = tainted
        .filter(|name| {
            // Of several Nodes of an instance one counts, and the others wait for a user.
            let node = state.model.nodes.get(*name);
            node.is_some_and(|node| !node.deleting && is_alone(&state.model, node))
        })
        .collect();
    if tainted.is_empty() {
        return Vec::new();
    }
    let lacks: Vec<String> = state.model.nodeenis.keys().flat_map(|name| missing(state, name)).collect();
    let keeps = |name: &&&String| !lacks.iter().any(|lack| lack.starts_with(&format!("{name}: ")));
    tainted
        .iter()
        .filter(keeps)
        .map(|name| (Invariant::StartupTaint, format!("{name} keeps its startup taint, and all its ENIs are there")))
        .collect()
}
