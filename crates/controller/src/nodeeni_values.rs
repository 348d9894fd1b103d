//! Values of a NodeENI's spec that the API server refuses with words that do not say why. This file names such a value in a plain
//! sentence. It is given the JSON of one NodeENI of a file, and it decides nothing: the CRD's schema does.

use serde_json::Value;

/// The largest number in `rollout.maxUnavailable`.
const MOST_NODES: i64 = 999_999_999;

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
        Value::String(text) => found.extend(no_whole_percentage(path, text)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// A number that does not fit into the field.
fn too_large(path: &str, number: &serde_json::Number) -> Option<String> {
    let most = if path == "spec.rollout.maxUnavailable" { MOST_NODES } else { i64::from(i32::MAX) };
    let is_too_large = number.as_i64().is_none_or(|number| number > most || number < i64::from(i32::MIN));
    let is_whole = number.is_i64() || number.is_u64();
    (is_whole && is_too_large).then(|| format!("{path} is {number}, and its maximum is {most}"))
}

/// A percentage with a fraction, in a field that takes whole percentages.
fn no_whole_percentage(path: &str, text: &str) -> Option<String> {
    let is_pace = matches!(path, "spec.rollout.maxUnavailable" | "spec.rollout.maxRemovals");
    let number = text.strip_suffix('%').filter(|_| is_pace)?;
    let is_fraction = number.parse::<f64>().is_ok() && number.parse::<i64>().is_err();
    is_fraction.then(|| format!("{path} is {text:?}, and a percentage must be a whole number from 1% to 100%"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_fraction_of_a_percent_and_a_number_that_does_not_fit_are_named() {
        let of = |spec: Value| sentences(&json!({ "kind": "NodeENI", "spec": spec })).join("; ");
        let pace = |value: Value| of(json!({ "rollout": { "maxUnavailable": value } }));
        let fraction =
            "spec.rollout.maxUnavailable is \"10.5%\", and a percentage must be a whole number from 1% to 100%";
        assert_eq!(pace(json!("10.5%")), fraction);
        let large = "spec.rollout.maxUnavailable is 99999999999, and its maximum is 999999999";
        assert_eq!(pace(json!(99_999_999_999_u64)), large);
        let removals = of(json!({ "rollout": { "maxRemovals": 99_999_999_999_u64 } }));
        assert_eq!(removals, "spec.rollout.maxRemovals is 99999999999, and its maximum is 2147483647");
        assert_eq!(
            of(json!({ "deviceIndex": u64::MAX })),
            format!("spec.deviceIndex is {}, and its maximum is 2147483647", u64::MAX)
        );
        // The words of the API server say what is wrong with these.
        for clear in [json!("30"), json!(0), json!("0%"), json!("101%"), json!("all"), json!("25%"), json!(999_999_999)]
        {
            assert_eq!(pace(clear.clone()), "", "{clear}");
        }
        assert_eq!(of(json!({ "description": "10.5%", "tags": { "share": "1.5%" } })), "", "other texts are free");
    }
}
