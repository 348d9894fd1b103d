//! `metadata`: the fields that the server sets or keeps, and the validation.

use serde_json::{Map, Value, json};

use super::{cause::Cause, resource::Resource};

/// The fields of ObjectMeta. Other fields in `metadata` are dropped.
const KNOWN: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// The fields that only the server sets. An update keeps their stored values.
const KEPT: [&str; 7] = [
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "managedFields",
    "selfLink",
];

/// A string field of `metadata`, or empty.
pub fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get("metadata").and_then(|m| m.get(field)).and_then(Value::as_str).unwrap_or_default()
}

/// The object's `metadata`, which is added if it is missing.
pub fn of(object: &mut Value) -> Option<&mut Map<String, Value>> {
    object.as_object_mut()?.entry("metadata").or_insert_with(|| json!({})).as_object_mut()
}

/// Sets or, with null, removes a field of `metadata`.
pub fn set(object: &mut Value, field: &str, value: Value) {
    if let Some(metadata) = of(object) {
        if value.is_null() {
            metadata.remove(field);
        } else {
            metadata.insert(field.to_owned(), value);
        }
    }
}

/// Whether the object is being deleted.
pub fn is_terminating(object: &Value) -> bool {
    !text(object, "deletionTimestamp").is_empty()
}

/// The finalizers, in order.
pub fn finalizers(object: &Value) -> Vec<&str> {
    let list = object.get("metadata").and_then(|metadata| metadata.get("finalizers")).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Drops empty values and the fields that ObjectMeta does not have. Returns the unknown fields.
pub fn normalise(object: &mut Value) -> Vec<String> {
    let Some(metadata) = of(object) else {
        return Vec::new();
    };
    let unknown: Vec<String> =
        metadata.keys().filter(|k| !KNOWN.contains(&k.as_str())).map(|k| format!("metadata.{k}")).collect();
    metadata.retain(|name, value| KNOWN.contains(&name.as_str()) && !is_empty(value));
    unknown
}

/// True for `null`, and for a list, a map or a text without content.
pub fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Copies the fields that only the server sets from `old`.
pub fn keep_system_fields(new: &mut Value, old: &Value) {
    for field in KEPT {
        let value = old.get("metadata").and_then(|m| m.get(field)).cloned().unwrap_or(Value::Null);
        set(new, field, value);
    }
}

/// Validates an object's metadata.
pub fn validate(res: &Resource, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let name = text(object, "name");
    if old.is_none() && !valid_name(res, name) {
        let why = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
                   and must start and end with an alphanumeric character (e.g. 'example.com', regex used for \
                   validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
        causes.push(Cause::invalid("metadata.name", &json!(name), why));
    }
    for field in ["labels", "annotations"] {
        let path = format!("metadata.{field}");
        let map = object.get("metadata").and_then(|m| m.get(field)).and_then(Value::as_object);
        for (key, value) in map.into_iter().flatten() {
            if !qualified_name(key) {
                let why = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end \
                           with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for \
                           validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
                causes.push(Cause::invalid(&path, &json!(key), why));
            }
            if field == "labels" && !value.as_str().is_some_and(label_value) {
                let why = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
                           '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or \
                           'my_value',  or '12345', regex used for validation is \
                           '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
                causes.push(Cause::invalid(&path, value, why));
            }
        }
    }
    for finalizer in finalizers(object) {
        if !qualified_name(finalizer) {
            causes.push(Cause::invalid("metadata.finalizers", &json!(finalizer), "name is not a qualified name"));
        }
    }
    if let Some(old) = old.filter(|old| is_terminating(old)) {
        let had = finalizers(old);
        let added: Vec<&str> = finalizers(object).into_iter().filter(|f| !had.contains(f)).collect();
        if !added.is_empty() {
            let quoted: Vec<String> = added.iter().map(|f| format!("{f:?}")).collect();
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                quoted.join(", ")
            );
            causes.push(Cause::forbidden("metadata.finalizers", &why));
        }
    }
    causes
}

fn valid_name(res: &Resource, name: &str) -> bool {
    if res.group == "rbac.authorization.k8s.io" {
        return !name.is_empty();
    }
    let label = |part: &str| {
        let inner = part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        inner && !part.is_empty() && !part.starts_with('-') && !part.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

fn qualified_name(name: &str) -> bool {
    match name.split_once('/') {
        Some((prefix, name)) => !prefix.is_empty() && prefix.len() <= 253 && label_value(name) && !name.is_empty(),
        None => !name.is_empty() && label_value(name),
    }
}

fn label_value(value: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    value.len() <= 63
        && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && edge(value.chars().next())
        && edge(value.chars().last())
}
