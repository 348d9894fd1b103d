//! The NodeENIs of the story, and which nodes get which labels.

use multi_eni_api::ids::{SecurityGroupId, SubnetId};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The page's first example, byte for byte.
const MULTIPLE: &str = include_str!("../../manifests/multiple-nodeenis.yaml");
/// The page's second example, byte for byte.
const BY_LABEL: &str = include_str!("../../manifests/subnet-by-label.yaml");

/// One file of NodeENIs: a chapter of the story.
#[derive(Debug, Clone)]
pub struct Manifests {
    /// What it is called.
    pub title: String,
    /// Its objects, as they are.
    pub objects: Vec<Value>,
}

/// The page's two examples, or the user's file.
pub fn read(file: Option<&Path>) -> Result<Vec<Manifests>, String> {
    let Some(path) = file else {
        return Ok(vec![
            parse("The page's first example: several NodeENIs on each node", MULTIPLE)?,
            parse("The page's second example: the subnet by a label of the node", BY_LABEL)?,
        ]);
    };
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    parse(&path.display().to_string(), &text).map(|manifests| vec![manifests])
}

/// The NodeENIs of a text; anything else in it is an error.
pub fn parse(title: &str, text: &str) -> Result<Manifests, String> {
    let mut objects = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let value: Value =
            serde::Deserialize::deserialize(document).map_err(|error| format!("{title} is not YAML: {error}"))?;
        match value["kind"].as_str() {
            _ if value.is_null() => {}
            Some("NodeENI") if value["metadata"]["name"].is_string() => objects.push(value),
            Some("NodeENI") => return Err(format!("{title}: a NodeENI has no metadata.name")),
            other => {
                return Err(format!(
                    "{title}: only NodeENIs are taken, not {}",
                    other.unwrap_or("an object without a kind")
                ));
            }
        }
    }
    if objects.is_empty() {
        return Err(format!("{title} has no NodeENI"));
    }
    Ok(Manifests { title: title.to_owned(), objects })
}

/// Labels of a node.
pub type Labels = BTreeMap<String, String>;

impl Manifests {
    /// Names of the NodeENIs.
    pub fn names(&self) -> Vec<String> {
        self.objects.iter().filter_map(|object| object["metadata"]["name"].as_str().map(ToOwned::to_owned)).collect()
    }

    /// Selectors by NodeENI name.
    pub fn selectors(&self) -> Vec<(String, Labels)> {
        self.names()
            .into_iter()
            .zip(self.objects.iter().map(|object| labels(&object["spec"]["nodeSelector"])))
            .collect()
    }

    /// Sets of labels that can be on one node together: each selector is in one of them.
    pub fn label_sets(&self) -> Vec<Labels> {
        let mut sets: Vec<Labels> = Vec::new();
        for (_, selector) in self.selectors() {
            let fits =
                |set: &&mut Labels| selector.iter().all(|(key, value)| set.get(key).is_none_or(|have| have == value));
            match sets.iter_mut().find(fits) {
                Some(set) => set.extend(selector),
                None => sets.push(selector),
            }
        }
        sets
    }

    /// Subnets by ID that it names.
    pub fn subnets(&self) -> BTreeSet<String> {
        self.texts(&["subnetID", "subnetIDs"]).into_iter().filter(|id| SubnetId::parse(id).is_ok()).collect()
    }

    /// Subnets by Name tag that it names.
    pub fn subnet_names(&self) -> BTreeSet<String> {
        self.texts(&["subnetName", "subnetNames"])
    }

    /// Security groups by ID that it names.
    pub fn groups(&self) -> BTreeSet<String> {
        self.texts(&["securityGroupIDs"]).into_iter().filter(|id| SecurityGroupId::parse(id).is_ok()).collect()
    }

    /// Security groups by name that it names.
    pub fn group_names(&self) -> BTreeSet<String> {
        self.texts(&["securityGroupNames"])
    }

    fn texts(&self, fields: &[&str]) -> BTreeSet<String> {
        let specs = self.objects.iter().map(|object| &object["spec"]);
        let values = specs.flat_map(|spec| fields.iter().map(|field| &spec[*field]));
        values
            .flat_map(|value| match value {
                Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
                other => other.as_str().into_iter().collect::<Vec<_>>(),
            })
            .map(ToOwned::to_owned)
            .collect()
    }
}

fn labels(value: &Value) -> Labels {
    let entries = value.as_object().into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_examples_are_the_pages_and_their_labels_fit_as_it_says() {
        let page = include_str!("../../manifests/multiple-nodeenis.yaml");
        assert!(page.starts_with("# First NodeENI for subnet-a"));
        let files = read(None).unwrap();
        assert_eq!(files[0].names(), ["nodeeni-subnet-a", "nodeeni-subnet-b"]);
        assert_eq!(files[0].label_sets().len(), 1, "every node gets both");
        let sets = files[1].label_sets();
        assert_eq!(sets.len(), 2);
        assert_eq!((sets[0]["subnet"].as_str(), sets[1]["subnet"].as_str()), ("a", "b"));
    }

    #[test]
    fn a_file_without_a_nodeeni_is_refused_with_words() {
        assert!(parse("f", "kind: Pod\n").unwrap_err().contains("only NodeENIs are taken, not Pod"));
        assert!(parse("f", "").unwrap_err().contains("no NodeENI"));
        assert!(parse("f", ": : [").unwrap_err().contains("not YAML"));
    }
}
