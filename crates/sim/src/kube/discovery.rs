//! Discovery: the documents that list groups, versions and resources.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    request::RequestInfo,
    resource::{Resource, ResourceRef},
    state::State,
};

const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const STATUS_VERBS: [&str; 3] = ["get", "patch", "update"];

/// `/version`.
pub fn version() -> Value {
    json!({
        "major": "1", "minor": "34", "gitVersion": "v1.34.3", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "", "platform": "linux/amd64",
        "emulationMajor": "1", "emulationMinor": "34", "minCompatibilityMajor": "1", "minCompatibilityMinor": "33",
    })
}

/// The content type of aggregated discovery, if the client accepts it.
pub fn aggregated_type(info: &RequestInfo) -> Option<&'static str> {
    let accepts = |range: &str| range.contains("as=APIGroupDiscoveryList") && range.contains("v=v2;");
    let ranges: Vec<String> = info.accept.split(',').map(|r| format!("{};", r.trim().replace(' ', ""))).collect();
    ranges.iter().any(|r| accepts(r)).then_some("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
}

/// `/api` or `/apis` in one document.
pub fn aggregated(state: &State, core: bool) -> Value {
    let items: Vec<Value> = groups(state)
        .into_iter()
        .filter(|(group, _)| group.is_empty() == core)
        .map(|(group, versions)| {
            let versions: Vec<Value> = versions
                .into_iter()
                .map(|(version, resources)| {
                    json!({
                        "version": version, "freshness": "Current",
                        "resources": resources.iter().map(|r| aggregated_resource(r)).collect::<Vec<_>>(),
                    })
                })
                .collect();
            let metadata = if group.is_empty() { json!({}) } else { json!({ "name": group }) };
            json!({ "metadata": metadata, "versions": versions })
        })
        .collect();
    json!({ "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items })
}

fn aggregated_resource(res: &Resource) -> Value {
    let kind = json!({ "group": res.group, "version": res.version, "kind": res.kind });
    let mut entry = json!({
        "resource": res.plural, "responseKind": kind, "singularResource": res.singular,
        "scope": if res.namespaced { "Namespaced" } else { "Cluster" }, "verbs": VERBS,
    });
    if let Some(map) = entry.as_object_mut() {
        if !res.short_names.is_empty() {
            map.insert("shortNames".into(), json!(res.short_names));
        }
        if !res.categories.is_empty() {
            map.insert("categories".into(), json!(res.categories));
        }
        if res.status {
            let status = json!([{ "subresource": "status", "responseKind": kind, "verbs": STATUS_VERBS }]);
            map.insert("subresources".into(), status);
        }
    }
    entry
}

/// `/api`.
pub fn core_versions() -> Value {
    json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [] })
}

/// `/apis`.
pub fn group_list(state: &State) -> Value {
    let groups: Vec<Value> = groups(state).keys().filter(|g| !g.is_empty()).filter_map(|g| group(state, g)).collect();
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
}

/// `/apis/GROUP`.
pub fn group(state: &State, name: &str) -> Option<Value> {
    let groups = groups(state);
    let versions = groups.get(name)?;
    let entries: Vec<Value> =
        versions.keys().map(|v| json!({ "groupVersion": format!("{name}/{v}"), "version": v })).collect();
    Some(json!({
        "kind": "APIGroup", "apiVersion": "v1", "name": name, "versions": entries,
        "preferredVersion": entries.first(),
    }))
}

/// `/api/v1` or `/apis/GROUP/VERSION`.
pub fn resource_list(state: &State, group: &str, version: &str) -> Option<Value> {
    let groups = groups(state);
    let served = groups.get(group)?.get(version)?;
    let mut resources = Vec::new();
    for res in served {
        let mut entry = json!({
            "name": res.plural, "singularName": res.singular, "namespaced": res.namespaced, "kind": res.kind,
            "verbs": VERBS,
        });
        if let Some(map) = entry.as_object_mut() {
            if !res.short_names.is_empty() {
                map.insert("shortNames".into(), json!(res.short_names));
            }
            if !res.categories.is_empty() {
                map.insert("categories".into(), json!(res.categories));
            }
        }
        resources.push(entry);
        if res.status {
            resources.push(json!({
                "name": format!("{}/status", res.plural), "singularName": "", "namespaced": res.namespaced,
                "kind": res.kind, "verbs": STATUS_VERBS,
            }));
        }
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Some(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources,
    }))
}

type Groups = BTreeMap<String, BTreeMap<String, Vec<ResourceRef>>>;

/// The served resources by group and version.
pub fn groups(state: &State) -> Groups {
    let mut groups = Groups::new();
    for res in state.resources() {
        let versions = groups.entry(res.group.clone()).or_default();
        versions.entry(res.version.clone()).or_default().push(res.clone());
    }
    groups
}
