//! The table columns of built-in resources.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    age,
    jsonpath::JsonPath,
    resource::{Cell, Column},
};

type Printer = fn(&Value, Timestamp) -> Value;

/// The columns of a built-in resource. The default is NAME and AGE.
pub fn columns(plural: &str) -> Vec<Column> {
    let name = printed("Name", "string", 0, |o, _| text(o, "/metadata/name"));
    let age = printed("Age", "string", 0, |o, now| since(o, "/metadata/creationTimestamp", now));
    match plural {
        "nodes" => vec![
            name,
            printed("Status", "string", 0, node_status),
            printed("Roles", "string", 0, node_roles),
            age,
            at("Version", 0, ".status.nodeInfo.kubeletVersion"),
            printed("Internal-IP", "string", 1, |o, _| address(o, "InternalIP")),
            printed("External-IP", "string", 1, |o, _| address(o, "ExternalIP")),
            at("OS-Image", 1, ".status.nodeInfo.osImage"),
            at("Kernel-Version", 1, ".status.nodeInfo.kernelVersion"),
            at("Container-Runtime", 1, ".status.nodeInfo.containerRuntimeVersion"),
        ],
        "namespaces" => vec![name, at("Status", 0, ".status.phase"), age],
        "leases" => vec![name, at("Holder", 0, ".spec.holderIdentity"), age],
        "secrets" => vec![name, at("Type", 0, ".type"), printed("Data", "string", 0, |o, _| count(o, "/data")), age],
        "configmaps" => vec![name, printed("Data", "string", 0, |o, _| count(o, "/data")), age],
        "serviceaccounts" => {
            vec![name, printed("Secrets", "string", 0, |o, _| count(o, "/secrets")), age]
        }
        "customresourcedefinitions" => {
            vec![name, at("Created At", 0, ".metadata.creationTimestamp")]
        }
        "pods" => vec![
            name,
            printed("Ready", "string", 0, pod_ready),
            at("Status", 0, ".status.phase"),
            printed("Restarts", "string", 0, |_, _| json!("0")),
            age,
            at("IP", 1, ".status.podIP"),
            at("Node", 1, ".spec.nodeName"),
        ],
        "events" => vec![
            printed("Last Seen", "string", 0, last_seen),
            at("Type", 0, ".type"),
            at("Reason", 0, ".reason"),
            printed("Object", "string", 0, involved),
            at("Subobject", 1, ".involvedObject.fieldPath"),
            printed("Source", "string", 1, source),
            at("Message", 0, ".message"),
            printed("First Seen", "string", 1, first_seen),
            printed("Count", "string", 1, |o, _| json!(o.get("count").map_or("1".into(), Value::to_string))),
            printed("Name", "string", 1, |o, _| text(o, "/metadata/name")),
        ],
        _ => vec![name, age],
    }
}

fn printed(name: &str, kind: &str, priority: i64, printer: Printer) -> Column {
    let format = if name == "Name" { "name" } else { "" };
    Column {
        name: name.into(),
        kind: kind.into(),
        format: format.into(),
        priority,
        description: String::new(),
        cell: Cell::Printer(printer),
    }
}

fn at(name: &str, priority: i64, path: &str) -> Column {
    let mut column = printed(name, "string", priority, |_, _| json!(""));
    if let Some(path) = JsonPath::parse(path) {
        column.cell = Cell::Path(path);
    }
    column
}

fn text(object: &Value, pointer: &str) -> Value {
    json!(object.pointer(pointer).and_then(Value::as_str).unwrap_or_default())
}

fn count(object: &Value, pointer: &str) -> Value {
    let found = object.pointer(pointer);
    let count = found.and_then(Value::as_object).map(serde_json::Map::len);
    json!(count.or_else(|| found.and_then(Value::as_array).map(Vec::len)).unwrap_or(0).to_string())
}

fn since(object: &Value, pointer: &str, now: Timestamp) -> Value {
    let time = object.pointer(pointer).and_then(Value::as_str).and_then(|t| t.parse::<Timestamp>().ok());
    json!(time.map_or_else(|| "<unknown>".to_owned(), |t| age::age(t, now)))
}

fn node_status(node: &Value, _: Timestamp) -> Value {
    let conditions = node.pointer("/status/conditions").and_then(Value::as_array);
    let ready = conditions.into_iter().flatten().find(|c| c.get("type").and_then(Value::as_str) == Some("Ready"));
    let mut shown = match ready.and_then(|c| c.get("status")).and_then(Value::as_str) {
        Some("True") => "Ready".to_owned(),
        Some(_) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if node.pointer("/spec/unschedulable").and_then(Value::as_bool) == Some(true) {
        shown.push_str(",SchedulingDisabled");
    }
    json!(shown)
}

fn node_roles(node: &Value, _: Timestamp) -> Value {
    let labels = node.pointer("/metadata/labels").and_then(Value::as_object);
    let roles: Vec<&str> =
        labels.into_iter().flatten().filter_map(|(k, _)| k.strip_prefix("node-role.kubernetes.io/")).collect();
    json!(if roles.is_empty() { "<none>".to_owned() } else { roles.join(",") })
}

fn address(node: &Value, kind: &str) -> Value {
    let list = node.pointer("/status/addresses").and_then(Value::as_array);
    let found = list.into_iter().flatten().find(|a| a.get("type").and_then(Value::as_str) == Some(kind));
    json!(found.and_then(|a| a.get("address")).and_then(Value::as_str).unwrap_or("<none>"))
}

fn pod_ready(pod: &Value, _: Timestamp) -> Value {
    let all = pod.pointer("/spec/containers").and_then(Value::as_array).map_or(0, Vec::len);
    let statuses = pod.pointer("/status/containerStatuses").and_then(Value::as_array);
    let ready = |s: &&Value| s.get("ready").and_then(Value::as_bool) == Some(true);
    json!(format!("{}/{all}", statuses.into_iter().flatten().filter(ready).count()))
}

fn first_time<'a>(event: &'a Value, pointers: &[&'a str]) -> Option<&'a str> {
    pointers.iter().copied().find(|p| event.pointer(p).is_some_and(Value::is_string))
}

fn last_seen(event: &Value, now: Timestamp) -> Value {
    let places = ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"];
    first_time(event, &places).map_or(json!("<unknown>"), |p| since(event, p, now))
}

fn first_seen(event: &Value, now: Timestamp) -> Value {
    let places = ["/firstTimestamp", "/eventTime", "/metadata/creationTimestamp"];
    first_time(event, &places).map_or(json!("<unknown>"), |p| since(event, p, now))
}

fn involved(event: &Value, _: Timestamp) -> Value {
    let part =
        |field: &str| event.pointer(&format!("/involvedObject/{field}")).and_then(Value::as_str).unwrap_or_default();
    json!(format!("{}/{}", part("kind").to_lowercase(), part("name")))
}

fn source(event: &Value, _: Timestamp) -> Value {
    let component = event.pointer("/source/component").and_then(Value::as_str).filter(|s| !s.is_empty());
    let component = component.or_else(|| event.get("reportingComponent").and_then(Value::as_str)).unwrap_or_default();
    let instance = event.pointer("/source/host").or_else(|| event.get("reportingInstance"));
    match instance.and_then(Value::as_str).filter(|s| !s.is_empty()) {
        Some(instance) => json!(format!("{component}, {instance}")),
        None => json!(component),
    }
}
