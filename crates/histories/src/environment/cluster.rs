//! The cluster: an API server with our CRDs, and the people and kubelets who write to it.

use super::epoch;
use crate::entropy;
use crate::replica::NAMESPACE;
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use multi_eni_api::names::{GROUP, VERSION};
use multi_eni_sim::clock::SimClock;
use multi_eni_sim::kube::{ApiServer, GroupResource};
use serde_json::Value;
use std::sync::OnceLock;
use tower::Service;

/// Nodes.
pub fn nodes() -> GroupResource {
    GroupResource::new("", "nodes")
}

/// NodeENIs.
pub fn nodeenis() -> GroupResource {
    GroupResource::new(GROUP, "nodeenis")
}

/// ENIAttachments.
pub fn eniattachments() -> GroupResource {
    GroupResource::new(GROUP, "eniattachments")
}

/// Pods. All are in the namespace default.
pub fn pods() -> GroupResource {
    GroupResource::new("", "pods")
}

/// By which Pods name the NodeENIs that they use.
pub const POD_ANNOTATION: &str = "example.com/nodeenis";

pub(super) fn open(seed: u64, clock: SimClock) -> Result<(ApiServer, String), String> {
    let api = template()?.fork(clock, seed);
    let system = api.get(&GroupResource::new("", "namespaces"), "", "kube-system");
    let uid = system.as_ref().and_then(|namespace| namespace.pointer("/metadata/uid")).and_then(Value::as_str);
    let uid = uid.unwrap_or_default().to_owned();
    Ok((api, uid))
}

/// An API server with our CRDs, made once a process: compiling them takes as long as a good part of a history.
fn template() -> Result<&'static ApiServer, String> {
    static TEMPLATE: OnceLock<Result<ApiServer, String>> = OnceLock::new();
    let made = TEMPLATE.get_or_init(|| {
        // On a thread of its own, whose chance is always the same, so that no history's is used up by being the first.
        let made = std::thread::spawn(|| {
            entropy::begin(0);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            runtime.map_err(|error| error.to_string())?.block_on(async { make_template() })
        });
        made.join().unwrap_or_else(|_| Err("the template of the API server panicked".to_owned()))
    });
    made.as_ref().map_err(String::clone)
}

fn make_template() -> Result<ApiServer, String> {
    let api = ApiServer::new(epoch());
    // Ownership is kept all the same; not to show it makes every object a third shorter.
    api.show_managed_fields(false);
    let crds = multi_eni_api::crds::yaml().map_err(|error| error.to_string())?;
    api.install_crds(&crds).map_err(|error| format!("the CRDs are refused: {error}"))?;
    Ok(api)
}

/// Everybody who writes to the API server and is not the controller.
#[derive(Clone)]
pub struct People(ApiServer);

impl People {
    /// With that API server.
    pub fn at(api: &ApiServer) -> Self {
        Self(api.clone())
    }

    /// Creates an object.
    pub async fn create(&self, resource: &GroupResource, object: &Value) -> Result<Value, String> {
        self.send(Method::POST, &path(resource, ""), "application/json", Some(object)).await
    }

    /// Replaces an object, as it was read and changed.
    pub async fn replace(&self, resource: &GroupResource, name: &str, object: &Value) -> Result<Value, String> {
        self.send(Method::PUT, &path(resource, name), "application/json", Some(object)).await
    }

    /// Patches an object, with a JSON merge patch.
    pub async fn patch(&self, resource: &GroupResource, name: &str, patch: &Value) -> Result<Value, String> {
        self.send(Method::PATCH, &path(resource, name), "application/merge-patch+json", Some(patch)).await
    }

    /// Patches the status of an object, with a JSON merge patch.
    pub async fn patch_status(&self, resource: &GroupResource, name: &str, patch: &Value) -> Result<Value, String> {
        let path = path(resource, name) + "/status";
        self.send(Method::PATCH, &path, "application/merge-patch+json", Some(patch)).await
    }

    /// Deletes an object.
    pub async fn delete(&self, resource: &GroupResource, name: &str) -> Result<Value, String> {
        self.send(Method::DELETE, &path(resource, name), "application/json", None).await
    }

    /// Reads an object.
    pub async fn get(&self, resource: &GroupResource, name: &str) -> Result<Value, String> {
        self.send(Method::GET, &path(resource, name), "application/json", None).await
    }

    async fn send(&self, method: Method, path: &str, kind: &str, body: Option<&Value>) -> Result<Value, String> {
        let bytes = body.map(|body| serde_json::to_vec(body).unwrap_or_default()).unwrap_or_default();
        let request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header(header::CONTENT_TYPE, kind)
            .header(header::USER_AGENT, "people")
            .body(Full::new(Bytes::from(bytes)))
            .map_err(|error| error.to_string())?;
        let answer = self.0.service().call(request).await.map_err(|error| error.to_string())?;
        let (parts, body) = answer.into_parts();
        let bytes = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if parts.status.is_success() {
            return Ok(value);
        }
        let why = value.get("message").and_then(Value::as_str).unwrap_or_default();
        Err(format!("{method} {path}: {} {why}", parts.status.as_u16()))
    }
}

fn path(resource: &GroupResource, name: &str) -> String {
    let GroupResource { group, resource } = resource;
    let mut path = match group.as_str() {
        "" if resource == "pods" => format!("/api/v1/namespaces/default/{resource}"),
        "" => format!("/api/v1/{resource}"),
        "coordination.k8s.io" => format!("/apis/{group}/v1/namespaces/{NAMESPACE}/{resource}"),
        group => format!("/apis/{group}/{VERSION}/{resource}"),
    };
    if !name.is_empty() {
        path += "/";
        path += name;
    }
    path
}
