//! The CEL rules of a CRD's schema (`x-kubernetes-validations`), compiled once and evaluated on every write.

use std::fmt;

use kube_cel::{CompiledSchema, ErrorKind, Validator, compile_schema};
use serde_json::Value;

use super::cause::Cause;

/// The compiled rules of one schema.
pub struct CelRules {
    compiled: CompiledSchema,
    types: Value,
    /// The top-level fields with rules at or below them. `None`: the object itself has a rule.
    ruled: Option<Vec<String>>,
    /// All rules are transition rules, which are not evaluated for a new object.
    only_changes: bool,
}

impl fmt::Debug for CelRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CelRules")
    }
}

impl CelRules {
    /// Compiles all rules of the schema, or returns the compilation errors.
    pub fn compile(schema: &Value) -> Result<Self, String> {
        let compiled = compile_schema(schema);
        let errors: Vec<String> = compiled.compilation_errors().iter().map(ToString::to_string).collect();
        if errors.is_empty() {
            Ok(Self { compiled, types: schema.clone(), ruled: ruled(schema), only_changes: only_changes(schema) })
        } else {
            Err(errors.join("; "))
        }
    }

    /// The violations of `object`. A violation at a value that did not change is tolerated.
    pub fn check(&self, object: &Value, old: Option<&Value>) -> Vec<Cause> {
        if old.is_none() && self.only_changes {
            return Vec::new();
        }
        if let (Some(fields), Some(old)) = (&self.ruled, old)
            && fields.iter().all(|field| object.get(field) == old.get(field))
        {
            return Vec::new();
        }
        let Err(errors) = Validator::new().validate_compiled(&self.compiled, object, old) else {
            return Vec::new();
        };
        let violations = errors.into_iter().filter(|e| {
            let unchanged = old.and_then(|old| at(old, &e.field_path)) == at(object, &e.field_path);
            !(unchanged && old.is_some() && e.kind == ErrorKind::ValidationFailure)
        });
        violations
            .map(|e| {
                let (reason, word) = match e.reason.as_deref() {
                    Some("FieldValueForbidden") => ("FieldValueForbidden", "Forbidden"),
                    Some("FieldValueRequired") => ("FieldValueRequired", "Required value"),
                    Some("FieldValueDuplicate") => ("FieldValueDuplicate", "Duplicate value"),
                    _ => ("FieldValueInvalid", "Invalid value"),
                };
                let kind = self.type_at(&e.field_path);
                let message = match reason {
                    "FieldValueForbidden" | "FieldValueRequired" => {
                        format!("{word}: {}", e.message)
                    }
                    _ => format!("{word}: {kind:?}: {}", e.message),
                };
                let field = if e.field_path.is_empty() { "<nil>".to_owned() } else { e.field_path };
                Cause { reason, field, message }
            })
            .collect()
    }

    /// The schema's type at a path. The real server shows the type instead of the value.
    fn type_at(&self, path: &str) -> String {
        let mut schema = Some(&self.types);
        for step in steps(path) {
            schema = schema.and_then(|s| match step.parse::<usize>() {
                Ok(_) if s.get("items").is_some() => s.get("items"),
                _ => s.get("properties").and_then(|p| p.get(&step)).or_else(|| s.get("additionalProperties")),
            });
        }
        schema.and_then(|s| s.get("type")).and_then(Value::as_str).unwrap_or("object").to_owned()
    }
}

const RULES: &str = "x-kubernetes-validations";

/// Whether all rules use `oldSelf`. The real server evaluates such transition rules only for updates.
fn only_changes(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => map.iter().all(|(name, value)| match value.as_array().filter(|_| name == RULES) {
            Some(rules) => rules.iter().all(|rule| {
                rule.get("rule").and_then(Value::as_str).is_some_and(|text| text.contains("oldSelf"))
                    && rule.get("optionalOldSelf").and_then(Value::as_bool) != Some(true)
            }),
            None => only_changes(value),
        }),
        Value::Array(list) => list.iter().all(only_changes),
        _ => true,
    }
}

/// The top-level fields with rules at or below them. `None`: the object itself has a rule.
fn ruled(schema: &Value) -> Option<Vec<String>> {
    fn has_rule(schema: &Value) -> bool {
        match schema {
            Value::Object(map) => map.contains_key(RULES) || map.values().any(has_rule),
            Value::Array(list) => list.iter().any(has_rule),
            _ => false,
        }
    }
    if schema.get(RULES).is_some() {
        return None;
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    Some(properties.into_iter().flatten().filter(|(_, s)| has_rule(s)).map(|(name, _)| name.clone()).collect())
}

/// The field names and indexes of a path.
fn steps(path: &str) -> Vec<String> {
    let split = path.split(['.', '[', ']']).filter(|s| !s.is_empty());
    split.map(|s| s.trim_matches('"').trim_matches('\'').to_owned()).collect()
}

/// The value at a path.
fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let mut found = value;
    for step in steps(path) {
        found = match found {
            Value::Array(list) => list.get(step.parse::<usize>().ok()?)?,
            other => other.get(&step)?,
        };
    }
    Some(found)
}
