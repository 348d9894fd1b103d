//! CustomResourceDefinitions: their defaults, their validation, and the resources that they serve.
//!
//! The consequences of a written or deleted CRD are in `write::definitions`.

use serde_json::{Value, json};

use super::{
    builtin,
    cause::Cause,
    cel::CelRules,
    jsonpath::JsonPath,
    metadata,
    resource::{Cell, Column, Conversion, GroupResource, Resource},
    schema::Schema,
    state::State,
};

/// The finalizer of a CRD that waits for the deletion of its objects.
pub const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Whether the resource is CustomResourceDefinition.
pub fn is_crd(res: &Resource) -> bool {
    res.group == "apiextensions.k8s.io" && res.plural == "customresourcedefinitions"
}

/// The key under which CRDs are stored.
pub fn storage() -> GroupResource {
    GroupResource::new("apiextensions.k8s.io", "customresourcedefinitions")
}

/// The string at a JSON pointer, or empty.
pub fn text_at<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Fills in the defaults of a CRD's names and conversion.
pub fn default(res: &Resource, object: &mut Value) {
    if !is_crd(res) {
        return;
    }
    let kind = text_at(object, "/spec/names/kind").to_owned();
    if let Some(names) = object.pointer_mut("/spec/names").and_then(Value::as_object_mut) {
        names.entry("listKind").or_insert_with(|| json!(format!("{kind}List")));
        names.entry("singular").or_insert_with(|| json!(kind.to_lowercase()));
    }
    if let Some(spec) = object.pointer_mut("/spec").and_then(Value::as_object_mut) {
        spec.entry("conversion").or_insert_with(|| json!({ "strategy": "None" }));
    }
}

/// Adds the finalizer that waits for a CRD's objects, before the CRD is deleted.
pub fn before_delete(res: &Resource, object: &mut Value) {
    if is_crd(res) && !metadata::is_terminating(object) && !metadata::finalizers(object).contains(&FINALIZER) {
        let mut finalizers: Vec<String> = metadata::finalizers(object).into_iter().map(str::to_owned).collect();
        finalizers.push(FINALIZER.into());
        metadata::set(object, "finalizers", json!(finalizers));
    }
}

/// Validates a CRD.
pub fn validate(res: &Resource, object: &Value) -> Vec<Cause> {
    if !is_crd(res) {
        return Vec::new();
    }
    let mut causes = Vec::new();
    let expected = format!("{}.{}", text_at(object, "/spec/names/plural"), text_at(object, "/spec/group"));
    if metadata::text(object, "name") != expected {
        let why = format!("must be spec.names.plural+\".\"+spec.group: {expected}");
        causes.push(Cause::invalid("metadata.name", &json!(metadata::text(object, "name")), &why));
    }
    if let Err(cause) = resources(object) {
        causes.push(cause);
    }
    causes
}

/// The resources that a CRD serves, one for each served version.
pub fn resources(crd: &Value) -> Result<Vec<Resource>, Cause> {
    let versions = crd.pointer("/spec/versions").and_then(Value::as_array);
    let served = versions.into_iter().flatten().enumerate();
    served
        .filter(|(_, v)| v.get("served").and_then(Value::as_bool) == Some(true))
        .map(|(i, v)| resource(crd, v, &format!("spec.versions[{i}]")))
        .collect()
}

fn resource(crd: &Value, version: &Value, path: &str) -> Result<Resource, Cause> {
    let names = |field: &str| text_at(crd, &format!("/spec/names/{field}")).to_owned();
    let list = |field: &str| -> Vec<String> {
        let list = crd.pointer(&format!("/spec/names/{field}")).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let at_schema = format!("{path}.schema.openAPIV3Schema");
    let json = version
        .pointer("/schema/openAPIV3Schema")
        .ok_or_else(|| Cause::required(at_schema.clone(), "schemas are required"))?;
    let unusable = |why: &str| Cause::invalid(&at_schema, &json!(""), why);
    let mut schema = Schema::parse(json).map_err(|e| unusable(&e.to_string()))?;
    // `metadata` is always an ObjectMeta, whose lists merge, whatever schema the CRD gives for it.
    let metadata = Schema::parse(&builtin::metadata_schema()).map_err(|e| unusable(&e.to_string()))?;
    schema.properties.insert("metadata".into(), metadata);
    let cel = CelRules::compile(json).map_err(|e| unusable(&e))?;
    let (group, plural) = (text_at(crd, "/spec/group").to_owned(), names("plural"));
    Ok(Resource {
        version: text_at(version, "/name").to_owned(),
        kind: names("kind"),
        list_kind: names("listKind"),
        singular: names("singular"),
        short_names: list("shortNames"),
        categories: list("categories"),
        namespaced: text_at(crd, "/spec/scope") == "Namespaced",
        status: version.pointer("/subresources/status").is_some(),
        storage: GroupResource::new(&group, &plural),
        custom: true,
        generation: true,
        unconditional_update: false,
        create_on_update: false,
        selectable: selectable(version, path)?,
        columns: columns(version, path)?,
        schema,
        schema_json: Some(json.clone()),
        cel: Some(cel),
        conversion: Conversion::Same,
        group,
        plural,
    })
}

fn selectable(version: &Value, path: &str) -> Result<Vec<(String, JsonPath)>, Cause> {
    let fields = version.pointer("/selectableFields").and_then(Value::as_array);
    let parse = |(i, field): (usize, &Value)| {
        let text = text_at(field, "/jsonPath");
        let parsed = JsonPath::parse(text).ok_or_else(|| {
            Cause::invalid(format!("{path}.selectableFields[{i}].jsonPath"), &json!(text), "is an invalid path")
        })?;
        Ok((text.trim_start_matches('.').to_owned(), parsed))
    };
    fields.into_iter().flatten().enumerate().map(parse).collect()
}

fn columns(version: &Value, path: &str) -> Result<Vec<Column>, Cause> {
    let written = version.pointer("/additionalPrinterColumns").and_then(Value::as_array);
    let parse = |(i, column): (usize, &Value)| {
        let text = text_at(column, "/jsonPath");
        let cell = JsonPath::parse(text).ok_or_else(|| {
            let field = format!("{path}.additionalPrinterColumns[{i}].jsonPath");
            Cause::invalid(field, &json!(text), "is an invalid path")
        })?;
        Ok(Column {
            name: text_at(column, "/name").to_owned(),
            kind: text_at(column, "/type").to_owned(),
            format: text_at(column, "/format").to_owned(),
            priority: column.get("priority").and_then(Value::as_i64).unwrap_or(0),
            description: text_at(column, "/description").to_owned(),
            cell: Cell::Path(cell),
        })
    };
    let mut columns = Vec::new();
    for column in written.into_iter().flatten().enumerate() {
        columns.push(parse(column)?);
    }
    if columns.is_empty() {
        let Some(cell) = JsonPath::parse(".metadata.creationTimestamp") else {
            return Ok(columns);
        };
        columns.push(Column {
            name: "Age".into(),
            kind: "date".into(),
            format: String::new(),
            priority: 0,
            description: String::new(),
            cell: Cell::Path(cell),
        });
    }
    Ok(columns)
}

/// Whether the CRD of a custom resource is being deleted.
pub fn is_terminating(state: &State, res: &Resource) -> bool {
    let key = (String::new(), res.storage.to_string());
    state.storage.get(&storage(), &key).is_some_and(|crd| metadata::is_terminating(&crd.object))
}
