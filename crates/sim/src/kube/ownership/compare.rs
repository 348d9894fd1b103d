//! The difference between two objects, as field sets.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::fieldset::{Element, FieldSet, elements};
use crate::kube::schema::{ListType, Schema};

/// The paths that differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Fields that were added or have another value.
    pub changed: FieldSet,
    /// Fields that were removed.
    pub removed: FieldSet,
}

/// Compares two objects under one schema.
pub fn compare(old: &Value, new: &Value, schema: &Schema) -> Comparison {
    if old == new {
        return Comparison::default();
    }
    match (old, new) {
        (Value::Object(old), Value::Object(new)) if !schema.atomic_map => {
            let of = |map| Map::iter(map).map(|(name, value)| (name, (value, schema.field(name)))).collect();
            children(&of(old), &of(new), |name: &&String| Element::Field((*name).clone()))
        }
        (Value::Array(old), Value::Array(new)) if schema.list_type != ListType::Atomic => {
            let of = |items| elements(items, schema).into_iter().map(|(e, item)| (e, (item, schema.item()))).collect();
            children(&of(old), &of(new), Element::clone)
        }
        _ => Comparison { changed: FieldSet::of(new, schema, true), removed: FieldSet::default() },
    }
}

type Children<'a, K> = BTreeMap<K, (&'a Value, &'a Schema)>;

/// Compares the children of two objects or lists. Paths are made for the different children only, as most are the same.
fn children<K: Ord>(olds: &Children<'_, K>, news: &Children<'_, K>, path: impl Fn(&K) -> Element) -> Comparison {
    let mut result = Comparison::default();
    for (key, (new, schema)) in news {
        let inner = match olds.get(key) {
            Some((old, _)) if old == new => continue,
            Some((old, _)) => compare(old, new, schema),
            None => Comparison { changed: whole(new, schema), removed: FieldSet::default() },
        };
        if !inner.changed.is_empty() {
            result.changed.children.insert(path(key), inner.changed);
        }
        if !inner.removed.is_empty() {
            result.removed.children.insert(path(key), inner.removed);
        }
    }
    for (key, (old, schema)) in olds.iter().filter(|(key, _)| !news.contains_key(*key)) {
        result.removed.children.insert(path(key), whole(old, schema));
    }
    result
}

fn whole(value: &Value, schema: &Schema) -> FieldSet {
    let mut set = FieldSet::of(value, schema, true);
    set.owned = true;
    set
}
