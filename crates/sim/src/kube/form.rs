//! The form of an answer that a client accepts: whole objects, metadata alone, or a table.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::{
    events,
    request::RequestInfo,
    resource::{Conversion, Resource},
};

/// Which part of an object a table row contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowObject {
    /// Nothing.
    None,
    /// The metadata.
    Metadata,
    /// The whole object.
    Object,
}

/// The form of objects in an answer.
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
    /// The first form in `Accept` that the server supports.
    pub fn accepted(info: &RequestInfo) -> Self {
        for range in info.accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            if !matches!(media, "application/json" | "*/*" | "application/*" | "") {
                continue;
            }
            match parts.find_map(|p| p.strip_prefix("as=")) {
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
}

/// The object in the version of the resource.
pub fn served<'a>(res: &Resource, object: &'a Value) -> Cow<'a, Value> {
    match res.conversion {
        Conversion::Same => Cow::Borrowed(object),
        Conversion::Events => Cow::Owned(events::from_core(object)),
    }
}

/// The object's metadata alone.
pub fn partial(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
        "metadata": object.get("metadata").cloned().unwrap_or_default(),
    })
}
