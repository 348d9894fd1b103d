//! `/openapi/v3`: the documents from which kubectl learns the fields, and that the server validates them.

use serde_json::{Map, Value, json};

use super::{discovery, resource::Resource, state::State};

/// The index of documents.
pub fn index(state: &State) -> Value {
    let mut paths = Map::new();
    for (group, versions) in discovery::groups(state) {
        for version in versions.keys() {
            let path = if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
            let url = format!("/openapi/v3/{path}?hash={}", state.storage.version());
            paths.insert(path, json!({ "serverRelativeURL": url }));
        }
    }
    json!({ "paths": paths })
}

/// The document of one group and version.
pub fn document(state: &State, group: &str, version: &str) -> Option<Value> {
    let groups = discovery::groups(state);
    let resources = groups.get(group)?.get(version)?;
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    for res in resources {
        let name = schema_name(res);
        let operation = |action: &str| operation(res, action, &name);
        let base = base_path(res);
        let many = json!({ "get": operation("list"), "post": operation("post") });
        let one = json!({
            "get": operation("get"), "put": operation("put"), "patch": operation("patch"),
            "delete": operation("delete"),
        });
        paths.insert(base.clone(), many);
        paths.insert(format!("{base}/{{name}}"), one);
        schemas.insert(name, schema(res));
    }
    schemas.insert("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta".into(), object_meta());
    Some(json!({
        "openapi": "3.0.0", "info": { "title": "Kubernetes", "version": "v1.34.3" },
        "paths": paths, "components": { "schemas": schemas },
    }))
}

fn schema_name(res: &Resource) -> String {
    let domain: Vec<&str> = if res.custom {
        res.group.split('.').rev().collect()
    } else {
        vec!["io.k8s.api", res.group.split('.').next().filter(|g| !g.is_empty()).unwrap_or("core")]
    };
    format!("{}.{}.{}", domain.join("."), res.version, res.kind)
}

fn base_path(res: &Resource) -> String {
    let root = if res.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", res.group) };
    let scope = if res.namespaced { "/namespaces/{namespace}" } else { "" };
    format!("{root}/{}{scope}/{}", res.version, res.plural)
}

fn kind(res: &Resource) -> Value {
    json!({ "group": res.group, "version": res.version, "kind": res.kind })
}

fn operation(res: &Resource, action: &str, schema: &str) -> Value {
    let parameters: Vec<Value> = ["dryRun", "fieldManager", "fieldValidation"]
        .iter()
        .map(|name| json!({ "name": name, "in": "query", "schema": { "type": "string", "uniqueItems": true } }))
        .collect();
    let reference = json!({ "$ref": format!("#/components/schemas/{schema}") });
    json!({
        "operationId": format!("{action}{}", res.kind), "parameters": parameters,
        "x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind(res),
        "responses": { "200": { "description": "OK", "content": { "application/json": { "schema": reference } } } },
    })
}

fn schema(res: &Resource) -> Value {
    let mut schema = res.schema_json.clone().unwrap_or_else(|| {
        json!({ "type": "object", "properties": {
            "spec": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
            "status": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
        } })
    });
    let Some(map) = schema.as_object_mut() else {
        return schema;
    };
    map.insert("x-kubernetes-group-version-kind".into(), json!([kind(res)]));
    let properties = map.entry("properties").or_insert_with(|| json!({}));
    if let Some(properties) = properties.as_object_mut() {
        let text = |description: &str| json!({ "type": "string", "description": description });
        properties.insert("apiVersion".into(), text("The versioned schema of this representation of an object."));
        properties.insert("kind".into(), text("The REST resource this object represents."));
        let meta = json!({ "$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta" });
        properties.insert(
            "metadata".into(),
            json!({ "description": "Standard object's metadata.", "allOf": [meta], "default": {} }),
        );
    }
    schema
}

fn object_meta() -> Value {
    let text = json!({ "type": "string" });
    let map = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    json!({ "type": "object", "description": "Metadata that all persisted resources must have.", "properties": {
        "name": text, "namespace": text, "generateName": text, "uid": text, "resourceVersion": text,
        "creationTimestamp": text, "deletionTimestamp": text, "labels": map, "annotations": map,
        "finalizers": { "type": "array", "items": text }, "generation": { "type": "integer" },
        "ownerReferences": { "type": "array", "items": { "type": "object" } },
        "managedFields": { "type": "array", "items": { "type": "object" } },
    } })
}
