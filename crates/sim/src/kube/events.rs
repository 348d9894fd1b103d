//! Conversion of Events. They are stored as core/v1; events.k8s.io/v1 has the same fields under other names.

use serde_json::{Map, Value, json};

/// The field names in core/v1 and in events.k8s.io/v1.
const NAMES: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// Converts from events.k8s.io/v1 to core/v1.
pub fn to_core(event: Value) -> Value {
    rename(event, "v1", |name| NAMES.iter().find(|(_, new)| *new == name).map(|(core, _)| *core))
}

/// Converts from core/v1 to events.k8s.io/v1.
pub fn from_core(event: &Value) -> Value {
    rename(event.clone(), "events.k8s.io/v1", |name| NAMES.iter().find(|(core, _)| *core == name).map(|(_, new)| *new))
}

/// Renames the fields in `managedFields` that were written as events.k8s.io/v1 to that version's names.
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
