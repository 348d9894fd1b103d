//! The manifests of docs/multus.md and docs/node-agent.md.

#![allow(dead_code, reason = "each test binary uses a part")]

use serde::Deserialize;
use serde_json::Value;

/// The guide for Multus.
pub const GUIDE: &str = include_str!("../../../../docs/multus.md");
/// The page of the node agent.
const NODE_AGENT: &str = include_str!("../../../../docs/node-agent.md");

/// The objects of the guide's YAML blocks, in their order.
pub fn objects() -> Vec<Value> {
    let objects = objects_of(GUIDE);
    assert!(objects.len() > 8, "{}", objects.len());
    objects
}

/// The NodeENIs and Pods of the agent's page. Its other blocks are parts of a NodeENI, or are for Karpenter.
pub fn objects_of_the_agents_page() -> Vec<Value> {
    let is_whole = |object: &Value| matches!(object["kind"].as_str(), Some("NodeENI" | "Pod"));
    let objects: Vec<Value> = objects_of(NODE_AGENT).into_iter().filter(is_whole).collect();
    assert!(objects.len() > 3, "{}", objects.len());
    objects
}

fn objects_of(page: &str) -> Vec<Value> {
    let blocks = page.split("```yaml\n").skip(1).map(|rest| rest.split_once("```").unwrap().0);
    let documents = blocks.flat_map(serde_yaml::Deserializer::from_str);
    documents.map(|document| Value::deserialize(document).unwrap()).collect()
}

/// The NetworkAttachmentDefinitions.
pub fn definitions(objects: &[Value]) -> impl Iterator<Item = &Value> {
    objects.iter().filter(|object| object["kind"] == "NetworkAttachmentDefinition")
}

/// The configuration of a definition, and its plugins.
pub fn config(definition: &Value) -> (Value, Vec<Value>) {
    let config: Value = serde_json::from_str(definition["spec"]["config"].as_str().unwrap()).unwrap();
    let plugins = config["plugins"].as_array().cloned().unwrap_or_else(|| vec![config.clone()]);
    (config, plugins)
}
