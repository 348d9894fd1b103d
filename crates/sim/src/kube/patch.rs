//! JSON merge patch, JSON patch and strategic merge patch.

use serde_json::{Map, Value};

use super::{
    resource::Resource,
    schema::{ListType, Schema},
    status::StatusError,
};

/// The media types of the patches that a resource supports.
pub fn media_types(res: &Resource) -> &'static str {
    if res.custom {
        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
    } else {
        "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, \
         application/apply-patch+yaml"
    }
}

/// A parsed patch body.
#[derive(Clone, Debug)]
pub enum Patch {
    /// RFC 7396.
    Merge(Value),
    /// RFC 6902.
    Json(json_patch::Patch),
    /// Kubernetes' strategic merge patch, in which lists with keys merge.
    Strategic(Value),
}

impl Patch {
    /// Applies the patch to an object.
    pub fn apply(&self, live: &Value, schema: &Schema) -> Result<Value, StatusError> {
        let mut object = live.clone();
        match self {
            Patch::Merge(patch) => json_patch::merge(&mut object, patch),
            Patch::Json(patch) => json_patch::patch(&mut object, patch).map_err(|_| {
                let message = "the server rejected our request due to an error in our request";
                let details = Some(Value::Object(Map::new()));
                StatusError { details, ..StatusError::new(422, "Invalid", message) }
            })?,
            Patch::Strategic(patch) => strategic(&mut object, patch, schema),
        }
        if object.is_object() {
            Ok(object)
        } else {
            Err(StatusError::bad_request("the patch does not leave an object"))
        }
    }
}

fn strategic(live: &mut Value, patch: &Value, schema: &Schema) {
    let Value::Object(patch) = patch else {
        *live = patch.clone();
        return;
    };
    if patch.get("$patch").and_then(Value::as_str) == Some("replace") {
        *live = without_directives(patch);
        return;
    }
    if !live.is_object() {
        *live = Value::Object(Map::new());
    }
    let Value::Object(map) = live else { return };
    for (name, value) in patch {
        if name == "$patch" || name.starts_with("$setElementOrder/") || name == "$retainKeys" {
            continue;
        }
        if let Some(field) = name.strip_prefix("$deleteFromPrimitiveList/") {
            if let (Some(Value::Array(items)), Some(gone)) = (map.get_mut(field), value.as_array()) {
                items.retain(|item| !gone.contains(item));
            }
            continue;
        }
        let child = schema.field(name);
        match value {
            Value::Null => {
                map.remove(name);
            }
            Value::Object(_) => strategic(map.entry(name.clone()).or_insert(Value::Null), value, child),
            Value::Array(items) => strategic_list(map.entry(name.clone()).or_insert(Value::Null), items, child),
            other => {
                map.insert(name.clone(), other.clone());
            }
        }
    }
}

fn strategic_list(live: &mut Value, patch: &[Value], schema: &Schema) {
    if !live.is_array() {
        *live = Value::Array(Vec::new());
    }
    let Value::Array(items) = live else { return };
    let replaces = patch.iter().any(|p| p.get("$patch").and_then(Value::as_str) == Some("replace"));
    if replaces {
        items.clear();
    }
    match &schema.list_type {
        ListType::Map(keys) => {
            for entry in patch {
                let directive = entry.get("$patch").and_then(Value::as_str);
                let place = items.iter().position(|item| keys.iter().all(|k| item.get(k) == entry.get(k)));
                match (directive, place) {
                    (Some("delete"), Some(at)) => {
                        items.remove(at);
                    }
                    (Some(_), _) => {}
                    (None, Some(at)) => {
                        if let Some(item) = items.get_mut(at) {
                            strategic(item, entry, schema.item());
                        }
                    }
                    (None, None) => items.push(entry.clone()),
                }
            }
        }
        ListType::Set => {
            for entry in patch {
                if !items.contains(entry) {
                    items.push(entry.clone());
                }
            }
        }
        // An atomic list, for example a node's taints, is replaced as a whole. Directives in it are dropped.
        ListType::Atomic => {
            *items = patch.iter().map(|p| p.as_object().map_or_else(|| p.clone(), without_directives)).collect();
        }
    }
}

fn without_directives(map: &Map<String, Value>) -> Value {
    map.iter().filter(|(k, _)| !k.starts_with('$')).map(|(k, v)| (k.clone(), v.clone())).collect()
}
