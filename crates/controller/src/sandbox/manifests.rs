//! The NodeENIs that the sandbox applies, and the labels that its nodes need for them.

use crate::nodeeni_file;
use multi_eni_api::ids::{SecurityGroupId, SubnetId};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The first example of the architecture page, byte for byte.
const MULTIPLE: &str = include_str!("../../manifests/multiple-nodeenis.yaml");
/// The second example of the architecture page, byte for byte.
const BY_LABEL: &str = include_str!("../../manifests/subnet-by-label.yaml");

/// The NodeENIs of one file.
#[derive(Debug, Clone)]
pub struct Manifests {
    /// The title of the file in the output.
    pub title: String,
    /// The NodeENIs as they are in the file.
    pub objects: Vec<Value>,
}

/// The two examples of the architecture page, or the user's file. With node agents, the examples ask for addresses on the nodes; the
/// user's file is applied as it is.
pub fn read(file: Option<&Path>, with_agent: bool) -> Result<Vec<Manifests>, String> {
    let Some(path) = file else {
        let mut examples = vec![
            parsed("First example: several NodeENIs on each node", MULTIPLE)?,
            parsed("Second example: a label of the node selects the subnet", BY_LABEL)?,
        ];
        for object in examples.iter_mut().filter(|_| with_agent).flat_map(|example| &mut example.objects) {
            object["spec"]["nodeConfig"] = serde_json::json!({ "mode": "addresses" });
        }
        return Ok(examples);
    };
    Ok(vec![Manifests { title: nodeeni_file::title(path), objects: nodeeni_file::read(path)? }])
}

fn parsed(title: &str, text: &str) -> Result<Manifests, String> {
    Ok(Manifests { title: title.to_owned(), objects: nodeeni_file::parse(title, text)? })
}

/// Labels of a node, or a selector.
pub type Labels = BTreeMap<String, String>;

impl Manifests {
    /// The names of the NodeENIs.
    pub fn names(&self) -> Vec<String> {
        self.objects.iter().filter_map(|object| object["metadata"]["name"].as_str().map(ToOwned::to_owned)).collect()
    }

    /// The selectors of the NodeENIs, with the names. Of nodeSelectorTerms the first term counts, with the labels that it needs.
    pub fn selectors(&self) -> Vec<(String, Labels)> {
        self.names().into_iter().zip(self.objects.iter().map(|object| needed_labels(&object["spec"]))).collect()
    }

    /// Sets of labels that a node can have together. Each selector is contained in one of them.
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

    /// Subnets that the NodeENIs name by their tag Name.
    pub fn subnet_names(&self) -> BTreeSet<String> {
        self.texts(&["subnetName", "subnetNames"])
    }

    /// IDs of the security groups that the NodeENIs name.
    pub fn groups(&self) -> BTreeSet<String> {
        let listed =
            self.texts(&["securityGroupIDs"]).into_iter().chain(self.in_terms("securityGroupSelectorTerms", "id"));
        listed.filter(|id| SecurityGroupId::parse(id).is_ok()).collect()
    }

    /// Security groups that the NodeENIs name by their group name.
    pub fn group_names(&self) -> BTreeSet<String> {
        self.texts(&["securityGroupNames"])
            .into_iter()
            .chain(self.in_terms("securityGroupSelectorTerms", "name"))
            .collect()
    }

    /// The tags of each term that selects subnets by name or tags.
    pub fn subnet_tags(&self) -> BTreeSet<Labels> {
        self.tags_in_terms("subnetSelectorTerms", true)
    }

    /// The tags of each term that selects security groups by tags.
    pub fn group_tags(&self) -> BTreeSet<Labels> {
        self.tags_in_terms("securityGroupSelectorTerms", false)
    }

    fn terms(&self, field: &str) -> impl Iterator<Item = &Value> {
        self.objects.iter().flat_map(move |object| object["spec"][field].as_array().into_iter().flatten())
    }

    fn in_terms(&self, field: &str, part: &str) -> BTreeSet<String> {
        self.terms(field).filter_map(|term| term[part].as_str()).map(ToOwned::to_owned).collect()
    }

    /// `name_is_tag`: whether the name of a term is the tag Name.
    fn tags_in_terms(&self, field: &str, name_is_tag: bool) -> BTreeSet<Labels> {
        let tags = self.terms(field).map(|term| {
            let name = term["name"].as_str().filter(|_| name_is_tag).map(|name| ("Name".to_owned(), name.to_owned()));
            labels(&term["tags"]).into_iter().chain(name).collect::<Labels>()
        });
        tags.filter(|tags| !tags.is_empty()).collect()
    }

    fn texts(&self, fields: &[&str]) -> BTreeSet<String> {
        let specs = self.objects.iter().map(|object| &object["spec"]);
        specs.flat_map(|spec| texts_of(spec, fields)).map(ToOwned::to_owned).collect()
    }
}

/// The texts and lists of texts in these fields of a spec, in their order.
fn texts_of<'a>(spec: &'a Value, fields: &[&str]) -> Vec<&'a str> {
    let values = fields.iter().map(|field| &spec[*field]);
    let texts = values.flat_map(|value| match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().into_iter().collect::<Vec<_>>(),
    });
    texts.collect()
}

/// IDs of the subnets that a spec names, in its order.
pub fn subnet_ids(spec: &Value) -> Vec<String> {
    let terms = spec["subnetSelectorTerms"].as_array().into_iter().flatten();
    let listed = texts_of(spec, &["subnetID", "subnetIDs"]).into_iter();
    let ids = listed.chain(terms.filter_map(|term| term["id"].as_str()));
    ids.filter(|id| SubnetId::parse(id).is_ok()).map(ToOwned::to_owned).collect()
}

/// The labels that a node needs for nodeSelector and the first term of nodeSelectorTerms.
fn needed_labels(spec: &Value) -> Labels {
    let term = &spec["nodeSelectorTerms"][0];
    let mut needed = labels(&spec["nodeSelector"]);
    needed.extend(labels(&term["matchLabels"]));
    for requirement in term["matchExpressions"].as_array().into_iter().flatten() {
        let value = match requirement["operator"].as_str() {
            Some("In") => requirement["values"][0].as_str(),
            Some("Exists") => Some(""),
            _ => None,
        };
        if let (Some(key), Some(value)) = (requirement["key"].as_str(), value) {
            needed.insert(key.to_owned(), value.to_owned());
        }
    }
    needed
}

fn labels(value: &Value) -> Labels {
    let entries = value.as_object().into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_gets_the_labels_that_the_first_term_needs() {
        let text = "apiVersion: networking.k8s.aws/v1alpha1\nkind: NodeENI\nmetadata: {name: a}\nspec:\n  nodeSelector: {ng: x}\n  \
                    nodeSelectorTerms:\n  - matchLabels: {tier: db}\n    matchExpressions:\n    - {key: pool, operator: In, \
                    values: [p, q]}\n    - {key: gpu, operator: DoesNotExist}\n    - {key: hpc, operator: Exists}\n  - \
                    matchLabels: {other: y}\n";
        let needed = parsed("a", text).unwrap().selectors().remove(0).1;
        let expected = [("hpc", ""), ("ng", "x"), ("pool", "p"), ("tier", "db")];
        assert_eq!(needed, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn the_examples_are_those_of_the_page_and_their_labels_fit() {
        let page = include_str!("../../manifests/multiple-nodeenis.yaml");
        assert!(page.starts_with("# First NodeENI for subnet-a"));
        let files = read(None, false).unwrap();
        assert_eq!(files[0].names(), ["nodeeni-subnet-a", "nodeeni-subnet-b"]);
        assert_eq!(files[0].label_sets().len(), 1, "every node gets both");
        let sets = files[1].label_sets();
        assert_eq!(sets.len(), 2);
        assert_eq!((sets[0]["subnet"].as_str(), sets[1]["subnet"].as_str()), ("a", "b"));
    }
    #[test]
    fn with_node_agents_the_examples_ask_for_addresses() {
        let modes = |with_agent| {
            let files = read(None, with_agent).unwrap();
            let objects = files.into_iter().flat_map(|file| file.objects);
            objects.map(|object| object["spec"]["nodeConfig"]["mode"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(modes(true), vec![Value::from("addresses"); 4]);
        assert_eq!(modes(false), vec![Value::Null; 4]);
    }
}
