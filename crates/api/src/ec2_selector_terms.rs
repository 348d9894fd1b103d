//! `subnetSelectorTerms` and `securityGroupSelectorTerms` of a NodeENI, in the form that Karpenter's EC2NodeClass has them, with
//! their schema and CEL rules. The terms are alternatives; within a term everything must hold.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Subnets of the node's VPC: one by its ID, or all with a Name and tags.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
        "has(self.id) || has(self.name) || (has(self.tags) && size(self.tags) > 0)"
    ).message("a term of subnetSelectorTerms must not be empty: set id, or name, or tags"),
    validation = Rule::new(
        "!has(self.id) || (!has(self.name) && (!has(self.tags) || size(self.tags) == 0))"
    ).message("id stands alone in a term of subnetSelectorTerms: add another term for the name or the tags"),
    validation = Rule::new(
        "!has(self.name) || !has(self.tags) || !('Name' in self.tags)"
    ).message("name is the tag Name: set one of them")
)]
pub struct SubnetSelectorTerm {
    /// The subnet by its ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^subnet-[0-9a-f]{8,17}$')").message("id must be a subnet ID such as subnet-0f59b4f14737be9ad: 'subnet-' and 8 to 17 hex digits"))]
    pub id: Option<String>,

    /// The subnets' tag Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    #[x_kube(validation = Rule::new("self != '' && !self.contains('*')").message("name must not be empty and has no wildcard"))]
    pub name: Option<String>,

    /// Tags that a subnet must have, all of them. The value `*` stands for any value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 10, "additionalProperties" = {"type": "string", "maxLength": 255}))]
    #[x_kube(validation = Rule::new("self.all(k, k != '' && size(k) <= 128 && self[k] != '' && (self[k] == '*' || !self[k].contains('*')))").message("tags must have keys of 1 to 128 characters and values that are not empty; '*' stands for any value, and is no part of a value"))]
    pub tags: Option<BTreeMap<String, String>>,
}

/// Security groups of the subnet's VPC: one by its ID, one by its name, or all with these tags.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
        "has(self.id) || has(self.name) || (has(self.tags) && size(self.tags) > 0)"
    ).message("a term of securityGroupSelectorTerms must not be empty: set id, name or tags"),
    validation = Rule::new(
        "!(has(self.id) && has(self.name)) && (!(has(self.id) || has(self.name)) || !has(self.tags) || size(self.tags) == 0)"
    ).message("a term of securityGroupSelectorTerms has one of id, name and tags: add another term for the others")
)]
pub struct SecurityGroupSelectorTerm {
    /// The security group by its ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^sg-[0-9a-f]{8,17}$')").message("id must be a security group ID such as sg-05da196f3314d4af8: 'sg-' and 8 to 17 hex digits"))]
    pub id: Option<String>,

    /// The name of the security group, which is not its tag Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    #[x_kube(validation = Rule::new("self != '' && !self.contains('*')").message("name must not be empty and has no wildcard"))]
    pub name: Option<String>,

    /// Tags that a security group must have, all of them. The value `*` stands for any value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 10, "additionalProperties" = {"type": "string", "maxLength": 255}))]
    #[x_kube(validation = Rule::new("self.all(k, k != '' && size(k) <= 128 && self[k] != '' && (self[k] == '*' || !self[k].contains('*')))").message("tags must have keys of 1 to 128 characters and values that are not empty; '*' stands for any value, and is no part of a value"))]
    pub tags: Option<BTreeMap<String, String>>,
}
