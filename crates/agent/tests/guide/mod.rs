//! The manifests of docs/multus.md.

#![allow(dead_code, reason = "each test binary uses a part")]

use serde::Deserialize;
use serde_json::Value;

/// The page.
pub const GUIDE: &str = include_str!("../../../../docs/multus.md");

/// The objects of the page's YAML blocks, in their order.
pub fn objects() -> Vec<Value> {
    let mut blocks = GUIDE.split("```yaml\n");
    blocks.next();
    let blocks: Vec<&str> = blocks.map(|rest| rest.split_once("```").unwrap().0).collect();
    assert!(blocks.len() > 4, "{}", blocks.len());
    let documents = blocks.iter().flat_map(|block| serde_yaml::Deserializer::from_str(block));
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
