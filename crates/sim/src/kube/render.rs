//! Objects and lists in the form that a client accepts.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value, json};

use super::{
    form::{Form, partial, served},
    metadata,
    read::Page,
    resource::{Conversion, Resource},
    table::table,
};

/// One object as a client receives it.
pub fn object<'a>(res: &Resource, object: &'a Value, form: Form, now: Timestamp) -> Cow<'a, Value> {
    match form {
        Form::Full => served(res, object),
        Form::Partial => Cow::Owned(partial(object)),
        Form::Table(include) => {
            let mut table = table(res, [object].into_iter(), include, true, now);
            let version = metadata::text(object, "resourceVersion");
            if let Some(map) = table.as_object_mut() {
                map.insert("metadata".into(), json!({ "resourceVersion": version }));
            }
            Cow::Owned(table)
        }
    }
}

/// A page of a list as a client receives it.
pub fn list(res: &Resource, page: &Page, form: Form, now: Timestamp) -> Vec<u8> {
    let mut meta = json!({ "resourceVersion": page.version.to_string() });
    if let Some(map) = meta.as_object_mut() {
        match &page.next {
            Some(next) => drop(map.insert("continue".into(), json!(next))),
            // The real server always sets the field in lists of custom resources.
            None if res.custom && form == Form::Full => drop(map.insert("continue".into(), json!(""))),
            None => {}
        }
        if let Some(remaining) = page.remaining {
            map.insert("remainingItemCount".into(), json!(remaining));
        }
    }
    let objects = page.items.iter().map(AsRef::as_ref);
    let list = match form {
        Form::Full if res.conversion == Conversion::Same => {
            let items: Vec<Item<'_>> = objects.filter_map(Value::as_object).map(|map| Item(map, res.custom)).collect();
            let head = json!({ "kind": res.list_kind, "apiVersion": res.api_version(), "metadata": meta });
            return with_items(&head, &items);
        }
        Form::Full => {
            let objects: Vec<_> = objects.map(|object| served(res, object)).collect();
            let maps = objects.iter().filter_map(|object| object.as_object());
            let items: Vec<Item<'_>> = maps.map(|map| Item(map, res.custom)).collect();
            let head = json!({ "kind": res.list_kind, "apiVersion": res.api_version(), "metadata": meta });
            return with_items(&head, &items);
        }
        Form::Partial => json!({
            "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": meta,
            "items": objects.map(partial).collect::<Vec<_>>(),
        }),
        Form::Table(include) => {
            let mut table = table(res, objects, include, true, now);
            if let Some(map) = table.as_object_mut() {
                map.insert("metadata".into(), meta);
            }
            table
        }
    };
    serde_json::to_vec(&list).unwrap_or_default()
}

/// The JSON of a list: `head` with the items as its last field.
fn with_items(head: &Value, items: &[Item<'_>]) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(head).unwrap_or_default();
    bytes.pop();
    bytes.extend_from_slice(b",\"items\":");
    bytes.extend(serde_json::to_vec(items).unwrap_or_default());
    bytes.push(b'}');
    bytes
}

/// An item of a list, and whether the item has `apiVersion` and `kind`. Items of built-in resources do not.
struct Item<'a>(&'a Map<String, Value>, bool);

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.0 {
            if self.1 || !matches!(name.as_str(), "apiVersion" | "kind") {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}
