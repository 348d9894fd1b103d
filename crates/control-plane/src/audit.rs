//! The API server's audit log: which requests the ServiceAccounts send. Those of the admin are not logged.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// kube-apiserver's flags for the log. Paths are relative to the directory of the test. The log is written before the answer.
pub(crate) const FLAGS: [&str; 3] =
    ["--audit-policy-file=audit-policy.json", "--audit-log-path=audit.log", "--audit-log-mode=blocking"];

/// A request as RBAC sees it. Requests for nothing but a path, such as `/readyz`, have a path and no resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiRequest {
    /// The verb, such as `list`.
    pub verb: String,
    /// The API group; empty for the core group.
    pub group: String,
    /// The resource, with its subresource: `nodeenis/status`.
    pub resource: String,
    /// The namespace; empty for objects of the cluster.
    pub namespace: String,
    /// The name of the object; empty for a list.
    pub name: String,
    /// The path of a request without a resource.
    pub path: String,
}

/// Writes the audit policy.
pub(crate) fn write_policy(dir: &Path) -> Result<(), String> {
    let policy = json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{ "level": "Metadata", "userGroups": ["system:serviceaccounts"] }, { "level": "None" }],
    });
    let path = dir.join("audit-policy.json");
    fs::write(&path, policy.to_string()).map_err(|e| format!("{}: {e}", path.display()))
}

/// The distinct requests of a user. A last line that is not yet whole is left out.
pub(crate) fn requests_of(dir: &Path, user: &str) -> Result<BTreeSet<ApiRequest>, String> {
    let path = dir.join("audit.log");
    let log = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let whole = log.rfind('\n').map_or("", |end| log.get(..end).unwrap_or_default());
    let mut requests = BTreeSet::new();
    for line in whole.lines() {
        let event: Value = serde_json::from_str(line).map_err(|e| format!("{}: {e}: {line}", path.display()))?;
        if event["user"]["username"] == user {
            requests.insert(request(&event));
        }
    }
    Ok(requests)
}

fn request(event: &Value) -> ApiRequest {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = &event["objectRef"];
    let mut resource = text(&object["resource"]);
    if let Some(subresource) = object["subresource"].as_str() {
        resource = format!("{resource}/{subresource}");
    }
    let uri = text(&event["requestURI"]);
    let path = if resource.is_empty() { uri.split('?').next().unwrap_or_default().to_owned() } else { String::new() };
    ApiRequest {
        verb: text(&event["verb"]),
        group: text(&object["apiGroup"]),
        resource,
        namespace: text(&object["namespace"]),
        name: text(&object["name"]),
        path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_its_subresource_or_its_path() {
        let patch = json!({ "verb": "patch", "requestURI": "/apis/networking.k8s.aws/v1alpha1/nodeenis/a/status?x=y",
            "objectRef": { "apiGroup": "networking.k8s.aws", "resource": "nodeenis", "subresource": "status", "name": "a" } });
        let patch = request(&patch);
        assert_eq!((patch.resource.as_str(), patch.name.as_str(), patch.path.as_str()), ("nodeenis/status", "a", ""));
        let probe = request(&json!({ "verb": "get", "requestURI": "/readyz?verbose" }));
        assert_eq!((probe.resource.as_str(), probe.path.as_str()), ("", "/readyz"));
    }
}
