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

/// Names in `managedFields` what was written as events.k8s.io/v1 as that version names it.
pub fn name_owned(managers: &mut Value) {
    for manager in managers.as_array_mut().into_iter().flatten() {
        let written_as_new = manager.get("apiVersion").and_then(Value::as_str) == Some("events.k8s.io/v1");
        let Some(fields) = manager.get_mut("fieldsV1").and_then(Value::as_object_mut).filter(|_| written_as_new) else {
            continue;
        };
        for (core, new) in NAMES {
            if let Some(owned) = fields.remove(&format!("f:{core}")) {
                fields.insert(format!("f:{new}"), owned);
            }
        }
    }
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
