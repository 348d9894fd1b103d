//! The state with which a server starts: the built-in resources and the four namespaces of every cluster.

use serde_json::json;

use super::{
    state::State,
    write::{self, WriteOptions},
};
use crate::clock::SimClock;

/// The initial state of a server. UIDs derive from `seed`.
pub fn initial_state(clock: SimClock, seed: u64) -> State {
    let mut state = State::new(clock, seed);
    for namespace in ["default", "kube-node-lease", "kube-public", "kube-system"] {
        let body = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
        if let Some(res) = state.resource("", "v1", "namespaces") {
            // The create cannot fail: nothing is stored yet.
            let _ = write::create(&mut state, &res, "", body, &WriteOptions::new("kube-apiserver"));
        }
    }
    state
}
