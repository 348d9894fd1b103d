//! Writes definitions as YAML with comments, and as JSON. All texts that others wrote are escaped to ASCII, so that none of them can
//! begin a line of the document.

use super::ascii_json::{ascii, pretty};
use super::definition::Definition;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The annotation by which a definition names its resource.
const RESOURCE: &str = "k8s.v1.cni.cncf.io/resourceName";

/// Words that YAML takes for something else than a text.
const RESERVED: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"];

/// The definitions as YAML documents.
pub fn yaml(definitions: &[Definition]) -> String {
    definitions.iter().map(document).collect::<Vec<_>>().join("---\n")
}

/// The definitions as one JSON list, without comments.
pub fn json(definitions: &[Definition]) -> String {
    let items: Vec<Value> = definitions.iter().map(manifest).collect();
    pretty(&json!({ "apiVersion": "v1", "kind": "List", "items": items })) + "\n"
}

fn manifest(definition: &Definition) -> Value {
    let mut metadata = json!({ "name": definition.name, "namespace": definition.namespace });
    if let Some(resource) = &definition.resource {
        metadata["annotations"] = json!({ RESOURCE: resource });
    }
    json!({
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": metadata,
        "spec": { "config": definition.config },
    })
}

fn document(definition: &Definition) -> String {
    let mut text = String::new();
    for comment in &definition.comments {
        let plain = |c: char| if matches!(c, ' '..='~') { c } else { '?' };
        // Writing to a String never fails.
        let _ = writeln!(text, "# {}", comment.chars().map(plain).collect::<String>());
    }
    text.push_str("apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata:\n");
    let _ = writeln!(text, "  name: {}\n  namespace: {}", scalar(&definition.name), scalar(&definition.namespace));
    if let Some(resource) = &definition.resource {
        let _ = writeln!(text, "  annotations:\n    {RESOURCE}: {}", scalar(resource));
    }
    text.push_str("spec:\n  config: |\n");
    for line in definition.config.lines() {
        let _ = writeln!(text, "    {line}");
    }
    text
}

/// A text of YAML: plain if nothing in it needs quotes.
fn scalar(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '/' | '_');
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic());
    if begins && text.chars().all(is_plain) && !RESERVED.contains(&text.to_ascii_lowercase().as_str()) {
        text.to_owned()
    } else {
        ascii(&Value::from(text).to_string())
    }
}
