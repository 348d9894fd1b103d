//! A served resource: its names, scope, schema and rules.

use std::{fmt, sync::Arc};

use serde_json::Value;

use super::{cel::CelRules, jsonpath::JsonPath, schema::Schema};

/// Group and plural name, under which objects are stored: `nodes`, `nodeenis.networking.k8s.aws`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupResource {
    /// The API group, empty for core.
    pub group: String,
    /// The plural name.
    pub resource: String,
}

impl GroupResource {
    /// For example `GroupResource::new("networking.k8s.aws", "nodeenis")`. The core group is `""`.
    pub fn new(group: &str, resource: &str) -> Self {
        Self { group: group.into(), resource: resource.into() }
    }
}

impl fmt::Display for GroupResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.resource)?;
        if self.group.is_empty() { Ok(()) } else { write!(f, ".{}", self.group) }
    }
}

/// A column of `kubectl get`.
#[derive(Clone, Debug)]
pub struct Column {
    /// The heading.
    pub name: String,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub kind: String,
    /// `name` for the first column, and usually empty for others.
    pub format: String,
    /// 0 if `kubectl get` shows the column; otherwise only `-o wide` does.
    pub priority: i64,
    /// The description.
    pub description: String,
    /// The source of the cell's value.
    pub cell: Cell,
}

/// The source of a cell's value.
#[derive(Clone, Debug)]
pub enum Cell {
    /// A CRD's JSONPath.
    Path(JsonPath),
    /// A built-in resource's printer.
    Printer(fn(&Value, now: jiff::Timestamp) -> Value),
}

/// How the objects of a version differ from the stored ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// They are the same.
    Same,
    /// Events of events.k8s.io/v1, stored as core/v1.
    Events,
}

/// A served resource of one group and version.
#[derive(Debug)]
pub struct Resource {
    /// API group, empty for core.
    pub group: String,
    /// API version.
    pub version: String,
    /// The kind, for example `NodeENI`.
    pub kind: String,
    /// The kind of lists, for example `NodeENIList`.
    pub list_kind: String,
    /// The plural name, for example `nodeenis`.
    pub plural: String,
    /// The singular name, for example `nodeeni`.
    pub singular: String,
    /// The short names, for example `neni`.
    pub short_names: Vec<String>,
    /// The categories, for example `all`.
    pub categories: Vec<String>,
    /// Whether the resource is namespaced.
    pub namespaced: bool,
    /// Whether there is the subresource `/status`.
    pub status: bool,
    /// The key under which the objects are stored.
    pub storage: GroupResource,
    /// Whether this is a custom resource.
    pub custom: bool,
    /// Whether the server maintains `metadata.generation`.
    pub generation: bool,
    /// Whether PUT without a resourceVersion is allowed.
    pub unconditional_update: bool,
    /// Whether a PUT of an object that does not exist creates the object.
    pub create_on_update: bool,
    /// The fields, besides `metadata.name` and `metadata.namespace`, that field selectors may use.
    pub selectable: Vec<(String, JsonPath)>,
    /// The columns of `kubectl get`.
    pub columns: Vec<Column>,
    /// The structural schema. Of built-in resources, it has only the lists that merge.
    pub schema: Schema,
    /// The schema in the CRD, for OpenAPI.
    pub schema_json: Option<Value>,
    /// The schema's CEL rules.
    pub cel: Option<CelRules>,
    /// The conversion between the stored and the served version.
    pub conversion: Conversion,
}

/// A shared resource, as a watch outlives the request that opened it.
pub type ResourceRef = Arc<Resource>;

impl Resource {
    /// The `apiVersion`, for example `networking.k8s.aws/v1alpha1` or `v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The `apiVersion` with which objects are stored.
    pub fn stored_version(&self) -> String {
        match self.conversion {
            Conversion::Same => self.api_version(),
            Conversion::Events => "v1".to_owned(),
        }
    }

    /// The name in errors, for example `nodeenis.networking.k8s.aws` or `nodes`.
    pub fn qualified(&self) -> String {
        GroupResource::new(&self.group, &self.plural).to_string()
    }
}
