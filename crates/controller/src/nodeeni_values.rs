//! Values of a NodeENI's spec that the API server refuses with words that do not say why. This file names such a value in a plain
//! sentence. It is given the JSON of one NodeENI of a file, and it decides nothing: the CRD's schema does.

use serde_json::Value;

/// The largest number of nodes in `rollout`.
const MOST_NODES: i32 = 999_999_999;

/// One sentence for each such value, with its path.
pub fn sentences(object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk("spec", &object["spec"], &mut found);
    found
}

fn walk(path: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                walk(&format!("{path}.{name}"), field, found);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                walk(&format!("{path}[{at}]"), item, found);
            }
        }
        Value::Number(number) => found.extend(too_large(path, number)),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// A whole number of more than 63 bits. The API server takes it for a fraction, and evaluates no rule. Of smaller numbers, a rule of
/// the schema says what is allowed.
fn too_large(path: &str, number: &serde_json::Number) -> Option<String> {
    let most = if path.starts_with("spec.rollout.") { MOST_NODES } else { i32::MAX };
    (number.is_u64() && !number.is_i64()).then(|| format!("{path} is {number}, and its maximum is {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_number_that_the_api_server_takes_for_a_fraction_is_named() {
        let of = |spec: Value| sentences(&json!({ "kind": "NodeENI", "spec": spec })).join("; ");
        let largest = u64::MAX;
        for (field, most) in [("maxUnavailable", 999_999_999), ("maxRemovals", 999_999_999)] {
            let said = of(json!({ "rollout": { field: largest } }));
            assert_eq!(said, format!("spec.rollout.{field} is {largest}, and its maximum is {most}"));
        }
        let said = of(json!({ "deviceIndex": largest }));
        assert_eq!(said, format!("spec.deviceIndex is {largest}, and its maximum is 2147483647"));
        // The words of the API server say what is wrong with these.
        for clear in [json!("10.5%"), json!(99_999_999_999_u64), json!(i64::MAX), json!(-1), json!("30"), json!(25)] {
            assert_eq!(of(json!({ "rollout": { "maxUnavailable": clear } })), "", "{clear}");
        }
    }
}
