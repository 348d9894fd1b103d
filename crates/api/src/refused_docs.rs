//! Generates the table of docs/node-agent.md from the CRD: what `kubectl apply` refuses in `nodeConfig`.
//! `MULTI_ENI_UPDATE_DOCS=1 cargo test -p multi-eni-api` writes it.

use crate::NodeENI;
use kube::CustomResourceExt;
use serde_json::Value;

const BEGIN: &str =
    "<!-- the table of refusals is made from the CRD: MULTI_ENI_UPDATE_DOCS=1 cargo test -p multi-eni-api -->\n";

/// What the schema of a field demands, and then that of the fields in it: the path and a sentence.
fn demands(path: &str, schema: &Value, found: &mut Vec<(String, String)>) {
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<String> = values.iter().filter_map(Value::as_str).map(|value| format!("`{value}`")).collect();
        found.push((path.to_owned(), format!("one of {}", values.join(", "))));
    }
    if let Some(most) = schema["maxItems"].as_i64() {
        found.push((path.to_owned(), format!("at most {most} entries")));
    }
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        found.push((path.to_owned(), rule["message"].as_str().unwrap_or("a rule without a message").to_owned()));
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        demands(&format!("{path}.{name}"), field, found);
    }
    if schema["items"].is_object() {
        demands(&format!("{path}[]"), &schema["items"], found);
    }
}

fn table() -> String {
    let crd = serde_json::to_value(NodeENI::crd()).unwrap();
    let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut found = Vec::new();
    demands("nodeConfig", &spec["properties"]["nodeConfig"], &mut found);
    let rows = found.iter().map(|(path, demand)| format!("| `{path}` | {} |\n", demand.replace('|', "\\|")));
    format!("| field | demand |\n|---|---|\n{}", rows.collect::<String>())
}

#[test]
fn the_guide_of_the_node_agent_has_every_rule_of_node_config() {
    multi_eni_generated_docs::compare_or_write("docs/node-agent.md", BEGIN, &table()).unwrap();
}
