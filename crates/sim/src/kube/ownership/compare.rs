//! What changed between two objects.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

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
        (Value::Object(old), Value::Object(new)) if !schema.atomic_map => fields(old, new, schema),
        (Value::Array(old), Value::Array(new)) if schema.list_type != ListType::Atomic => {
            let item = schema.item();
            let olds = elements(old, schema).into_iter().map(|(e, v)| (e, (v, item))).collect();
            let news = elements(new, schema).into_iter().map(|(e, v)| (e, (v, item))).collect();
            children(&olds, &news)
        }
        _ => Comparison { changed: FieldSet::of(new, schema, true), removed: FieldSet::default() },
    }
}

/// The fields of two objects; most are the same, and cost nothing.
fn fields(old: &Map<String, Value>, new: &Map<String, Value>, schema: &Schema) -> Comparison {
    let mut result = Comparison::default();
    for (name, value) in new {
        let inner = match old.get(name) {
            Some(before) if before == value => continue,
            Some(before) => compare(before, value, schema.field(name)),
            None => Comparison { changed: whole(value, schema.field(name)), removed: FieldSet::default() },
        };
        result.add(Element::Field(name.clone()), inner);
    }
    for (name, value) in old.iter().filter(|(name, _)| !new.contains_key(*name)) {
        result.removed.children.insert(Element::Field(name.clone()), whole(value, schema.field(name)));
    }
    result
}

fn whole(value: &Value, schema: &Schema) -> FieldSet {
    let mut set = FieldSet::of(value, schema, true);
    set.owned = true;
    set
}

impl Comparison {
    fn add(&mut self, element: Element, inner: Self) {
        if !inner.changed.is_empty() {
            self.changed.children.insert(element.clone(), inner.changed);
        }
        if !inner.removed.is_empty() {
            self.removed.children.insert(element, inner.removed);
        }
    }
}

type Children<'a> = BTreeMap<Element, (&'a Value, &'a Schema)>;

fn children(olds: &Children<'_>, news: &Children<'_>) -> Comparison {
    let mut result = Comparison::default();
    for (element, (new, schema)) in news {
        let inner = match olds.get(element) {
            Some((old, _)) => compare(old, new, schema),
            None => Comparison { changed: whole(new, schema), removed: FieldSet::default() },
        };
        result.add(element.clone(), inner);
    }
    for (element, (old, schema)) in olds {
        if !news.contains_key(element) {
            result.removed.children.insert(element.clone(), whole(old, schema));
        }
    }
    result
}
