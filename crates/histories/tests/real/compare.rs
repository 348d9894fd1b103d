//! Compares two answers, without what always differs between two servers.

use serde_json::{Map, Value};

/// Removes what differs between any two servers: the times in managed fields. That a time is there stays.
pub fn normalise(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(managers) =
                map.get_mut("metadata").and_then(|metadata| metadata.get_mut("managedFields")?.as_array_mut())
            {
                normalise_managers(managers);
            }
            normalise_causes(map);
            // The items of a list.
            if let Some(items) = map.get_mut("items") {
                normalise(items);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(normalise),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The real server lists causes of built-in kinds twice, and causes of rules in any order. Its message joins them.
fn normalise_causes(status: &mut Map<String, Value>) {
    let causes = status.get_mut("details").and_then(|details| details.get_mut("causes")?.as_array_mut());
    let Some(causes) = causes else { return };
    causes.sort_by_key(Value::to_string);
    causes.dedup();
    if causes.len() > 1 && status.get("reason").is_some_and(|reason| reason == "Invalid") {
        status.insert("message".to_owned(), Value::from("(its causes)"));
    }
}

fn normalise_managers(managers: &mut [Value]) {
    for manager in managers.iter_mut() {
        if let Some(time) = manager.get_mut("time") {
            *time = Value::from("(a time)");
        }
    }
    // The real server sorts them by time, and the times differ here.
    let key = |manager: &Value| ["operation", "manager", "subresource", "apiVersion"].map(|f| manager[f].to_string());
    managers.sort_by_key(key);
}

/// The differences between two values, one line each.
pub fn differences(simulated: &Value, real: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    compare("", Some(simulated), Some(real), &mut lines);
    lines
}

fn compare(path: &str, simulated: Option<&Value>, real: Option<&Value>, lines: &mut Vec<String>) {
    match (simulated, real) {
        (Some(simulated), Some(real)) if simulated == real => {}
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let mut names: Vec<&String> = one.keys().chain(other.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                compare(&format!("{path}/{name}"), one.get(name), other.get(name), lines);
            }
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) => {
            for at in 0..one.len().max(other.len()) {
                compare(&format!("{path}/{at}"), one.get(at), other.get(at), lines);
            }
        }
        (simulated, real) => {
            let shown = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
            lines.push(format!("{path}: simulated {}, real {}", shown(simulated), shown(real)));
        }
    }
}

#[test]
fn only_the_times_of_managed_fields_are_ignored() {
    let object = |time: &str, manager: &str, said: &str| {
        let mut object = serde_json::json!({
            "metadata": { "managedFields": [{ "manager": manager, "time": time }] }, "status": { "time": said },
        });
        normalise(&mut object);
        object
    };
    assert_eq!(differences(&object("1", "a", "x"), &object("2", "a", "x")), Vec::<String>::new());
    let lines = differences(&object("1", "a", "x"), &object("2", "b", "y"));
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[0], "/metadata/managedFields/0/manager: simulated \"a\", real \"b\"");
}
