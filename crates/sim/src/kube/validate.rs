//! Structural validation of custom resources: types, bounds, patterns and combinations of the schema.

use serde_json::Value;

use super::{
    cause::Cause,
    schema::{ListType, Schema},
};

/// The violations of `value`. Values that are the same in `old` are not checked (ratcheting).
pub fn validate(schema: &Schema, value: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    check(schema, value, old, "", &mut causes);
    causes
}

fn check(schema: &Schema, value: &Value, old: Option<&Value>, path: &str, causes: &mut Vec<Cause>) {
    if old == Some(value) {
        return;
    }
    if value.is_null() && (schema.nullable || schema.kind.is_empty()) {
        return;
    }
    if !of_type(schema, value) {
        let given = type_name(value);
        let expected = if schema.int_or_string { "integer,string" } else { &schema.kind };
        causes.push(Cause {
            reason: "FieldValueTypeInvalid",
            field: path.to_owned(),
            message: format!("Invalid value: {given:?}: {path} in body must be of type {expected}: {given:?}"),
        });
        return;
    }
    if !schema.allowed.is_empty() && !schema.allowed.contains(value) {
        let list: Vec<String> = schema.allowed.iter().map(Value::to_string).collect();
        causes.push(Cause {
            reason: "FieldValueNotSupported",
            field: path.to_owned(),
            message: format!("Unsupported value: {value}: supported values: {}", list.join(", ")),
        });
    }
    match value {
        Value::String(text) => check_string(schema, text, value, path, causes),
        Value::Number(number) => check_number(schema, number.as_f64().unwrap_or(0.0), value, path, causes),
        Value::Array(items) => check_list(schema, items, old, path, causes),
        Value::Object(_) => check_object(schema, value, old, path, causes),
        Value::Null | Value::Bool(_) => {}
    }
    check_combinations(schema, value, path, causes);
}

fn check_string(schema: &Schema, text: &str, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let length = text.chars().count() as u64;
    if let Some(max) = schema.max_length.filter(|max| length > *max) {
        causes.push(Cause {
            reason: "FieldValueTooLong",
            field: path.to_owned(),
            message: format!("Too long: may not be more than {max} bytes"),
        });
    }
    if let Some(min) = schema.min_length.filter(|min| length < *min) {
        causes.push(Cause::invalid(path, value, &format!("{path} in body should be at least {min} chars long")));
    }
    if let Some((written, compiled)) = &schema.pattern
        && !compiled.is_match(text)
    {
        causes.push(Cause::invalid(path, value, &format!("{path} in body should match '{written}'")));
    }
    let wrong = match schema.format.as_str() {
        "date-time" => text.parse::<jiff::Timestamp>().is_err(),
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_err(),
        "ipv6" => text.parse::<std::net::Ipv6Addr>().is_err(),
        _ => false,
    };
    if wrong {
        let why = format!("{path} in body must be of type {}: {value}", schema.format);
        causes.push(Cause::invalid(path, value, &why));
    }
}

fn check_number(schema: &Schema, number: f64, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    if let Some((min, exclusive)) = schema.minimum
        && (number < min || exclusive && number <= min)
    {
        let word = if exclusive { "greater than" } else { "greater than or equal to" };
        causes.push(Cause::invalid(path, value, &format!("{path} in body should be {word} {min}")));
    }
    if let Some((max, exclusive)) = schema.maximum
        && (number > max || exclusive && number >= max)
    {
        let word = if exclusive { "less than" } else { "less than or equal to" };
        causes.push(Cause::invalid(path, value, &format!("{path} in body should be {word} {max}")));
    }
    if let Some(of) = schema.multiple_of
        && (number % of).abs() > f64::EPSILON
    {
        causes.push(Cause::invalid(path, value, &format!("{path} in body should be a multiple of {of}")));
    }
}

fn check_list(schema: &Schema, items: &[Value], old: Option<&Value>, path: &str, causes: &mut Vec<Cause>) {
    let count = items.len() as u64;
    check_count((schema.min_items, schema.max_items), count, "items", path, causes);
    let old_items = old.and_then(Value::as_array);
    for (at, item) in items.iter().enumerate() {
        let counterpart = match &schema.list_type {
            ListType::Map(keys) => {
                old_items.and_then(|old| old.iter().find(|o| keys.iter().all(|k| o.get(k) == item.get(k))))
            }
            ListType::Set | ListType::Atomic => None,
        };
        // Skip unchanged items without making their paths.
        if counterpart != Some(item) {
            check(schema.item(), item, counterpart, &format!("{path}[{at}]"), causes);
        }
        let same = |other: &Value| match &schema.list_type {
            ListType::Map(keys) => keys.iter().all(|k| other.get(k) == item.get(k)),
            ListType::Set => other == item,
            ListType::Atomic => false,
        };
        if items[..at].iter().any(same) {
            let shown = match &schema.list_type {
                ListType::Map(keys) => {
                    keys.iter().filter_map(|k| Some((k.clone(), item.get(k)?.clone()))).collect::<Value>()
                }
                ListType::Set | ListType::Atomic => item.clone(),
            };
            causes.push(Cause {
                reason: "FieldValueDuplicate",
                field: format!("{path}[{at}]"),
                message: format!("Duplicate value: {shown}"),
            });
        }
    }
}

fn check_object(schema: &Schema, value: &Value, old: Option<&Value>, path: &str, causes: &mut Vec<Cause>) {
    let Some(map) = value.as_object() else { return };
    check_count((schema.min_properties, schema.max_properties), map.len() as u64, "properties", path, causes);
    for name in &schema.required {
        if !map.contains_key(name) {
            causes.push(Cause::required(join(path, name), ""));
        }
    }
    for (name, child) in map {
        // `metadata::validate` checks the root's metadata, whatever the schema contains for it.
        if path.is_empty() && matches!(name.as_str(), "metadata" | "apiVersion" | "kind") {
            continue;
        }
        let old_child = old.and_then(|old| old.get(name));
        if old_child == Some(child) {
            continue;
        }
        if let Some(property) = schema.properties.get(name) {
            check(property, child, old_child, &join(path, name), causes);
        } else if let Some(additional) = &schema.additional {
            check(additional, child, old_child, &join(path, name), causes);
        }
    }
}

fn check_count((min, max): (Option<u64>, Option<u64>), count: u64, what: &str, path: &str, causes: &mut Vec<Cause>) {
    if let Some(max) = max.filter(|max| count > *max) {
        causes.push(Cause {
            reason: "FieldValueTooMany",
            field: path.to_owned(),
            message: format!("Too many: {count}: must have at most {max} items"),
        });
    }
    if let Some(min) = min.filter(|min| count < *min) {
        let why = format!("{path} in body should have at least {min} {what}");
        causes.push(Cause::invalid(path, &Value::from(count), &why));
    }
}

fn check_combinations(schema: &Schema, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let holds = |s: &Schema| {
        let mut inner = Vec::new();
        check(s, value, None, path, &mut inner);
        inner.is_empty()
    };
    for each in &schema.all_of {
        check(each, value, None, path, causes);
    }
    let shown = if value.is_object() || value.is_array() { Value::from(type_name(value)) } else { value.clone() };
    if !schema.any_of.is_empty() && !schema.any_of.iter().any(holds) {
        let why = format!("{path} in body must validate at least one schema (anyOf)");
        causes.push(Cause::invalid(path, &shown, &why));
    }
    if !schema.one_of.is_empty() && schema.one_of.iter().filter(|s| holds(s)).count() != 1 {
        let why = format!("{path} in body must validate one and only one schema (oneOf)");
        causes.push(Cause::invalid(path, &shown, &why));
    }
    if schema.not.as_deref().is_some_and(holds) {
        causes.push(Cause::invalid(path, &shown, &format!("{path} in body must not validate the schema (not)")));
    }
}

fn of_type(schema: &Schema, value: &Value) -> bool {
    if schema.int_or_string {
        return value.is_string() || value.is_i64() || value.is_u64();
    }
    match schema.kind.as_str() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0),
        _ => true,
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
