//! Server-side apply: merge a configuration, find conflicts, and remove the fields that are no longer applied.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    compare::compare,
    fieldset::{Element, FieldSet, elements},
    managers::{ManagerKey, Managers},
};
use crate::kube::schema::{ListType, Schema};

/// Fields that the server sets. No manager owns them.
const SERVERS: [&[&str]; 11] = [
    &["apiVersion"],
    &["kind"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "creationTimestamp"],
    &["metadata", "deletionTimestamp"],
    &["metadata", "deletionGracePeriodSeconds"],
    &["metadata", "uid"],
    &["metadata", "generation"],
    &["metadata", "managedFields"],
    &["metadata", "resourceVersion"],
];

/// The outcome of an apply.
#[derive(Debug)]
pub struct Applied {
    /// The merged object.
    pub object: Value,
    /// The owners of the fields after the apply.
    pub managers: Arc<Managers>,
}

/// A field that the apply would change and another manager owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The owner.
    pub owner: ManagerKey,
    /// The API version in which the owner wrote.
    pub api_version: String,
    /// The path of the field.
    pub path: String,
}

/// A writer: who writes, when, and which fields under which schema.
#[derive(Clone, Debug)]
pub struct Applier<'a> {
    /// The field manager.
    pub key: ManagerKey,
    /// The API version of the write.
    pub api_version: &'a str,
    /// The time that `managedFields` shows.
    pub now: &'a str,
    /// Whether an apply takes fields over from other managers instead of refusing.
    pub force: bool,
    /// The schema of the object.
    pub schema: &'a Schema,
    /// The paths that this endpoint does not write.
    pub ignored: &'a [&'a [&'a str]],
}

/// Applies `config` to `live`.
pub fn apply(
    live: &Value,
    managers: &Arc<Managers>,
    config: &Value,
    applier: &Applier<'_>,
) -> Result<Applied, Vec<Conflict>> {
    let (schema, ignored) = (applier.schema, applier.ignored);
    let mut set = FieldSet::of(config, schema, false);
    strip(&mut set, ignored);
    let mut object = live.clone();
    merge(&mut object, config, schema);
    let mut changed = compare(live, &object, schema).changed;
    strip(&mut changed, ignored);

    let mut managers = Managers::clone(managers);
    if !applier.force {
        let conflicts = conflicts(&managers, &applier.key, &changed);
        if !conflicts.is_empty() {
            return Err(conflicts);
        }
    }
    managers.take(&applier.key, &changed);

    let mut dropped = managers.0.get(&applier.key).map(|m| FieldSet::clone(&m.fields)).unwrap_or_default();
    dropped.subtract(&set);
    if !dropped.is_empty() {
        let mut kept = managers.others(&applier.key);
        kept.union(&set);
        remove(&mut object, &dropped, &kept, schema);
    }

    // An apply that changes nothing keeps the former time.
    let now = if object == *live { "" } else { applier.now };
    managers.set(applier.key.clone(), set, applier.api_version, now);
    Ok(Applied { object, managers: Arc::new(managers) })
}

/// The owners of the fields after an update without apply. The writer owns the fields that it changed; removed fields have no
/// owner.
pub fn record_update(old: &Value, new: &Value, managers: &Arc<Managers>, applier: &Applier<'_>) -> Arc<Managers> {
    let mut difference = compare(old, new, applier.schema);
    strip(&mut difference.changed, applier.ignored);
    strip(&mut difference.removed, &[]);
    if difference.removed.is_empty() && difference.changed.is_empty() {
        return managers.clone();
    }
    let mut managers = Managers::clone(managers);
    managers.take(&applier.key, &difference.changed);
    managers.take(&applier.key, &difference.removed);
    let mut mine = managers.0.get(&applier.key).map(|m| FieldSet::clone(&m.fields)).unwrap_or_default();
    mine.union(&difference.changed);
    mine.subtract(&difference.removed);
    managers.set(applier.key.clone(), mine, applier.api_version, applier.now);
    Arc::new(managers)
}

/// Removes the server's fields and the ignored paths from a set.
fn strip(set: &mut FieldSet, ignored: &[&[&str]]) {
    for path in SERVERS.iter().chain(ignored) {
        set.remove_below(path);
    }
    // No manager owns the root or `metadata` as a whole.
    set.owned = false;
    if let Some(metadata) = set.children.get_mut(&Element::Field("metadata".into())) {
        metadata.owned = false;
        if metadata.is_empty() {
            set.children.remove(&Element::Field("metadata".into()));
        }
    }
}

fn conflicts(managers: &Managers, me: &ManagerKey, changed: &FieldSet) -> Vec<Conflict> {
    let others = managers.0.iter().filter(|(key, _)| *key != me);
    let of = others.flat_map(|(key, manager)| {
        let paths = manager.fields.intersection(changed).paths();
        paths.into_iter().map(|path| Conflict { owner: key.clone(), api_version: manager.api_version.clone(), path })
    });
    of.collect()
}

fn merge(live: &mut Value, config: &Value, schema: &Schema) {
    match (live, config) {
        (Value::Object(live), Value::Object(config)) if !schema.atomic_map => {
            for (name, value) in config {
                match live.get_mut(name) {
                    Some(existing) => merge(existing, value, schema.field(name)),
                    None => {
                        live.insert(name.clone(), value.clone());
                    }
                }
            }
        }
        (Value::Array(live), Value::Array(config)) if schema.list_type != ListType::Atomic => {
            let present: Vec<Element> = elements(live, schema).into_iter().map(|(e, _)| e).collect();
            for (element, item) in elements(config, schema) {
                match present.iter().position(|e| *e == element).and_then(|at| live.get_mut(at)) {
                    Some(existing) => merge(existing, item, schema.item()),
                    None => live.push(item.clone()),
                }
            }
        }
        (live, config) => *live = config.clone(),
    }
}

/// Removes the paths in `dropped` from an object, unless `kept` has them or paths below them.
fn remove(value: &mut Value, dropped: &FieldSet, kept: &FieldSet, schema: &Schema) {
    let nothing = FieldSet::default();
    let keep = |element: &Element| kept.children.get(element).unwrap_or(&nothing);
    match value {
        Value::Object(map) => {
            for (element, drop) in &dropped.children {
                let Element::Field(name) = element else { continue };
                let Some(child) = map.get_mut(name) else { continue };
                let keep = keep(element);
                let before = is_void(child);
                let goes = drop.owned && keep.is_empty() || {
                    remove(child, drop, keep, schema.field(name));
                    !before && is_void(child) && !keep.owned
                };
                if goes {
                    map.remove(name);
                }
            }
        }
        Value::Array(items) if schema.list_type != ListType::Atomic => {
            let named: Vec<Element> = elements(items, schema).into_iter().map(|(e, _)| e).collect();
            let old = std::mem::take(items);
            for (element, mut item) in named.into_iter().zip(old) {
                if let Some(drop) = dropped.children.get(&element) {
                    let keep = keep(&element);
                    if drop.owned && keep.is_empty() {
                        continue;
                    }
                    remove(&mut item, drop, keep, schema.item());
                }
                items.push(item);
            }
        }
        _ => {}
    }
}

fn is_void(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}
