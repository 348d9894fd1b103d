//! Routes: which read, write or document answers a parsed request.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderValue, Response, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::{Value, json};

use super::{
    answer::{self, ApiBody},
    cause::Cause,
    discovery, events,
    faults::Disconnected,
    form::Form,
    metadata, openapi,
    patch::{self, Patch},
    read, render,
    request::RequestInfo,
    resource::{Conversion, Resource, ResourceRef},
    state::State,
    status::StatusError,
    watch,
    write::{self, Deleted, Edit, FieldValidation, Preconditions, Target, WriteOptions, Written},
};

type Shared = Arc<Mutex<State>>;
type Answer = Result<Response<ApiBody>, StatusError>;

/// Serves one request.
pub fn route(shared: &Shared, info: &RequestInfo, body: &Bytes) -> Response<ApiBody> {
    let answer = if info.resource.is_empty() { meta(shared, info) } else { resource(shared, info, body) };
    answer.unwrap_or_else(|error| answer::error(&error))
}

/// Serves the paths that address no resource: discovery, OpenAPI, version and health.
fn meta(shared: &Shared, info: &RequestInfo) -> Answer {
    let state = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let segments: Vec<&str> = info.path.split('/').filter(|s| !s.is_empty()).collect();
    let found = match segments.as_slice() {
        ["version"] => Some(discovery::version()),
        ["healthz" | "readyz" | "livez", ..] => {
            return Ok(answer::bytes(200, "text/plain; charset=utf-8", "ok"));
        }
        ["api" | "apis"] => {
            let core = segments == ["api"];
            if let Some(content_type) = discovery::aggregated_type(info) {
                let document = serde_json::to_vec(&discovery::aggregated(&state, core)).unwrap_or_default();
                return Ok(answer::bytes(200, content_type, document));
            }
            Some(if core { discovery::core_versions() } else { discovery::group_list(&state) })
        }
        ["api", version] => discovery::resource_list(&state, "", version),
        ["apis", group] => discovery::group(&state, group),
        ["apis", group, version] => discovery::resource_list(&state, group, version),
        ["openapi", "v3"] => Some(openapi::index(&state)),
        ["openapi", "v3", "api", version] => openapi::document(&state, "", version),
        ["openapi", "v3", "apis", group, version] => openapi::document(&state, group, version),
        _ => None,
    };
    found.map(|value| answer::json(200, &value)).ok_or_else(StatusError::no_such_path)
}

fn resource(shared: &Shared, info: &RequestInfo, body: &Bytes) -> Answer {
    if info.group == "authorization.k8s.io" && info.verb == "create" {
        return access_review(body);
    }
    let served = {
        let state = shared.lock().unwrap_or_else(PoisonError::into_inner);
        state.resource(&info.group, &info.version, &info.resource)
    };
    let res = served.ok_or_else(StatusError::no_such_path)?;
    let status = match info.subresource.as_str() {
        "" => false,
        "status" if res.status => true,
        _ if res.custom => return Err(StatusError::not_found(&res, &info.name)),
        _ => return Err(StatusError::no_such_path()),
    };
    // A cluster-scoped resource is not below a namespace.
    if !res.namespaced && !info.namespace.is_empty() {
        return Err(StatusError::no_such_path());
    }
    if info.verb == "watch" {
        return open_watch(shared, res, info);
    }
    let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
    admission(&state, &res, info, body)?;
    match info.verb.as_str() {
        "get" => {
            let object = read::get(&state, &res, &info.namespace, &info.name)?;
            Ok(object_answer(&state, &res, info, 200, &object))
        }
        "list" => {
            let page = read::list(&state, &res, info)?;
            let bytes = render::list(&res, &page, Form::accepted(info), state.clock.now());
            Ok(answer::bytes(200, "application/json", bytes))
        }
        "create" if !status && info.name.is_empty() && (!res.namespaced || !info.namespace.is_empty()) => {
            let options = write_options(info, false)?;
            let body = parse_body(info, body, &res)?;
            let written = write::create(&mut state, &res, &info.namespace, body, &options)?;
            Ok(written_answer(&state, &res, info, &written))
        }
        "update" if info.name.is_empty() => Err(StatusError::bad_request("name must be provided")),
        "update" => {
            let options = write_options(info, status)?;
            let edit = Edit::Replace(parse_body(info, body, &res)?);
            let written = write::update(&mut state, &target(&res, info), edit, &options)?;
            Ok(written_answer(&state, &res, info, &written))
        }
        "patch" if !info.name.is_empty() => {
            let options = write_options(info, status)?;
            let edit = parse_patch(info, body, &res)?;
            let written = write::update(&mut state, &target(&res, info), edit, &options)?;
            Ok(written_answer(&state, &res, info, &written))
        }
        "delete" if !status => delete(&mut state, &res, info, body),
        "deletecollection" => delete_collection(&mut state, &res, info, body),
        "create" if status && res.custom => Err(StatusError::not_supported(&res, "create")),
        _ => Err(StatusError::method_not_allowed()),
    }
}

/// Refuses a write that a denial concerns. An update or delete of an object that does not exist is not denied: it gets 404.
fn admission(state: &State, res: &Resource, info: &RequestInfo, body: &Bytes) -> Result<(), StatusError> {
    if state.denials.is_empty() {
        return Ok(());
    }
    let name = match info.verb.as_str() {
        "create" => {
            let object: Value = serde_json::from_slice(body).unwrap_or_default();
            metadata::text(&object, "name").to_owned()
        }
        _ => info.name.clone(),
    };
    let now = state.clock.now();
    let denial = state.denials.iter().find(|denial| denial.concerns(info, &name, now));
    let exists = info.verb == "create" || read::get(state, res, &info.namespace, &name).is_ok();
    denial.filter(|_| exists).map_or(Ok(()), |denial| Err(denial.answer(info, &name)))
}

fn access_review(body: &Bytes) -> Answer {
    let mut review: Value = serde_json::from_slice(body).unwrap_or_else(|_| json!({}));
    if let Some(map) = review.as_object_mut() {
        map.insert("status".into(), json!({ "allowed": true }));
    }
    Ok(answer::json(201, &review))
}

fn open_watch(shared: &Shared, res: ResourceRef, info: &RequestInfo) -> Answer {
    let lines = watch::open(shared, res, info)?;
    let frames = lines.map(|line| Ok::<_, Disconnected>(Frame::data(line)));
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    let content_type = match Form::accepted(info) {
        Form::Table(_) => "application/json;as=Table;g=meta.k8s.io;v=v1",
        Form::Full | Form::Partial => "application/json",
    };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    Ok(response)
}

fn object_answer(state: &State, res: &Resource, info: &RequestInfo, code: u16, object: &Value) -> Response<ApiBody> {
    answer::json(code, &render::object(res, object, Form::accepted(info), state.clock.now()))
}

fn written_answer(state: &State, res: &Resource, info: &RequestInfo, written: &Written) -> Response<ApiBody> {
    let code = if written.created { 201 } else { 200 };
    let mut response = object_answer(state, res, info, code, &written.object);
    answer::warn(&mut response, &written.warnings);
    response
}

fn delete(state: &mut State, res: &Resource, info: &RequestInfo, body: &Bytes) -> Answer {
    let (preconditions, dry_run) = delete_options(info, body)?;
    let deleted = write::delete(state, &target(res, info), &preconditions, dry_run)?;
    match deleted {
        Deleted::Terminating(object) => Ok(object_answer(state, res, info, 200, &object)),
        // For Pods and ServiceAccounts, the answer to a DELETE is the object.
        Deleted::Gone(object) if matches!(res.plural.as_str(), "pods" | "serviceaccounts") && !res.custom => {
            Ok(object_answer(state, res, info, 200, &object))
        }
        Deleted::Gone(object) => {
            let mut details = json!({ "name": info.name, "kind": res.plural, "uid": metadata::text(&object, "uid") });
            if let (Some(map), false) = (details.as_object_mut(), res.group.is_empty()) {
                map.insert("group".into(), json!(res.group));
            }
            Ok(answer::json(
                200,
                &json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
                }),
            ))
        }
    }
}

fn delete_collection(state: &mut State, res: &Resource, info: &RequestInfo, body: &Bytes) -> Answer {
    let (preconditions, dry_run) = delete_options(info, body)?;
    let page = read::list(state, res, info)?;
    for object in &page.items {
        let (namespace, name) = (metadata::text(object, "namespace"), metadata::text(object, "name"));
        write::delete(state, &Target { res, namespace, name }, &preconditions, dry_run)?;
    }
    let bytes = render::list(res, &page, Form::accepted(info), state.clock.now());
    Ok(answer::bytes(200, "application/json", bytes))
}

/// The object that a request addresses.
fn target<'a>(res: &'a Resource, info: &'a RequestInfo) -> Target<'a> {
    Target { res, namespace: &info.namespace, name: &info.name }
}

fn delete_options(info: &RequestInfo, body: &Bytes) -> Result<(Preconditions, bool), StatusError> {
    let options: Value = if body.is_empty() { json!({}) } else { parse(info, body)? };
    let text = |pointer: &str| options.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let preconditions =
        Preconditions { uid: text("/preconditions/uid"), resource_version: text("/preconditions/resourceVersion") };
    let dry_run = options.get("dryRun").and_then(Value::as_array).is_some_and(|d| !d.is_empty());
    Ok((preconditions, dry_run || !info.param("dryRun").is_empty()))
}

fn write_options(info: &RequestInfo, status: bool) -> Result<WriteOptions, StatusError> {
    let named = info.param("fieldManager");
    let agent = info.user_agent.split('/').next().filter(|a| !a.is_empty()).unwrap_or("unknown");
    let apply = info.verb == "patch" && info.media_type() == "application/apply-patch+yaml";
    if apply && named.is_empty() {
        return Err(StatusError::invalid_options(
            "PatchOptions",
            Cause::required("fieldManager", "is required for apply patch"),
        ));
    }
    if !apply && info.flag("force") && info.verb == "patch" {
        return Err(StatusError::invalid_options(
            "PatchOptions",
            Cause::forbidden("force", "may not be specified for non-apply patch"),
        ));
    }
    Ok(WriteOptions {
        field_manager: if named.is_empty() { agent } else { named }.to_owned(),
        dry_run: !info.param("dryRun").is_empty(),
        force: info.flag("force"),
        field_validation: match info.param("fieldValidation") {
            "Ignore" => FieldValidation::Ignore,
            "Strict" => FieldValidation::Strict,
            _ => FieldValidation::Warn,
        },
        status,
    })
}

fn parse(info: &RequestInfo, body: &Bytes) -> Result<Value, StatusError> {
    let bad = |e: String| StatusError::bad_request(format!("error decoding the body of the request: {e}"));
    match info.media_type() {
        "application/json" | "" | "*/*" => serde_json::from_slice(body).map_err(|e| bad(e.to_string())),
        "application/yaml" => serde_yaml::from_slice(body).map_err(|e| bad(e.to_string())),
        _ => Err(StatusError::unsupported_media_type("application/json, application/yaml")),
    }
}

fn parse_body(info: &RequestInfo, body: &Bytes, res: &Resource) -> Result<Value, StatusError> {
    Ok(stored_form(res, parse(info, body)?))
}

/// Converts an object of a request to the stored version.
fn stored_form(res: &Resource, object: Value) -> Value {
    match res.conversion {
        Conversion::Same => object,
        Conversion::Events => {
            let mut object = events::to_core(object);
            if let Some(map) = object.as_object_mut() {
                map.remove("apiVersion");
            }
            object
        }
    }
}

fn parse_patch(info: &RequestInfo, body: &Bytes, res: &Resource) -> Result<Edit, StatusError> {
    let bad = |e: String| StatusError::bad_request(format!("error decoding patch: {e}"));
    let value = || serde_json::from_slice::<Value>(body).map_err(|e| bad(e.to_string()));
    match info.media_type() {
        "application/merge-patch+json" => Ok(Edit::Patch(Patch::Merge(stored_form(res, value()?)))),
        "application/json-patch+json" => {
            let parsed = serde_json::from_slice(body).map_err(|e| bad(e.to_string()))?;
            Ok(Edit::Patch(Patch::Json(parsed)))
        }
        "application/strategic-merge-patch+json" if !res.custom => {
            Ok(Edit::Patch(Patch::Strategic(stored_form(res, value()?))))
        }
        "application/apply-patch+yaml" => {
            // Most configurations are JSON, which is much cheaper to parse as JSON than as YAML.
            let json = serde_json::from_slice(body);
            let config: Value = json.or_else(|_| serde_yaml::from_slice(body).map_err(|e| bad(e.to_string())))?;
            if config.pointer("/metadata/managedFields").is_some_and(|m| !m.is_null()) {
                return Err(StatusError::bad_request("metadata.managedFields must be nil"));
            }
            let given = |field: &str| config.get(field).and_then(Value::as_str).unwrap_or_default();
            let (version, kind) = (given("apiVersion"), given("kind"));
            if version.is_empty() || kind.is_empty() {
                let version = if version.is_empty() { "/" } else { version };
                return Err(StatusError::bad_request(format!("invalid object type: {version}, Kind={kind}")));
            }
            Ok(Edit::Apply(stored_form(res, config)))
        }
        _ if res.custom => Err(StatusError::unsupported_media_type(patch::media_types(res))),
        _ => {
            let mut error = StatusError::new(415, "UnsupportedMediaType", "415: Unsupported Media Type");
            error.details = Some(json!({}));
            Err(error)
        }
    }
}
