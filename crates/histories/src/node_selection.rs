//! Which Nodes a spec selects, by the rules of Kubernetes' label selectors. It uses none of the controller's code.

use multi_eni_api::{LabelRequirement, NodeEniSpec};
use std::collections::BTreeMap;

/// Whether a Node with these labels matches nodeSelector, and one of nodeSelectorTerms if there are any.
pub fn selects(spec: &NodeEniSpec, labels: &BTreeMap<String, String>) -> bool {
    let has = |(key, value): (&String, &String)| labels.get(key) == Some(value);
    let mut terms = spec.node_selector_terms.iter().flatten();
    let is_open = spec.node_selector_terms.as_ref().is_none_or(Vec::is_empty);
    spec.node_selector.iter().all(has)
        && (is_open
            || terms.any(|term| {
                term.match_labels.iter().flatten().all(has)
                    && term.match_expressions.iter().flatten().all(|requirement| holds(requirement, labels))
            }))
}

fn holds(requirement: &LabelRequirement, labels: &BTreeMap<String, String>) -> bool {
    let value = labels.get(&requirement.key);
    let is_listed = value.is_some_and(|value| requirement.values.iter().flatten().any(|listed| listed == value));
    match requirement.operator.as_str() {
        "In" => is_listed,
        "NotIn" => !is_listed,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn terms_are_alternatives_and_their_requirements_are_not() {
        let spec = json!({
            "nodeSelector": { "ng": "x" },
            "nodeSelectorTerms": [
                { "matchLabels": { "tier": "db" } },
                { "matchExpressions": [
                    { "key": "gpu", "operator": "Exists" },
                    { "key": "tier", "operator": "NotIn", "values": ["web"] },
                ] },
            ],
        });
        let spec: NodeEniSpec = serde_json::from_value(spec).unwrap();
        let selected = |labels: &[(&str, &str)]| {
            selects(&spec, &labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
        };
        assert!(selected(&[("ng", "x"), ("tier", "db")]));
        assert!(selected(&[("ng", "x"), ("gpu", "")]));
        assert!(!selected(&[("ng", "x"), ("gpu", ""), ("tier", "web")]));
        assert!(!selected(&[("ng", "x")]) && !selected(&[("ng", "y"), ("tier", "db")]));
    }
}
