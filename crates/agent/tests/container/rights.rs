//! The rights on the API server that the chart grants to the agent.

use super::{ACCOUNT, NAMESPACE, objects};
use multi_eni_control_plane::{ControlPlane, Failure};
use serde_json::Value;
use std::collections::BTreeSet;

/// The rights of the agent's ClusterRole and of its Roles: verb, resource and group.
pub fn granted(manifests: &str) -> Result<BTreeSet<String>, Failure> {
    let mut rights = BTreeSet::new();
    let roles = [objects(manifests, "ClusterRole")?, objects(manifests, "Role")?].concat();
    let is_of_agent = |role: &&Value| role["metadata"]["name"].as_str().unwrap().starts_with(ACCOUNT);
    for rule in roles.iter().filter(is_of_agent).flat_map(|role| role["rules"].as_array().unwrap()) {
        for verb in rule["verbs"].as_array().unwrap() {
            let word = |value: &Value| value.as_str().unwrap().to_owned();
            rights.insert(format!("{} {}.{}", word(verb), word(&rule["resources"][0]), word(&rule["apiGroups"][0])));
        }
    }
    Ok(rights)
}

/// The rights that the agent has used, by the audit log of the API server.
pub fn used(plane: &ControlPlane) -> Result<BTreeSet<String>, Failure> {
    let requests = plane.requests_of(NAMESPACE, ACCOUNT)?;
    Ok(requests.iter().map(|request| format!("{} {}.{}", request.verb, request.resource, request.group)).collect())
}
