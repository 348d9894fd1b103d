//! CEL rules of a CRD's schema (`x-kubernetes-validations`), compiled once and run on every write.

use std::fmt;

use kube_cel::{CompiledSchema, ErrorKind, Validator, compile_schema};
use serde_json::Value;

use super::status::Cause;

/// The compiled rules of one schema.
pub struct CelRules {
    compiled: CompiledSchema,
    types: Value,
    /// Below which fields of the object there are rules; None: there is one for the object itself.
    ruled: Option<Vec<String>>,
    /// All rules are about changes: a new object breaks none.
    only_changes: bool,
}

impl fmt::Debug for CelRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CelRules")
    }
}

impl CelRules {
    /// Compiles every rule of the schema; what does not compile is the CRD's fault, and is said.
    pub fn compile(schema: &Value) -> Result<Self, String> {
        let compiled = compile_schema(schema);
        let errors: Vec<String> = compiled.compilation_errors().iter().map(ToString::to_string).collect();
        if errors.is_empty() {
            Ok(Self { compiled, types: schema.clone(), ruled: ruled(schema), only_changes: only_changes(schema) })
        } else {
            Err(errors.join("; "))
        }
    }

    /// The rules that `object` breaks. A rule broken at a value that did not change is tolerated.
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
        let broken = errors.into_iter().filter(|e| {
            let unchanged = old.and_then(|old| at(old, &e.field_path)) == at(object, &e.field_path);
            !(unchanged && old.is_some() && e.kind == ErrorKind::ValidationFailure)
        });
        broken
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

    /// The schema's type where a rule stands: what the real server shows instead of the value.
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

/// Whether every rule speaks of `oldSelf`: the real server then evaluates it only for a change, too.
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

fn steps(path: &str) -> Vec<String> {
    let split = path.split(['.', '[', ']']).filter(|s| !s.is_empty());
    split.map(|s| s.trim_matches('"').trim_matches('\'').to_owned()).collect()
}

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
