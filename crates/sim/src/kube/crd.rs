//! CustomResourceDefinitions: from an object to a served resource, and away again.

use serde_json::{Value, json};

use super::{
    builtin,
    cel::CelRules,
    jsonpath::JsonPath,
    metadata,
    resource::{Cell, Column, Conversion, GroupResource, Resource},
    schema::Schema,
    state::State,
    status::Cause,
    write::{self, Edit, Preconditions, WriteOptions},
};

const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

fn is_crd(res: &Resource) -> bool {
    res.group == "apiextensions.k8s.io" && res.plural == "customresourcedefinitions"
}

fn storage() -> GroupResource {
    GroupResource::new("apiextensions.k8s.io", "customresourcedefinitions")
}

fn at<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Names and conversion.
pub fn default(res: &Resource, object: &mut Value) {
    if !is_crd(res) {
        return;
    }
    let kind = at(object, "/spec/names/kind").to_owned();
    if let Some(names) = object.pointer_mut("/spec/names").and_then(Value::as_object_mut) {
        names.entry("listKind").or_insert_with(|| json!(format!("{kind}List")));
        names.entry("singular").or_insert_with(|| json!(kind.to_lowercase()));
    }
    if let Some(spec) = object.pointer_mut("/spec").and_then(Value::as_object_mut) {
        spec.entry("conversion").or_insert_with(|| json!({ "strategy": "None" }));
    }
}

/// What a DELETE adds to a CRD: the finalizer that waits for its objects.
pub fn before_delete(res: &Resource, object: &mut Value) {
    if is_crd(res) && !metadata::is_terminating(object) && !metadata::finalizers(object).contains(&FINALIZER) {
        let mut finalizers: Vec<String> = metadata::finalizers(object).into_iter().map(str::to_owned).collect();
        finalizers.push(FINALIZER.into());
        metadata::set(object, "finalizers", json!(finalizers));
    }
}

/// What is wrong with a CRD.
pub fn validate(res: &Resource, object: &Value) -> Vec<Cause> {
    if !is_crd(res) {
        return Vec::new();
    }
    let mut causes = Vec::new();
    let expected = format!("{}.{}", at(object, "/spec/names/plural"), at(object, "/spec/group"));
    if metadata::text(object, "name") != expected {
        let why = format!("must be spec.names.plural+\".\"+spec.group: {expected}");
        causes.push(Cause::invalid("metadata.name", &json!(metadata::text(object, "name")), &why));
    }
    if let Err(cause) = resources(object) {
        causes.push(cause);
    }
    causes
}

/// The resources that a CRD serves.
fn resources(crd: &Value) -> Result<Vec<Resource>, Cause> {
    let versions = crd.pointer("/spec/versions").and_then(Value::as_array);
    let served = versions.into_iter().flatten().enumerate();
    served
        .filter(|(_, v)| v.get("served").and_then(Value::as_bool) == Some(true))
        .map(|(i, v)| resource(crd, v, &format!("spec.versions[{i}]")))
        .collect()
}

fn resource(crd: &Value, version: &Value, path: &str) -> Result<Resource, Cause> {
    let names = |field: &str| at(crd, &format!("/spec/names/{field}")).to_owned();
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
    // Whatever the CRD says of it, metadata is ObjectMeta: its lists merge.
    let metadata = Schema::parse(&builtin::metadata_schema()).map_err(|e| unusable(&e.to_string()))?;
    schema.properties.insert("metadata".into(), metadata);
    let cel = CelRules::compile(json).map_err(|e| unusable(&e))?;
    let (group, plural) = (at(crd, "/spec/group").to_owned(), names("plural"));
    Ok(Resource {
        version: at(version, "/name").to_owned(),
        kind: names("kind"),
        list_kind: names("listKind"),
        singular: names("singular"),
        short_names: list("shortNames"),
        categories: list("categories"),
        namespaced: at(crd, "/spec/scope") == "Namespaced",
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
        let text = at(field, "/jsonPath");
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
        let text = at(column, "/jsonPath");
        let cell = JsonPath::parse(text).ok_or_else(|| {
            let field = format!("{path}.additionalPrinterColumns[{i}].jsonPath");
            Cause::invalid(field, &json!(text), "is an invalid path")
        })?;
        Ok(Column {
            name: at(column, "/name").to_owned(),
            kind: at(column, "/type").to_owned(),
            format: at(column, "/format").to_owned(),
            priority: column.get("priority").and_then(Value::as_i64).unwrap_or(0),
            description: at(column, "/description").to_owned(),
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

/// Whether the CRD of a custom resource is on its way out.
pub fn is_terminating(state: &State, res: &Resource) -> bool {
    let key = (String::new(), res.storage.to_string());
    state.storage.get(&storage(), &key).is_some_and(|crd| metadata::is_terminating(&crd.object))
}

/// After a create or update: a CRD is established and served; a custom resource may have been the last one.
pub fn after_write(state: &mut State, res: &Resource, name: &str) {
    if !is_crd(res) {
        return after_delete(state, res, name);
    }
    let key = (String::new(), name.to_owned());
    let Some(crd) = state.storage.get(&storage(), &key).map(|s| s.object.clone()) else {
        return unserve(state, name);
    };
    if metadata::is_terminating(&crd) {
        return after_delete(state, res, name);
    }
    let Ok(resources) = resources(&crd) else {
        return;
    };
    let group = at(&crd, "/spec/group");
    state.unregister(&GroupResource::new(group, at(&crd, "/spec/names/plural")));
    resources.into_iter().for_each(|r| state.register(r));
    if crd.pointer("/status/conditions").is_some() && crd.pointer("/status/acceptedNames") == crd.pointer("/spec/names")
    {
        return;
    }
    let now = state.now();
    let condition = |kind: &str, reason: &str, message: &str| json!({ "type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": now });
    let mut object = Value::clone(&crd);
    let stored = crd.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten();
    let stored: Vec<&str> =
        stored.filter(|v| v.get("storage").and_then(Value::as_bool) == Some(true)).map(|v| at(v, "/name")).collect();
    if let Some(map) = object.as_object_mut() {
        let status = json!({
            "conditions": [
                condition("NamesAccepted", "NoConflicts", "no conflicts found"),
                condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
            ],
            "acceptedNames": crd.pointer("/spec/names"),
            "storedVersions": stored,
        });
        map.insert("status".into(), status);
    }
    let options = WriteOptions { status: true, ..WriteOptions::new("kube-apiserver") };
    // The CRD was just stored; its status has no rule to break.
    let _ = write::update(state, res, "", name, Edit::Replace(object), &options);
}

/// After a deletion: a terminating CRD takes its objects with it, and goes when the last one has.
pub fn after_delete(state: &mut State, res: &Resource, name: &str) {
    let crd_name = if is_crd(res) {
        name.to_owned()
    } else if res.custom {
        res.storage.to_string()
    } else {
        return;
    };
    let key = (String::new(), crd_name.clone());
    let Some(crd) = state.storage.get(&storage(), &key).map(|s| s.object.clone()) else {
        return;
    };
    if !metadata::is_terminating(&crd) || !metadata::finalizers(&crd).contains(&FINALIZER) {
        return;
    }
    let custom = GroupResource::new(at(&crd, "/spec/group"), at(&crd, "/spec/names/plural"));
    if is_crd(res)
        && let Some(served) = state.any_version(&custom)
    {
        let keys: Vec<_> = state.storage.objects(&custom).map(|(key, _)| key.clone()).collect();
        for (namespace, name) in keys {
            let _ = write::delete(state, &served, &namespace, &name, &Preconditions::default(), false);
        }
    }
    if state.storage.objects(&custom).next().is_some() {
        return;
    }
    // The last object's own clean-up may have been here already.
    let Some(crd) = state.storage.get(&storage(), &key).map(|s| s.object.clone()) else {
        return;
    };
    let mut object = Value::clone(&crd);
    let rest: Vec<&str> = metadata::finalizers(&crd).into_iter().filter(|f| *f != FINALIZER).collect();
    metadata::set(&mut object, "finalizers", json!(rest));
    if let Some(definitions) = state.any_version(&storage()) {
        let options = WriteOptions::new("kube-apiserver");
        let _ = write::update(state, &definitions, "", &crd_name, Edit::Replace(object), &options);
    }
}

fn unserve(state: &mut State, name: &str) {
    let Some((plural, group)) = name.split_once('.') else {
        return;
    };
    let custom = GroupResource::new(group, plural);
    state.unregister(&custom);
    state.storage.drop_collection(&custom);
}
