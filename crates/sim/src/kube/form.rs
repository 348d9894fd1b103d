//! The form of an answer: whole objects, metadata alone, or a table.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value, json};

use super::{
    events, metadata,
    request::RequestInfo,
    resource::{Conversion, Resource},
    table,
};

/// Which part of an object a table row carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowObject {
    /// Nothing.
    None,
    /// Its metadata.
    Metadata,
    /// All of it.
    Object,
}

/// What the client accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Whole objects.
    Full,
    /// PartialObjectMetadata.
    Partial,
    /// meta.k8s.io/v1 Table.
    Table(RowObject),
}

impl Form {
    /// The first form in `Accept` that is served.
    pub fn accepted(info: &RequestInfo) -> Self {
        for range in info.accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            if !matches!(media, "application/json" | "*/*" | "application/*" | "") {
                continue;
            }
            let wanted = parts.find_map(|p| p.strip_prefix("as="));
            match wanted {
                Some("Table") => {
                    let include = match info.param("includeObject") {
                        "None" => RowObject::None,
                        "Object" => RowObject::Object,
                        _ => RowObject::Metadata,
                    };
                    return Self::Table(include);
                }
                Some("PartialObjectMetadata" | "PartialObjectMetadataList") => {
                    return Self::Partial;
                }
                Some(_) => {}
                None => return Self::Full,
            }
        }
        Self::Full
    }

    /// One object.
    pub fn object<'a>(self, res: &Resource, object: &'a Value, now: jiff::Timestamp) -> Cow<'a, Value> {
        match self {
            Self::Full => served(res, object),
            Self::Partial => Cow::Owned(partial(object)),
            Self::Table(include) => {
                let mut table = table::table(res, [object].into_iter(), include, true, now);
                let version = metadata::text(object, "resourceVersion");
                if let Some(map) = table.as_object_mut() {
                    map.insert("metadata".into(), json!({ "resourceVersion": version }));
                }
                Cow::Owned(table)
            }
        }
    }
}

/// The object in the version of this resource.
pub fn served<'a>(res: &Resource, object: &'a Value) -> Cow<'a, Value> {
    match res.conversion {
        Conversion::Same => Cow::Borrowed(object),
        Conversion::Events => Cow::Owned(events::from_core(object)),
    }
}

/// Metadata alone.
pub fn partial(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
        "metadata": object.get("metadata").cloned().unwrap_or_default(),
    })
}

/// An item of a list: built-in ones carry no `apiVersion` and `kind`.
pub struct Item<'a>(pub &'a Map<String, Value>, pub bool);

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
