//! The OpenAPI schema of a resource, parsed once for validation, pruning, defaulting and server-side apply.

use std::{collections::BTreeMap, sync::LazyLock};

use regex::Regex;
use serde_json::{Map, Value};

/// How a list merges: `x-kubernetes-list-type`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ListType {
    /// Replaced as a whole.
    #[default]
    Atomic,
    /// Scalars, each with its own owner.
    Set,
    /// Objects, identified by these keys.
    Map(Vec<String>),
}

/// One node of a structural schema.
#[derive(Debug, Default)]
pub struct Schema {
    /// `type`, or empty.
    pub kind: String,
    /// `format`.
    pub format: String,
    /// `properties`.
    pub properties: BTreeMap<String, Schema>,
    /// `additionalProperties` as a schema.
    pub additional: Option<Box<Schema>>,
    /// `additionalProperties: true`.
    pub any_additional: bool,
    /// `items`.
    pub items: Option<Box<Schema>>,
    /// `required`.
    pub required: Vec<String>,
    /// `enum`.
    pub allowed: Vec<Value>,
    /// `pattern`: the text and the compiled expression.
    pub pattern: Option<(String, Regex)>,
    /// `minimum` and whether it is exclusive.
    pub minimum: Option<(f64, bool)>,
    /// `maximum` and whether it is exclusive.
    pub maximum: Option<(f64, bool)>,
    /// `multipleOf`.
    pub multiple_of: Option<f64>,
    /// `minLength`.
    pub min_length: Option<u64>,
    /// `maxLength`.
    pub max_length: Option<u64>,
    /// `minItems`.
    pub min_items: Option<u64>,
    /// `maxItems`.
    pub max_items: Option<u64>,
    /// `minProperties`.
    pub min_properties: Option<u64>,
    /// `maxProperties`.
    pub max_properties: Option<u64>,
    /// `default`.
    pub default: Option<Value>,
    /// Whether this or anything below it has a `default`.
    pub has_defaults: bool,
    /// `nullable`.
    pub nullable: bool,
    /// `x-kubernetes-preserve-unknown-fields`.
    pub preserve_unknown: bool,
    /// `x-kubernetes-int-or-string`.
    pub int_or_string: bool,
    /// `x-kubernetes-list-type` with its keys.
    pub list_type: ListType,
    /// `x-kubernetes-map-type: atomic`.
    pub atomic_map: bool,
    /// `allOf`.
    pub all_of: Vec<Schema>,
    /// `anyOf`.
    pub any_of: Vec<Schema>,
    /// `oneOf`.
    pub one_of: Vec<Schema>,
    /// `not`.
    pub not: Option<Box<Schema>>,
}

/// The error of a schema that cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct SchemaError(String);

static UNKNOWN: LazyLock<Schema> = LazyLock::new(|| Schema { preserve_unknown: true, ..Schema::default() });

impl Schema {
    /// The schema of fields without a schema: maps merge, lists are atomic, and all fields are kept.
    pub fn unknown() -> &'static Schema {
        &UNKNOWN
    }

    /// Parses an `openAPIV3Schema` or a part of one.
    pub fn parse(json: &Value) -> Result<Self, SchemaError> {
        let map = json.as_object().ok_or_else(|| SchemaError("a schema must be an object".into()))?;
        let number = |key: &str| map.get(key).and_then(Value::as_u64);
        let bound = |key: &str, exclusive: &str| {
            map.get(key).and_then(Value::as_f64).map(|n| (n, map.get(exclusive).and_then(Value::as_bool) == Some(true)))
        };
        let additional = map.get("additionalProperties");
        let mut schema = Self {
            kind: text(map, "type"),
            format: text(map, "format"),
            properties: children(map.get("properties"))?,
            additional: additional.filter(|v| v.is_object()).map(Self::parse).transpose()?.map(Box::new),
            any_additional: additional.and_then(Value::as_bool) == Some(true),
            items: boxed(map.get("items"))?,
            required: strings(map.get("required")),
            allowed: map.get("enum").and_then(Value::as_array).cloned().unwrap_or_default(),
            pattern: pattern(map)?,
            minimum: bound("minimum", "exclusiveMinimum"),
            maximum: bound("maximum", "exclusiveMaximum"),
            multiple_of: map.get("multipleOf").and_then(Value::as_f64),
            min_length: number("minLength"),
            max_length: number("maxLength"),
            min_items: number("minItems"),
            max_items: number("maxItems"),
            min_properties: number("minProperties"),
            max_properties: number("maxProperties"),
            default: map.get("default").cloned(),
            nullable: flag(map, "nullable"),
            preserve_unknown: flag(map, "x-kubernetes-preserve-unknown-fields"),
            int_or_string: flag(map, "x-kubernetes-int-or-string"),
            list_type: match text(map, "x-kubernetes-list-type").as_str() {
                "set" => ListType::Set,
                "map" => ListType::Map(strings(map.get("x-kubernetes-list-map-keys"))),
                _ => ListType::Atomic,
            },
            atomic_map: text(map, "x-kubernetes-map-type") == "atomic",
            all_of: several(map.get("allOf"))?,
            any_of: several(map.get("anyOf"))?,
            one_of: several(map.get("oneOf"))?,
            not: boxed(map.get("not"))?,
            has_defaults: false,
        };
        let below = schema.properties.values().chain(schema.additional.as_deref()).chain(schema.items.as_deref());
        schema.has_defaults = schema.default.is_some() || below.into_iter().any(|schema| schema.has_defaults);
        Ok(schema)
    }

    /// The schema of a field, or the unknown one.
    pub fn field(&self, name: &str) -> &Schema {
        self.properties.get(name).or(self.additional.as_deref()).unwrap_or(&UNKNOWN)
    }

    /// The schema of a list's items, or the unknown one.
    pub fn item(&self) -> &Schema {
        self.items.as_deref().unwrap_or(&UNKNOWN)
    }
}

fn text(map: &Map<String, Value>, key: &str) -> String {
    map.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn flag(map: &Map<String, Value>, key: &str) -> bool {
    map.get(key).and_then(Value::as_bool) == Some(true)
}

fn strings(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn children(value: Option<&Value>) -> Result<BTreeMap<String, Schema>, SchemaError> {
    let map = value.and_then(Value::as_object);
    map.into_iter().flatten().map(|(k, v)| Ok((k.clone(), Schema::parse(v)?))).collect()
}

fn boxed(value: Option<&Value>) -> Result<Option<Box<Schema>>, SchemaError> {
    Ok(value.map(Schema::parse).transpose()?.map(Box::new))
}

fn several(value: Option<&Value>) -> Result<Vec<Schema>, SchemaError> {
    value.and_then(Value::as_array).into_iter().flatten().map(Schema::parse).collect()
}

fn pattern(map: &Map<String, Value>) -> Result<Option<(String, Regex)>, SchemaError> {
    let Some(written) = map.get("pattern").and_then(Value::as_str) else {
        return Ok(None);
    };
    let compiled = Regex::new(written).map_err(|e| SchemaError(format!("pattern {written:?}: {e}")))?;
    Ok(Some((written.to_owned(), compiled)))
}
