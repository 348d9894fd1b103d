//! Reads the NodeENIs of a YAML file as JSON values: single documents, and lists as `kubectl get -o yaml` prints them. It checks
//! their kind and name, but not their fields: the CRD's schema does that.

use serde_json::Value;
use std::io::Read;
use std::path::Path;

/// Fields of `metadata` that the API server sets. `kubectl get` prints them; they say nothing about what is asked for, and the API
/// server refuses some of them in a new object.
const SET_BY_THE_SERVER: [&str; 8] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// The NodeENIs of the file at this path, unchecked; `-` is standard input.
pub fn read(path: &Path) -> Result<Vec<Value>, String> {
    let (title, mut text) = (title(path), String::new());
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(path).map(|read| text = read)
    };
    read.map_err(|error| format!("cannot read {title}: {error}"))?;
    parse(&title, &text)
}

/// The name of the file in messages.
pub fn title(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

/// The NodeENIs of a YAML text. Any other object in it is an error. `title` names the text in errors.
pub fn parse(title: &str, text: &str) -> Result<Vec<Value>, String> {
    let (mut objects, mut has_list) = (Vec::new(), false);
    for document in serde_yaml::Deserializer::from_str(text) {
        let value: Value =
            serde::Deserialize::deserialize(document).map_err(|error| format!("{title} is not YAML: {error}"))?;
        match value["kind"].as_str() {
            _ if value.is_null() => {}
            Some("List" | "NodeENIList") => {
                has_list = true;
                let items = value["items"].as_array().ok_or_else(|| format!("{title}: a List has no items"))?;
                for item in items {
                    objects.push(nodeeni(title, item.clone())?);
                }
            }
            _ => objects.push(nodeeni(title, value)?),
        }
    }
    if objects.is_empty() {
        return Err(format!("{title} contains no NodeENI{}", if has_list { ": its List is empty" } else { "" }));
    }
    Ok(objects)
}

/// The object without what the API server adds to it.
fn nodeeni(title: &str, mut object: Value) -> Result<Value, String> {
    match object["kind"].as_str() {
        Some("NodeENI") if object["metadata"]["name"].is_string() => {}
        Some("NodeENI") => return Err(format!("{title}: a NodeENI has no metadata.name")),
        other => {
            let other = other.unwrap_or("an object without a kind");
            return Err(format!("{title}: only NodeENIs are accepted, not {other}"));
        }
    }
    if let Some(object) = object.as_object_mut() {
        object.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|field, _| !SET_BY_THE_SERVER.contains(&field.as_str()));
    }
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_nodeeni_is_refused_with_a_reason() {
        assert!(parse("f", "kind: Pod\n").unwrap_err().contains("only NodeENIs are accepted, not Pod"));
        assert!(parse("f", "").unwrap_err().contains("no NodeENI"));
        assert!(parse("f", ": : [").unwrap_err().contains("not YAML"));
        assert!(parse("f", "kind: List\nitems: []\n").unwrap_err().contains("no NodeENI: its List is empty"));
        assert!(parse("f", "kind: List\nitems: [{kind: Pod}]\n").unwrap_err().contains("not Pod"));
        assert!(parse("f", "kind: List\n").unwrap_err().contains("a List has no items"));
    }

    #[test]
    fn a_list_as_kubectl_prints_it_gives_its_nodeenis() {
        let text = "apiVersion: v1\nkind: List\nmetadata: {resourceVersion: ''}\nitems:\n\
            - {apiVersion: networking.k8s.aws/v1alpha1, kind: NodeENI, metadata: {name: a, uid: u, resourceVersion: '7', generation: 2, \
            creationTimestamp: '2026-01-01T00:00:00Z', labels: {team: net}}, spec: {subnetID: s}, status: {ready: 1}}\n\
            - {kind: NodeENI, metadata: {name: b}, spec: {}}\n---\nkind: NodeENI\nmetadata: {name: c}\n";
        let objects = parse("f", text).unwrap();
        let names: Vec<&str> = objects.iter().filter_map(|object| object["metadata"]["name"].as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(objects[0]["metadata"], serde_json::json!({ "name": "a", "labels": { "team": "net" } }));
        assert_eq!(objects[0]["spec"]["subnetID"], "s");
        assert!(objects[0].get("status").is_none());
    }
}
