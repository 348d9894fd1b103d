//! What a resource is: its names, its scope, its rules.

use std::{fmt, sync::Arc};

use serde_json::Value;

use super::{cel::CelRules, jsonpath::JsonPath, schema::Schema};

/// The key under which objects are stored: `nodes`, `nodeenis.networking.k8s.aws`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupResource {
    /// The API group, empty for core.
    pub group: String,
    /// The plural name.
    pub resource: String,
}

impl GroupResource {
    /// `GroupResource::new("networking.k8s.aws", "nodeenis")`; the core group is `""`.
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
    /// `name` for the first column, else mostly empty.
    pub format: String,
    /// Shown by `kubectl get` if 0, by `-o wide` otherwise.
    pub priority: i64,
    /// What `kubectl explain`-like tools show.
    pub description: String,
    /// Where the cell's value is.
    pub cell: Cell,
}

/// How a cell is computed.
#[derive(Clone, Debug)]
pub enum Cell {
    /// A CRD's JSONPath.
    Path(JsonPath),
    /// A built-in resource's printer.
    Printer(fn(&Value, now: jiff::Timestamp) -> Value),
}

/// How the objects of a version differ from what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// Not at all.
    Same,
    /// events.k8s.io/v1 over core/v1 Events.
    Events,
}

/// A served resource of one group and version.
#[derive(Debug)]
pub struct Resource {
    /// API group, empty for core.
    pub group: String,
    /// API version.
    pub version: String,
    /// `NodeENI`.
    pub kind: String,
    /// `NodeENIList`.
    pub list_kind: String,
    /// `nodeenis`.
    pub plural: String,
    /// `nodeeni`.
    pub singular: String,
    /// `neni`.
    pub short_names: Vec<String>,
    /// `all` and the like.
    pub categories: Vec<String>,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Whether there is a `/status`.
    pub status: bool,
    /// Under which key the objects are stored.
    pub storage: GroupResource,
    /// Whether this is a custom resource.
    pub custom: bool,
    /// Whether `metadata.generation` is kept.
    pub generation: bool,
    /// Whether PUT without a resourceVersion is allowed.
    pub unconditional_update: bool,
    /// Whether PUT on a name that is not there creates.
    pub create_on_update: bool,
    /// Fields besides `metadata.name` and `metadata.namespace` that field selectors may use.
    pub selectable: Vec<(String, JsonPath)>,
    /// `kubectl get`'s columns.
    pub columns: Vec<Column>,
    /// The structural schema, or one that knows the lists that merge.
    pub schema: Schema,
    /// The schema as the CRD gives it, for OpenAPI.
    pub schema_json: Option<Value>,
    /// The schema's CEL rules.
    pub cel: Option<CelRules>,
    /// What to do between the stored and the served form.
    pub conversion: Conversion,
}

/// Shared: a watch outlives the request that opened it.
pub type ResourceRef = Arc<Resource>;

impl Resource {
    /// `networking.k8s.aws/v1alpha1`, or `v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The `apiVersion` that objects are stored with.
    pub fn stored_version(&self) -> String {
        match self.conversion {
            Conversion::Same => self.api_version(),
            Conversion::Events => "v1".to_owned(),
        }
    }

    /// `nodeenis.networking.k8s.aws`, or `nodes`: how errors name it.
    pub fn qualified(&self) -> String {
        GroupResource::new(&self.group, &self.plural).to_string()
    }
}
