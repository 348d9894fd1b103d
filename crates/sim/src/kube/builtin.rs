//! The built-in resources, and those of their defaults and validation rules that matter to a controller of Nodes.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::{
    cause::Cause,
    jsonpath::JsonPath,
    metadata, printers,
    resource::{Conversion, GroupResource, Resource},
    schema::Schema,
    timestamp::timestamp,
};

/// All built-in resources.
pub fn resources() -> Vec<Resource> {
    let mut event = named("", "v1", "events", "Event", true);
    event.short_names = vec!["ev".into()];
    event.create_on_update = true;
    event.unconditional_update = true;
    event.selectable = fields(&[
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ]);
    let mut new_event = named("events.k8s.io", "v1", "events", "Event", true);
    new_event.short_names = vec!["ev".into()];
    new_event.create_on_update = true;
    new_event.unconditional_update = true;
    new_event.storage = GroupResource::new("", "events");
    new_event.conversion = Conversion::Events;
    new_event.selectable = ["kind", "namespace", "name", "uid"]
        .iter()
        .filter_map(|f| Some((format!("regarding.{f}"), JsonPath::parse(&format!(".involvedObject.{f}"))?)))
        .chain(fields(&["reason", "type"]))
        .collect();
    new_event.columns = printers::columns("events");

    let mut node = named("", "v1", "nodes", "Node", false);
    node.short_names = vec!["no".into()];
    node.status = true;
    node.unconditional_update = true;
    node.selectable = fields(&["spec.unschedulable"]);

    let mut namespace = named("", "v1", "namespaces", "Namespace", false);
    namespace.short_names = vec!["ns".into()];
    namespace.status = true;
    namespace.unconditional_update = true;
    namespace.selectable = fields(&["status.phase"]);

    let mut pod = named("", "v1", "pods", "Pod", true);
    pod.short_names = vec!["po".into()];
    pod.categories = vec!["all".into()];
    pod.status = true;
    pod.unconditional_update = true;
    pod.selectable = fields(&["spec.nodeName", "spec.serviceAccountName", "status.phase"]);

    let mut secret = named("", "v1", "secrets", "Secret", true);
    secret.unconditional_update = true;
    secret.selectable = fields(&["type"]);

    let mut configmap = named("", "v1", "configmaps", "ConfigMap", true);
    configmap.short_names = vec!["cm".into()];
    configmap.unconditional_update = true;

    let mut account = named("", "v1", "serviceaccounts", "ServiceAccount", true);
    account.short_names = vec!["sa".into()];
    account.unconditional_update = true;

    let mut lease = named("coordination.k8s.io", "v1", "leases", "Lease", true);
    lease.create_on_update = true;

    let mut crd = named("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", false);
    crd.short_names = vec!["crd".into(), "crds".into()];
    crd.categories = vec!["api-extensions".into()];
    crd.status = true;
    crd.generation = true;
    vec![event, new_event, node, namespace, pod, secret, configmap, account, lease, crd]
}

/// A resource without the optional features.
fn named(group: &str, version: &str, plural: &str, kind: &str, namespaced: bool) -> Resource {
    Resource {
        group: group.into(),
        version: version.into(),
        kind: kind.into(),
        list_kind: format!("{kind}List"),
        plural: plural.into(),
        singular: kind.to_lowercase(),
        short_names: Vec::new(),
        categories: Vec::new(),
        namespaced,
        status: false,
        storage: GroupResource::new(group, plural),
        custom: false,
        generation: false,
        unconditional_update: false,
        create_on_update: false,
        selectable: Vec::new(),
        columns: printers::columns(plural),
        schema: Schema::parse(&lists(kind)).unwrap_or_default(),
        schema_json: None,
        cel: None,
        conversion: Conversion::Same,
    }
}

fn fields(names: &[&str]) -> Vec<(String, JsonPath)> {
    names.iter().filter_map(|n| Some(((*n).to_owned(), JsonPath::parse(&format!(".{n}"))?))).collect()
}

/// The schema of `metadata`, which is the same for every kind: the lists that merge.
pub fn metadata_schema() -> Value {
    json!({ "properties": {
        "finalizers": { "x-kubernetes-list-type": "set" },
        "ownerReferences": {
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["uid"],
            "items": { "x-kubernetes-map-type": "atomic" },
        },
    } })
}

/// The schema of a built-in kind: only the lists that merge. All other fields are accepted.
fn lists(kind: &str) -> Value {
    let by = |key: &str| json!({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key] });
    let (spec, status) = match kind {
        "Node" => (
            json!({ "properties": {
                "podCIDRs": { "x-kubernetes-list-type": "set" },
            } }),
            json!({ "properties": { "conditions": by("type"), "addresses": by("type") } }),
        ),
        "Pod" => (
            json!({ "properties": {
                "containers": by("name"), "initContainers": by("name"), "volumes": by("name"),
                "imagePullSecrets": by("name"), "tolerations": {}, "schedulingGates": by("name"),
            } }),
            json!({ "properties": { "conditions": by("type"), "podIPs": by("ip"), "hostIPs": {} } }),
        ),
        "CustomResourceDefinition" => (json!({}), json!({ "properties": { "conditions": by("type") } })),
        _ => (json!({}), json!({ "properties": { "conditions": by("type") } })),
    };
    let mut properties = json!({ "metadata": metadata_schema(), "spec": spec, "status": status });
    if kind == "Event" {
        // A reference to an object has one owner as a whole.
        for field in ["involvedObject", "related"] {
            properties[field] = json!({ "x-kubernetes-map-type": "atomic" });
        }
    }
    json!({ "properties": properties })
}

/// The fields that a kind always shows, because its Go type does not omit them when empty. No manager owns them.
pub fn zero(res: &Resource) -> &'static Value {
    static NOTHING: LazyLock<Value> = LazyLock::new(|| json!({}));
    static NODE: LazyLock<Value> = LazyLock::new(|| {
        json!({ "spec": {}, "status": {
            "daemonEndpoints": { "kubeletEndpoint": { "Port": 0 } },
            "nodeInfo": {
                "architecture": "", "bootID": "", "containerRuntimeVersion": "", "kernelVersion": "", "kubeProxyVersion": "",
                "kubeletVersion": "", "machineID": "", "operatingSystem": "", "osImage": "", "systemUUID": "",
            },
        } })
    });
    static EVENT: LazyLock<Value> =
        LazyLock::new(|| json!({ "source": {}, "firstTimestamp": null, "lastTimestamp": null }));
    static LEASE: LazyLock<Value> = LazyLock::new(|| json!({ "spec": {} }));
    match res.kind.as_str() {
        "Lease" if !res.custom => &LEASE,
        "Node" if !res.custom => &NODE,
        "Event" if !res.custom => &EVENT,
        _ => &NOTHING,
    }
}

/// Adds the fields of `missing` that the object does not have.
fn fill_in(object: &mut Value, missing: &Value) {
    let (Some(map), Some(missing)) = (object.as_object_mut(), missing.as_object()) else { return };
    for (name, value) in missing {
        match map.get_mut(name) {
            Some(existing) => fill_in(existing, value),
            None => drop(map.insert(name.clone(), value.clone())),
        }
    }
}

/// Drops what a Node's Go types omit when it is empty: every field of `spec`, and every field of `status` that [`zero`] does not
/// show. So a Node whose last taint was removed has no `taints` (`k8s.io/api/core/v1`, the tags `omitempty` of NodeSpec and
/// NodeStatus).
fn omit_empty_fields_of_node(object: &mut Value) {
    for part in ["spec", "status"] {
        if let Some(fields) = object.get_mut(part).and_then(Value::as_object_mut) {
            fields.retain(|_, value| !metadata::is_empty(value) && *value != json!(false));
        }
    }
}

/// Sets the defaults of a built-in object.
pub fn default(res: &Resource, object: &mut Value) {
    if res.custom {
        return;
    }
    if res.kind == "Node" {
        omit_empty_fields_of_node(object);
    }
    fill_in(object, zero(res));
    let name = metadata::text(object, "name").to_owned();
    let mut fill = |field: &str, value: Value| {
        if let Some(map) = object.as_object_mut() {
            map.entry(field).or_insert(value);
        }
    };
    match res.kind.as_str() {
        "Namespace" => {
            fill("spec", json!({ "finalizers": ["kubernetes"] }));
            fill("status", json!({ "phase": "Active" }));
            if let Some(metadata) = metadata::of(object)
                && let Some(labels) = metadata.entry("labels").or_insert_with(|| json!({})).as_object_mut()
            {
                labels.insert("kubernetes.io/metadata.name".into(), json!(name));
            }
        }
        "Node" => {
            let conditions = object.pointer_mut("/status/conditions").and_then(Value::as_array_mut);
            conditions.into_iter().flatten().filter_map(Value::as_object_mut).for_each(condition_times);
        }
        "Pod" => fill("status", json!({ "phase": "Pending" })),
        "Secret" => fill("type", json!("Opaque")),
        _ => {}
    }
}

/// A Node's conditions always show both times, in whole seconds.
fn condition_times(condition: &mut Map<String, Value>) {
    for field in ["lastHeartbeatTime", "lastTransitionTime"] {
        let time = condition.entry(field).or_insert(Value::Null);
        let finer = time.as_str().filter(|text| text.contains('.')).and_then(|text| text.parse().ok());
        if let Some(finer) = finer {
            *time = json!(timestamp(finer));
        }
    }
}

/// Validates a built-in object.
pub fn validate(res: &Resource, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    match res.kind.as_str() {
        "Lease" => {
            let seconds = object.pointer("/spec/leaseDurationSeconds");
            if let Some(value) = seconds.filter(|v| v.as_i64().is_some_and(|n| n <= 0)) {
                causes.push(Cause::invalid("spec.leaseDurationSeconds", value, "must be greater than 0"));
            }
            let transitions = object.pointer("/spec/leaseTransitions");
            if let Some(value) = transitions.filter(|v| v.as_i64().is_some_and(|n| n < 0)) {
                causes.push(Cause::invalid("spec.leaseTransitions", value, "must be greater than or equal to 0"));
            }
        }
        "Node" => {
            let id = |node: &Value| node.pointer("/spec/providerID").and_then(Value::as_str).map(str::to_owned);
            let before = old.and_then(id).filter(|id| !id.is_empty());
            if before.is_some() && before != id(object) {
                let why = "node updates may not change providerID except from \"\" to valid";
                causes.push(Cause::forbidden("spec.providerID", why));
            }
            let taints = object.pointer("/spec/taints").and_then(Value::as_array);
            for (i, taint) in taints.into_iter().flatten().enumerate() {
                causes.extend(taint_cause(i, taint));
            }
        }
        _ => {}
    }
    causes
}

fn taint_cause(i: usize, taint: &Value) -> Option<Cause> {
    let field = |name: &str| taint.get(name).and_then(Value::as_str).unwrap_or_default();
    let path = format!("metadata.taints[{i}].effect");
    match field("effect") {
        "NoSchedule" | "PreferNoSchedule" | "NoExecute" if !field("key").is_empty() => None,
        "" => Some(Cause::required(path, "")),
        "NoSchedule" | "PreferNoSchedule" | "NoExecute" => {
            Some(Cause::invalid(format!("metadata.taints[{i}].key"), &json!(""), "name part must be non-empty"))
        }
        other => Some(Cause {
            reason: "FieldValueNotSupported",
            field: path,
            message: format!(
                "Unsupported value: {other:?}: supported values: \"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\""
            ),
        }),
    }
}
