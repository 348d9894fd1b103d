//! Label and field selectors.

use serde_json::Value;

use super::{jsonpath::JsonPath, resource::Resource, status::StatusError};

/// The selector of a list, a watch or a deletecollection.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    labels: Vec<LabelRequirement>,
    fields: Vec<FieldRequirement>,
}

#[derive(Clone, Debug, PartialEq)]
enum LabelRequirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

#[derive(Clone, Debug)]
struct FieldRequirement {
    path: JsonPath,
    equal: bool,
    value: String,
}

impl Selector {
    /// Parses both selectors. A field that is not selectable is refused.
    pub fn parse(labels: &str, fields: &str, res: &Resource) -> Result<Self, StatusError> {
        Ok(Self { labels: parse_labels(labels)?, fields: parse_fields(fields, res)? })
    }

    /// Whether the selector matches all objects.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether an object is selected.
    pub fn matches(&self, object: &Value) -> bool {
        let labels = object.pointer("/metadata/labels");
        let label = |key: &str| labels.and_then(|l| l.get(key)).and_then(Value::as_str);
        self.labels.iter().all(|r| match r {
            LabelRequirement::In(key, values) => label(key).is_some_and(|v| values.iter().any(|w| w == v)),
            LabelRequirement::NotIn(key, values) => !label(key).is_some_and(|v| values.iter().any(|w| w == v)),
            LabelRequirement::Exists(key) => label(key).is_some(),
            LabelRequirement::Absent(key) => label(key).is_none(),
        }) && self.fields.iter().all(|r| (shown(&r.path, object) == r.value) == r.equal)
    }
}

fn shown(path: &JsonPath, object: &Value) -> String {
    match path.find(object).first() {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

fn parse_fields(text: &str, res: &Resource) -> Result<Vec<FieldRequirement>, StatusError> {
    let mut requirements = Vec::new();
    for term in text.split(',').filter(|t| !t.is_empty()) {
        let (name, equal, value) = if let Some((name, value)) = term.split_once("!=") {
            (name, false, value)
        } else if let Some((name, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
            (name, true, value)
        } else {
            let message = format!("invalid selector: '{text}'; can't understand '{term}'");
            return Err(StatusError::bad_request(message));
        };
        let path = match name {
            "metadata.name" => JsonPath::parse(".metadata.name"),
            "metadata.namespace" if res.namespaced || !res.custom => JsonPath::parse(".metadata.namespace"),
            other => res.selectable.iter().find(|(n, _)| n == other).map(|(_, path)| path.clone()),
        };
        let path = path.ok_or_else(|| {
            let message = format!("field label not supported: {name}");
            StatusError::bad_request(message)
        })?;
        requirements.push(FieldRequirement { path, equal, value: value.to_owned() });
    }
    Ok(requirements)
}

fn parse_labels(text: &str) -> Result<Vec<LabelRequirement>, StatusError> {
    let bad = |term: &str| {
        StatusError::bad_request(format!("unable to parse requirement: found '{term}' in selector '{text}'"))
    };
    let mut requirements = Vec::new();
    for term in terms(text) {
        let term = term.trim();
        if let Some((head, list)) = term.split_once('(') {
            let values: Vec<String> = list.trim_end_matches(')').split(',').map(|v| v.trim().to_owned()).collect();
            let (key, operator) = head.trim().split_once(char::is_whitespace).ok_or_else(|| bad(term))?;
            requirements.push(match operator.trim() {
                "in" => LabelRequirement::In(key.to_owned(), values),
                "notin" => LabelRequirement::NotIn(key.to_owned(), values),
                _ => return Err(bad(term)),
            });
        } else if let Some((key, value)) = term.split_once("!=") {
            requirements.push(LabelRequirement::NotIn(key.trim().to_owned(), vec![value.trim().to_owned()]));
        } else if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
            requirements.push(LabelRequirement::In(key.trim().to_owned(), vec![value.trim().to_owned()]));
        } else if let Some(key) = term.strip_prefix('!') {
            requirements.push(LabelRequirement::Absent(key.trim().to_owned()));
        } else if term.contains(char::is_whitespace) || term.is_empty() {
            return Err(bad(term));
        } else {
            requirements.push(LabelRequirement::Exists(term.to_owned()));
        }
    }
    Ok(requirements)
}

/// Splits at commas outside parentheses.
fn terms(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut terms) = (0_i32, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                terms.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if start < text.len() {
        terms.push(&text[start..]);
    }
    terms
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn label_selectors() {
        let object = json!({ "metadata": { "labels": { "a": "1", "b": "2" } } });
        let selected =
            |text: &str| Selector { labels: parse_labels(text).unwrap(), fields: Vec::new() }.matches(&object);
        for yes in ["", "a=1", "a==1,b", "a in (1,2),b notin (3)", "!c", "c!=1", "c notin (1, 2)"] {
            assert!(selected(yes), "{yes}");
        }
        for no in ["a=2", "!a", "a notin (1)", "c", "a,b in (1,3)"] {
            assert!(!selected(no), "{no}");
        }
        assert!(parse_labels("a b").is_err());
    }
}
