//! What changed between two objects.

use std::collections::BTreeMap;

use serde_json::Value;

use super::fieldset::{Element, FieldSet, elements};
use crate::kube::schema::{ListType, Schema};

/// The paths that differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Added, or with another value.
    pub changed: FieldSet,
    /// No longer there.
    pub removed: FieldSet,
}

/// Compares two objects under one schema.
pub fn compare(old: &Value, new: &Value, schema: &Schema) -> Comparison {
    if old == new {
        return Comparison::default();
    }
    match (old, new) {
        (Value::Object(old), Value::Object(new)) if !schema.atomic_map => {
            let field = |name: &String| Element::Field(name.clone());
            let olds = old.iter().map(|(k, v)| (field(k), (v, schema.field(k)))).collect();
            let news = new.iter().map(|(k, v)| (field(k), (v, schema.field(k)))).collect();
            children(&olds, &news)
        }
        (Value::Array(old), Value::Array(new)) if schema.list_type != ListType::Atomic => {
            let item = schema.item();
            let olds = elements(old, schema).into_iter().map(|(e, v)| (e, (v, item))).collect();
            let news = elements(new, schema).into_iter().map(|(e, v)| (e, (v, item))).collect();
            children(&olds, &news)
        }
        _ => Comparison { changed: FieldSet::of(new, schema, true), removed: FieldSet::default() },
    }
}

type Children<'a> = BTreeMap<Element, (&'a Value, &'a Schema)>;

fn children(olds: &Children<'_>, news: &Children<'_>) -> Comparison {
    let mut result = Comparison::default();
    for (element, (new, schema)) in news {
        let inner = match olds.get(element) {
            Some((old, _)) => compare(old, new, schema),
            None => {
                let mut changed = FieldSet::of(new, schema, true);
                changed.owned = true;
                Comparison { changed, removed: FieldSet::default() }
            }
        };
        if !inner.changed.is_empty() {
            result.changed.children.insert(element.clone(), inner.changed);
        }
        if !inner.removed.is_empty() {
            result.removed.children.insert(element.clone(), inner.removed);
        }
    }
    for (element, (old, schema)) in olds {
        if !news.contains_key(element) {
            let mut removed = FieldSet::of(old, schema, true);
            removed.owned = true;
            result.removed.children.insert(element.clone(), removed);
        }
    }
    result
}
