//! Whether the API server would refuse a NodeENI, by the schema and the rules of the CRD of this version, without an API server. It
//! is given one NodeENI of a file and reads nothing else.

use crate::nodeeni_values;
use kube::CustomResourceExt;
use kube_cel::{CompiledSchema, Validator, compile_schema};
use multi_eni_api::NodeENI;
use serde_json::Value;

/// The schema of NodeENIs, with its rules compiled.
pub(super) struct NodeEniSchema {
    schema: Value,
    rules: CompiledSchema,
}

impl NodeEniSchema {
    /// The schema of this version.
    pub fn new() -> Result<Self, String> {
        let crd = serde_json::to_value(NodeENI::crd()).map_err(|error| error.to_string())?;
        let mut schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
        // The schema of a CRD does not have the fields that every object has.
        for field in ["apiVersion", "kind"] {
            schema["properties"][field] = serde_json::json!({ "type": "string" });
        }
        schema["properties"]["metadata"] =
            serde_json::json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
        let rules = compile_schema(&schema);
        Ok(Self { schema, rules })
    }

    /// Why the API server would refuse the object. None: by its schema it would not.
    pub fn refusal(&self, object: &Value) -> Option<String> {
        let given = object["apiVersion"].as_str().unwrap_or_default();
        if given != API_VERSION {
            return Some(format!("apiVersion is {given:?}, and must be {API_VERSION:?}"));
        }
        let mut object = object.clone();
        drop_nulls(&mut object);
        // The plain sentences come first: the rules cannot be evaluated for such values.
        let mut problems = nodeeni_values::sentences(&object);
        if problems.is_empty() {
            check(&self.schema, &object, "", &mut problems);
        }
        if problems.is_empty() {
            let broken = Validator::new().validate_compiled(&self.rules, &object, None).err();
            problems
                .extend(broken.into_iter().flatten().map(|error| format!("{}: {}", error.field_path, error.message)));
        }
        (!problems.is_empty()).then(|| problems.join("; "))
    }
}

/// The version of the API that the CRD has.
const API_VERSION: &str = "networking.k8s.aws/v1alpha1";

/// A field that is null counts as left out.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Types, unknown fields, values that are not allowed, and sizes.
fn check(schema: &Value, value: &Value, path: &str, problems: &mut Vec<String>) {
    let kind = schema["type"].as_str().unwrap_or_default();
    let is_int_or_string = schema["x-kubernetes-int-or-string"] == true;
    let fits = match value {
        Value::Null => true,
        Value::Bool(_) => kind == "boolean",
        Value::Number(number) => {
            kind == "number" || (kind == "integer" || is_int_or_string) && (number.is_i64() || number.is_u64())
        }
        Value::String(_) => kind == "string" || is_int_or_string,
        Value::Array(_) => kind == "array",
        Value::Object(_) => kind == "object",
    };
    // Without a type anything is allowed.
    if !fits && (!kind.is_empty() || is_int_or_string) {
        let kind = if is_int_or_string { "integer or string" } else { kind };
        return problems.push(format!("{path} must be of type {kind}, not {value}"));
    }
    if schema["enum"].as_array().is_some_and(|allowed| !allowed.contains(value)) {
        problems.push(format!("{path}: {value} is not one of {}", schema["enum"]));
    }
    let most = |key: &str, length: usize, what: &str, problems: &mut Vec<String>| {
        if let Some(most) = schema[key].as_u64().filter(|most| length as u64 > *most) {
            problems.push(format!("{path} has {length} {what}; the maximum is {most}"));
        }
    };
    match value {
        Value::String(text) => most("maxLength", text.chars().count(), "characters", problems),
        Value::Array(items) => {
            most("maxItems", items.len(), "entries", problems);
            for (at, item) in items.iter().enumerate() {
                check(&schema["items"], item, &format!("{path}[{at}]"), problems);
            }
        }
        Value::Object(fields) => {
            most("maxProperties", fields.len(), "entries", problems);
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !fields.contains_key(name) {
                    problems.push(format!("{} is missing", joined(path, name)));
                }
            }
            for (name, field) in fields {
                let path = joined(path, name);
                match (&schema["properties"][name], &schema["additionalProperties"]) {
                    (of, _) if of.is_object() => check(of, field, &path, problems),
                    (_, of) if of.is_object() => check(of, field, &path, problems),
                    _ if schema["x-kubernetes-preserve-unknown-fields"] == true => {}
                    _ => problems.push(format!("unknown field {path}")),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refusal(spec: &Value) -> Option<String> {
        let object = json!({ "apiVersion": API_VERSION, "kind": "NodeENI", "metadata": { "name": "a" }, "spec": spec });
        NodeEniSchema::new().unwrap().refusal(&object)
    }

    #[test]
    fn what_the_crd_refuses_is_named_with_its_field() {
        let good = json!({ "nodeSelector": { "a": "b" }, "subnetID": "subnet-12345678", "mtu": null });
        assert_eq!(refusal(&good), None);
        let with = |field: &str, value: Value| {
            let mut spec = good.clone();
            spec[field] = value;
            refusal(&spec).unwrap_or_default()
        };
        assert_eq!(with("subnetIds", json!(["subnet-12345678"])), "unknown field spec.subnetIds");
        assert_eq!(with("deviceIndex", json!("1")), "spec.deviceIndex must be of type integer, not \"1\"");
        assert_eq!(
            with("subnetIDs", json!(["x".repeat(65)])),
            "spec.subnetIDs[0] has 65 characters; the maximum is 64"
        );
        assert_eq!(with("rollout", json!({ "maxSurge": 1 })), "unknown field spec.rollout.maxSurge");
        // The rules of the CRD. Of a number as a text it is not known what is meant.
        let rule = with("mtu", json!(575));
        assert!(rule.starts_with("spec.mtu: mtu must be from 576 to 9001"), "{rule}");
        for wrong in [json!("30"), json!(0), json!("0%"), json!("all"), json!("10.5%"), json!(99_999_999_999_u64)] {
            let rule = with("rollout", json!({ "maxUnavailable": wrong, "maxRemovals": wrong }));
            for field in ["maxUnavailable", "maxRemovals"] {
                let words = format!("rollout.{field} must be a number from 1 to 999999999, or a whole percentage");
                assert!(rule.contains(&words), "{wrong}: {rule}");
            }
        }
        let large = with("rollout", json!({ "maxUnavailable": u64::MAX }));
        assert_eq!(large, "spec.rollout.maxUnavailable is 18446744073709551615, and its maximum is 999999999");
        for right in [json!(30), json!("30%")] {
            assert_eq!(with("rollout", json!({ "maxUnavailable": right, "maxRemovals": right })), "");
        }
        assert_eq!(with("tags", json!({ "any.thing": "1" })), "", "the keys of a map are free");
    }

    #[test]
    fn another_version_of_the_api_is_refused() {
        let object = json!({ "apiVersion": "networking.k8s.aws/v1", "kind": "NodeENI", "metadata": { "name": "a" } });
        let refusal = NodeEniSchema::new().unwrap().refusal(&object).unwrap();
        assert_eq!(refusal, "apiVersion is \"networking.k8s.aws/v1\", and must be \"networking.k8s.aws/v1alpha1\"");
    }
}
