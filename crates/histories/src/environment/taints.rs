//! The startup taint of Nodes: somebody, a provisioner or a user, sets it.

use super::Environment;
use super::api_client::ApiClient;
use super::api_resources::nodes;
use super::operation_result::OperationResult;
use multi_eni_api::names::STARTUP_TAINT;
use serde_json::{Value, json};

/// The effects of a taint.
pub const TAINT_EFFECTS: [&str; 3] = ["NoSchedule", "NoExecute", "PreferNoSchedule"];

/// The taints of a Node that is read.
pub(super) fn taints_of(node: &Value) -> Vec<Value> {
    node.pointer("/spec/taints").and_then(Value::as_array).cloned().unwrap_or_default()
}

impl Environment {
    /// Sets the startup taint of a Node, behind its other taints.
    pub(super) async fn taint(&self, client: &ApiClient, node: &str, effect: &str) -> OperationResult {
        let object = self.api.get(&nodes(), "", node).ok_or_else(|| format!("there is no Node {node}"))?;
        let mut taints = taints_of(&object);
        if taints.iter().any(|taint| taint["key"] == STARTUP_TAINT && taint["effect"] == effect) {
            return Err(format!("Node {node} has the taint already"));
        }
        taints.push(json!({ "key": STARTUP_TAINT, "effect": effect }));
        client.patch(&nodes(), node, &json!({ "spec": { "taints": taints } })).await?;
        Ok(format!("Node {node} gets the startup taint with the effect {effect}"))
    }
}
