//! Rights of RBAC, as the chart's roles grant them, and whether a request is covered by one.

use std::collections::BTreeSet;

use multi_eni_control_plane::{ApiRequest, Failure};
use serde::Deserialize;
use serde_json::Value;

/// The paths that the controller and `drain` ask for: every authenticated user may (the ClusterRoles system:discovery and
/// system:public-info-viewer).
const PATHS: [&str; 3] = ["/readyz", "/apis", "/apis/networking.k8s.aws/v1alpha1"];

/// One verb on one resource. In a namespace, or on one object, if these are given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    pub verb: String,
    pub group: String,
    pub resource: String,
    pub namespace: Option<String>,
    pub name: Option<String>,
}

impl Right {
    /// Whether RBAC allows the request by this right.
    pub fn covers(&self, request: &ApiRequest) -> bool {
        self.verb == request.verb
            && self.group == request.group
            && self.resource == request.resource
            && self.namespace.as_ref().is_none_or(|namespace| *namespace == request.namespace)
            && self.name.as_ref().is_none_or(|name| *name == request.name)
    }
}

/// The rights that the Roles and ClusterRoles of these manifests grant.
pub fn granted_by(manifests: &str) -> Result<BTreeSet<Right>, Failure> {
    let mut rights = BTreeSet::new();
    for document in serde_yaml::Deserializer::from_str(manifests) {
        let object = Value::deserialize(document).map_err(|e| e.to_string())?;
        let namespace = match object["kind"].as_str() {
            Some("ClusterRole") => None,
            Some("Role") => Some(object["metadata"]["namespace"].as_str().unwrap_or("default").to_owned()),
            _ => continue,
        };
        for rule in object["rules"].as_array().into_iter().flatten() {
            let names = texts(&rule["resourceNames"]).into_iter().map(Some).collect::<Vec<_>>();
            let names = if names.is_empty() { vec![None] } else { names };
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    for verb in texts(&rule["verbs"]) {
                        rights.extend(names.iter().map(|name| Right {
                            verb: verb.clone(),
                            group: group.clone(),
                            resource: resource.clone(),
                            namespace: namespace.clone(),
                            name: name.clone(),
                        }));
                    }
                }
            }
        }
    }
    Ok(rights)
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(ToOwned::to_owned).collect()
}

/// The requests that no right covers.
pub fn not_covered<'a>(rights: &BTreeSet<Right>, requests: &'a BTreeSet<ApiRequest>) -> Vec<&'a ApiRequest> {
    let covered = |request: &ApiRequest| match request.path.as_str() {
        "" => rights.iter().any(|right| right.covers(request)),
        path => PATHS.contains(&path),
    };
    requests.iter().filter(|request| !covered(request)).collect()
}
