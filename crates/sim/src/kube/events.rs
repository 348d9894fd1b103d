//! Events are one thing under two names: core/v1 is stored, events.k8s.io/v1 is the same with other field names.

use serde_json::{Map, Value, json};

/// Names in core/v1 and in events.k8s.io/v1.
const NAMES: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// events.k8s.io/v1 → core/v1.
pub fn to_core(event: Value) -> Value {
    rename(event, "v1", |name| NAMES.iter().find(|(_, new)| *new == name).map(|(core, _)| *core))
}

/// core/v1 → events.k8s.io/v1.
pub fn from_core(event: &Value) -> Value {
    rename(event.clone(), "events.k8s.io/v1", |name| NAMES.iter().find(|(core, _)| *core == name).map(|(_, new)| *new))
}

fn rename(event: Value, api_version: &str, other: impl Fn(&str) -> Option<&'static str>) -> Value {
    let Value::Object(map) = event else {
        return event;
    };
    let mut renamed: Map<String, Value> =
        map.into_iter().map(|(name, value)| (other(&name).map_or(name, str::to_owned), value)).collect();
    renamed.insert("apiVersion".into(), json!(api_version));
    Value::Object(renamed)
}
