//! Pruning of unknown fields and defaulting, by the schema of a custom resource.

use serde_json::Value;

use super::schema::Schema;

/// Removes the fields that the schema does not have. Returns their paths.
pub fn prune(schema: &Schema, value: &mut Value) -> Vec<String> {
    let mut unknown = Vec::new();
    if !knows_all(schema, value, true) {
        walk(schema, value, "", true, &mut unknown);
    }
    unknown
}

fn is_meta(name: &str) -> bool {
    matches!(name, "apiVersion" | "kind" | "metadata")
}

/// Whether the schema has all fields. In this usual case, no paths need to be made.
fn knows_all(schema: &Schema, value: &Value, root: bool) -> bool {
    match value {
        Value::Object(map) => {
            map.iter().filter(|(name, _)| !(root && is_meta(name))).all(|(name, child)| {
                match schema.properties.get(name).or(schema.additional.as_deref()) {
                    Some(schema) => knows_all(schema, child, false),
                    None => schema.preserve_unknown || schema.any_additional,
                }
            })
        }
        Value::Array(items) => schema.items.as_deref().is_none_or(|s| items.iter().all(|i| knows_all(s, i, false))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

fn walk(schema: &Schema, value: &mut Value, path: &str, root: bool, unknown: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            let names: Vec<String> = map.keys().cloned().collect();
            for name in names {
                if root && is_meta(&name) {
                    continue;
                }
                let child_path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let child_schema = schema.properties.get(&name).or(schema.additional.as_deref());
                match (child_schema, map.get_mut(&name)) {
                    (Some(child_schema), Some(child)) => walk(child_schema, child, &child_path, false, unknown),
                    (None, _) if schema.preserve_unknown || schema.any_additional => {}
                    _ => {
                        map.remove(&name);
                        unknown.push(child_path);
                    }
                }
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                if let Some(schema) = &schema.items {
                    walk(schema, item, &format!("{path}[{at}]"), false, unknown);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Sets defaults. A null counts as absent if the schema has a default and is not nullable.
pub fn default(schema: &Schema, value: &mut Value) {
    match value {
        Value::Object(map) => {
            let defaults = schema.properties.iter().filter(|(_, child)| schema.has_defaults && child.default.is_some());
            for (name, child) in defaults {
                if let Some(default) = &child.default
                    && map.get(name).is_none_or(|v| v.is_null() && !child.nullable)
                {
                    map.insert(name.clone(), default.clone());
                }
            }
            map.retain(|name, value| {
                let schema = if value.is_null() { schema.properties.get(name) } else { None };
                schema.is_none_or(|schema| schema.nullable || schema.kind.is_empty())
            });
            for (name, child) in map.iter_mut() {
                if let Some(schema) = schema.properties.get(name).or(schema.additional.as_deref()) {
                    default(schema, child);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = &schema.items {
                items.iter_mut().for_each(|item| default(schema, item));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
