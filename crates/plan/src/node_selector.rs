//! A term of `nodeSelectorTerms`, parsed: requirements on the labels of a Node that must all hold. Parsing refuses what the CRD's
//! schema refuses, because a stored object may be older than the schema. It reads labels only.

use crate::string_map::StringMap;
use multi_eni_api::LabelRequirement as StoredRequirement;
use multi_eni_api::NodeSelectorTerm as StoredTerm;
use serde::{Serialize, Serializer};
use std::collections::BTreeSet;
use std::fmt;

/// One term: all its requirements must hold. It has at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSelectorTerm {
    requirements: Vec<LabelRequirement>,
}

/// A requirement on one label.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LabelRequirement {
    key: String,
    test: LabelTest,
}

/// What must hold of the label.
#[derive(Debug, Clone, PartialEq, Eq)]
enum LabelTest {
    /// The label has one of these values.
    In(BTreeSet<String>),
    /// The Node has no such label, or one with another value, as in Kubernetes.
    NotIn(BTreeSet<String>),
    /// The Node has the label.
    Exists,
    /// The Node does not have the label.
    DoesNotExist,
}

impl NodeSelectorTerm {
    /// Parses a term.
    ///
    /// # Errors
    /// A sentence: the term is empty, or a key, an operator or a value cannot be used.
    pub fn read(term: &StoredTerm) -> Result<Self, String> {
        let labels = term.match_labels.iter().flatten().map(|(key, value)| {
            Ok(LabelRequirement {
                key: label_key(key)?,
                test: LabelTest::In(values(key, std::slice::from_ref(value))?),
            })
        });
        let expressions = term.match_expressions.iter().flatten().map(requirement);
        let requirements = labels.chain(expressions).collect::<Result<Vec<_>, String>>()?;
        if requirements.is_empty() {
            return Err("an empty term would match every node: set matchLabels or matchExpressions".to_owned());
        }
        Ok(Self { requirements })
    }

    /// Whether all requirements hold for these labels.
    pub fn matches(&self, labels: &StringMap) -> bool {
        self.requirements.iter().all(|requirement| requirement.test.holds(labels.get(&requirement.key)))
    }
}

impl LabelTest {
    fn holds(&self, label: Option<&str>) -> bool {
        match self {
            Self::In(values) => label.is_some_and(|value| values.contains(value)),
            Self::NotIn(values) => label.is_none_or(|value| !values.contains(value)),
            Self::Exists => label.is_some(),
            Self::DoesNotExist => label.is_none(),
        }
    }
}

fn requirement(stored: &StoredRequirement) -> Result<LabelRequirement, String> {
    let key = label_key(&stored.key)?;
    let listed = stored.values.as_deref().unwrap_or_default();
    let operator = stored.operator.as_str();
    let some = || match listed {
        [] => Err(format!("the operator {operator} of {key} needs at least one value")),
        listed => values(&key, listed),
    };
    let none = |test| match listed {
        [] => Ok(test),
        _ => Err(format!("the operator {operator} of {key} takes no values")),
    };
    let test = match operator {
        "In" => LabelTest::In(some()?),
        "NotIn" => LabelTest::NotIn(some()?),
        "Exists" => none(LabelTest::Exists)?,
        "DoesNotExist" => none(LabelTest::DoesNotExist)?,
        other => {
            return Err(format!("the operator {other:?} of {key} must be In, NotIn, Exists or DoesNotExist"));
        }
    };
    Ok(LabelRequirement { key, test })
}

fn values(key: &str, listed: &[String]) -> Result<BTreeSet<String>, String> {
    match listed.iter().find(|value| !value.is_empty() && !is_name(value)) {
        Some(value) => Err(format!(
            "the value {value:?} of {key} is no label value: at most 63 letters, digits, '-', '_' and '.', with a letter or digit \
             at both ends"
        )),
        None => Ok(listed.iter().cloned().collect()),
    }
}

fn label_key(key: &str) -> Result<String, String> {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let is_prefix = |prefix: &str| {
        let is_inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'.';
        let is_end = |c: Option<&u8>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        let bytes = prefix.as_bytes();
        bytes.iter().copied().all(is_inner) && is_end(bytes.first()) && is_end(bytes.last())
    };
    if key.len() <= 317 && prefix.is_none_or(is_prefix) && is_name(name) {
        Ok(key.to_owned())
    } else {
        Err(format!("{key:?} is no label key: use a key such as example.com/pool"))
    }
}

/// Whether a text may be the name of a label key, or a label value that is not empty.
fn is_name(text: &str) -> bool {
    let is_end = |c: Option<&u8>| c.is_some_and(u8::is_ascii_alphanumeric);
    let is_inner = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    let bytes = text.as_bytes();
    bytes.len() <= 63 && bytes.iter().copied().all(is_inner) && is_end(bytes.first()) && is_end(bytes.last())
}

/// The terms in the form of `kubectl get -l`, such as `ng=x,!gpu or tier in (db,web)`. Empty if there is no term.
pub fn text(terms: &[NodeSelectorTerm]) -> String {
    terms.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

impl fmt::Display for NodeSelectorTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = |values: &BTreeSet<String>| values.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        for (place, LabelRequirement { key, test }) in self.requirements.iter().enumerate() {
            if place > 0 {
                f.write_str(",")?;
            }
            match test {
                LabelTest::In(values) if values.len() == 1 => write!(f, "{key}={}", listed(values))?,
                LabelTest::In(values) => write!(f, "{key} in ({})", listed(values))?,
                LabelTest::NotIn(values) => write!(f, "{key} notin ({})", listed(values))?,
                LabelTest::Exists => f.write_str(key)?,
                LabelTest::DoesNotExist => write!(f, "!{key}")?,
            }
        }
        Ok(())
    }
}

impl Serialize for NodeSelectorTerm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests;
