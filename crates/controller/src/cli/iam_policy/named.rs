//! The subnets and security groups that NodeENIs name by ID. It reads the JSON of the NodeENIs and not their type, so that a
//! field that is no list of IDs makes the policy wider and never too narrow.

use multi_eni_api::ids::{MalformedId, SecurityGroupId, SubnetId};
use serde_json::Value;
use std::collections::BTreeSet;

/// What the NodeENIs name.
#[derive(Debug)]
pub(super) struct Named {
    pub subnets: Ids<SubnetId>,
    pub groups: Ids<SecurityGroupId>,
}

/// The IDs of one kind, and the reasons why IDs do not say everything.
#[derive(Debug)]
pub(super) struct Ids<T> {
    ids: BTreeSet<T>,
    unlimited: Vec<String>,
}

impl<T: Ord> Ids<T> {
    fn new() -> Self {
        Self { ids: BTreeSet::new(), unlimited: Vec::new() }
    }

    /// The IDs. None, with a warning, if something is named in another way.
    pub fn ids(self, warnings: &mut Vec<String>, what: &str) -> Option<BTreeSet<T>> {
        if self.unlimited.is_empty() {
            return Some(self.ids);
        }
        warnings.push(format!("{what} are not limited to IDs: {}", self.unlimited.join("; ")));
        None
    }

    /// Takes a field of a NodeENI: an ID, a list of IDs, or a list of terms with nothing but an `id`.
    fn take(
        &mut self,
        nodeeni: &str,
        field: &str,
        value: &Value,
        parse: fn(&str) -> Result<T, MalformedId>,
    ) -> Result<(), String> {
        let named = match (field, value) {
            ("subnetID", Value::String(id)) => Some(vec![id.as_str()]),
            ("subnetIDs" | "securityGroupIDs", Value::Array(ids)) => ids.iter().map(Value::as_str).collect(),
            ("subnetSelectorTerms" | "securityGroupSelectorTerms", Value::Array(terms)) => {
                terms.iter().map(only_id).collect()
            }
            _ => None,
        };
        let Some(named) = named else {
            self.unlimited.push(format!("NodeENI {nodeeni} has {field}, which a policy cannot name"));
            return Ok(());
        };
        for id in named {
            let id = parse(id).map_err(|error| format!("NodeENI {nodeeni}, spec.{field}: {error}"))?;
            self.ids.insert(id);
        }
        Ok(())
    }
}

/// The ID of a term that has no other field.
fn only_id(term: &Value) -> Option<&str> {
    let fields = term.as_object()?;
    if fields.len() == 1 { fields.get("id")?.as_str() } else { None }
}

/// What these NodeENIs name. An error if an ID is malformed or a NodeENI names no subnet.
pub(super) fn of(objects: &[Value]) -> Result<Named, String> {
    let mut named = Named { subnets: Ids::new(), groups: Ids::new() };
    for object in objects {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let (mut has_subnet, mut has_group) = (false, false);
        let spec = object["spec"].as_object().ok_or_else(|| format!("NodeENI {name} has no spec"))?;
        for (field, value) in spec.iter().filter(|(_, value)| !is_empty(value)) {
            if field.starts_with("subnet") {
                has_subnet = true;
                named.subnets.take(name, field, value, SubnetId::parse)?;
            } else if field.starts_with("securityGroup") {
                has_group = true;
                named.groups.take(name, field, value, SecurityGroupId::parse)?;
            }
        }
        if !has_subnet {
            return Err(format!("NodeENI {name} names no subnet: set subnetID, subnetIDs, subnetName or subnetNames"));
        }
        if !has_group {
            let reason = format!("NodeENI {name} has no security group, so EC2 takes the default group of the VPC");
            named.groups.unlimited.push(reason);
        }
    }
    Ok(named)
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn nodeeni(spec: &Value) -> Value {
        json!({ "kind": "NodeENI", "metadata": { "name": "a" }, "spec": spec })
    }

    #[test]
    fn ids_limit_and_names_do_not() {
        let by_id =
            nodeeni(&json!({ "subnetID": "subnet-12345678", "securityGroupIDs": ["sg-12345678"], "mtu": 9000 }));
        let terms = nodeeni(&json!({
            "subnetSelectorTerms": [{ "id": "subnet-23456789" }], "subnetIDs": [],
            "securityGroupNames": ["storage"],
        }));
        let mut warnings = Vec::new();
        let Named { subnets, groups } = of(&[by_id.clone(), terms]).unwrap();
        let subnets = subnets.ids(&mut warnings, "subnets").unwrap();
        assert_eq!(subnets.iter().map(ToString::to_string).collect::<Vec<_>>(), ["subnet-12345678", "subnet-23456789"]);
        assert_eq!(groups.ids(&mut warnings, "security groups"), None);
        let expected =
            "security groups are not limited to IDs: NodeENI a has securityGroupNames, which a policy cannot name";
        assert_eq!(warnings, [expected]);
        assert!(of(&[by_id]).unwrap().groups.ids(&mut warnings, "security groups").is_some());
    }

    #[test]
    fn a_term_with_tags_and_a_missing_group_do_not_limit() {
        let object = nodeeni(&json!({ "subnetSelectorTerms": [{ "tags": { "a": "b" } }] }));
        let Named { subnets, groups } = of(&[object]).unwrap();
        let mut warnings = Vec::new();
        assert_eq!(subnets.ids(&mut warnings, "subnets"), None);
        assert_eq!(groups.ids(&mut warnings, "security groups"), None);
        assert!(warnings[1].contains("the default group of the VPC"), "{warnings:?}");
    }

    #[test]
    fn mistakes_are_named() {
        let words = |spec: Value| of(&[nodeeni(&spec)]).unwrap_err();
        let bad = words(json!({ "subnetID": "subnet-x" }));
        assert!(bad.starts_with("NodeENI a, spec.subnetID: \"subnet-x\" is not a subnet ID"), "{bad}");
        assert!(words(json!({ "nodeSelector": {} })).contains("names no subnet"));
        assert!(words(Value::Null).contains("has no spec"));
    }
}
