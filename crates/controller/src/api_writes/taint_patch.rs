//! The JSON patch that removes the startup taint of a Node. It has tests, so that an old view of the Node removes nothing else.

use multi_eni_api::names::STARTUP_TAINT;
use serde_json::{Value, json};

/// The API server's words for a JSON patch of which a test fails.
pub(super) const TEST_FAILED: &str = "error in our request";

/// The JSON patch that removes the startup taint at these places. The last one goes first, so that the other places stay the same.
pub(super) fn taint_patch(uid: &str, places: &[usize]) -> Result<json_patch::Patch, serde_json::Error> {
    let mut operations = vec![json!({ "op": "test", "path": "/metadata/uid", "value": uid })];
    for place in places.iter().rev() {
        operations.push(json!({ "op": "test", "path": format!("/spec/taints/{place}/key"), "value": STARTUP_TAINT }));
        operations.push(json!({ "op": "remove", "path": format!("/spec/taints/{place}") }));
    }
    serde_json::from_value(Value::Array(operations))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_patch_removes_the_taint_only_where_it_still_is_and_nothing_else() {
        let taint = |key: &str, effect: &str| json!({ "key": key, "effect": effect });
        let startup = |effect: &str| taint(STARTUP_TAINT, effect);
        let node = |taints: Vec<Value>| json!({ "metadata": { "uid": "u" }, "spec": { "taints": taints } });
        let patched = |mut node: Value, uid: &str, places: &[usize]| {
            json_patch::patch(&mut node, &taint_patch(uid, places).unwrap()).map(|()| node["spec"]["taints"].clone())
        };
        let all = || node(vec![startup("NoSchedule"), taint("a", "NoSchedule"), startup("NoExecute")]);
        assert_eq!(patched(all(), "u", &[0, 2]).unwrap(), json!([taint("a", "NoSchedule")]));
        assert!(patched(all(), "another", &[0, 2]).is_err(), "another Node has the name");
        assert!(patched(all(), "u", &[1]).is_err(), "another taint is at the place");
        assert!(patched(node(vec![startup("NoExecute")]), "u", &[0, 2]).is_err(), "the taints have changed");
    }
}
