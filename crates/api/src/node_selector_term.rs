//! `nodeSelectorTerms` of a NodeENI: label selectors in the form that Kubernetes has them, with their schema and CEL rules. A node
//! must match one of the terms, and within a term all requirements.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One label selector: `matchLabels` and `matchExpressions` must all hold.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
        "(has(self.matchLabels) && size(self.matchLabels) > 0) || (has(self.matchExpressions) && size(self.matchExpressions) > 0)"
    ).message("a term of nodeSelectorTerms must not be empty, because it would match every node: set matchLabels or matchExpressions")
)]
pub struct NodeSelectorTerm {
    /// Labels that a node must have, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 16, "additionalProperties" = {"type": "string", "maxLength": 63}))]
    #[x_kube(validation = Rule::new("self.all(k, size(k) <= 317 && k.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$') && self[k].matches('^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$'))").message("matchLabels must have label keys such as example.com/pool and label values such as storage-1"))]
    pub match_labels: Option<BTreeMap<String, String>>,

    /// Requirements that must all hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "atomic"))]
    pub match_expressions: Option<Vec<LabelRequirement>>,
}

/// One requirement on one label.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
        "!(self.operator in ['In', 'NotIn']) || (has(self.values) && size(self.values) > 0)"
    ).message("the operators In and NotIn need at least one value"),
    validation = Rule::new(
        "!(self.operator in ['Exists', 'DoesNotExist']) || !has(self.values) || size(self.values) == 0"
    ).message("the operators Exists and DoesNotExist take no values")
)]
pub struct LabelRequirement {
    /// The key of the label.
    #[schemars(extend("maxLength" = 317))]
    #[x_kube(validation = Rule::new("self.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$')").message("key must be a label key such as example.com/pool"))]
    pub key: String,

    /// `In`: the label has one of the values. `NotIn`: the node has no such label, or another value. `Exists`: the node has the
    /// label. `DoesNotExist`: the node does not have the label.
    #[schemars(extend("enum" = ["In", "NotIn", "Exists", "DoesNotExist"]))]
    pub operator: String,

    /// The values, for `In` and `NotIn`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(max = 63)), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(validation = Rule::new("self.all(v, v.matches('^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$'))").message("values must be label values such as storage-1: at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends"))]
    pub values: Option<Vec<String>>,
}
