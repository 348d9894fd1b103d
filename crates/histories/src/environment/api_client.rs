//! Requests to the API server from everyone except the controller: kubectl users, kubelets, the cloud controller, upstream's
//! controller.

use super::api_resources::LEASE_NAMESPACE;
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use multi_eni_api::names::VERSION;
use multi_eni_sim::kube::{ApiServer, GroupResource};
use serde_json::Value;
use tower::Service;

/// The User-Agent of the node agents.
pub const NODE_AGENT: &str = "node-agent";

/// A client of the API server for everyone except the controller. Its User-Agent is `people` or [`NODE_AGENT`], which traces show.
#[derive(Clone)]
pub struct ApiClient {
    api: ApiServer,
    name: &'static str,
}

impl ApiClient {
    /// A client of that API server.
    pub fn new(api: &ApiServer) -> Self {
        Self { api: api.clone(), name: "people" }
    }

    /// The client of the node agents.
    pub fn node_agent(api: &ApiServer) -> Self {
        Self { api: api.clone(), name: NODE_AGENT }
    }

    /// Applies a part of the status of an object, as this field manager.
    pub async fn apply_status(
        &self,
        resource: &GroupResource,
        name: &str,
        manager: &str,
        part: &Value,
    ) -> Result<Value, String> {
        let path = format!("{}/status?fieldManager={manager}&force=true", path(resource, name));
        self.send(Method::PATCH, &path, "application/apply-patch+yaml", Some(part)).await
    }

    /// Creates an object.
    pub async fn create(&self, resource: &GroupResource, object: &Value) -> Result<Value, String> {
        self.send(Method::POST, &path(resource, ""), "application/json", Some(object)).await
    }

    /// Replaces an object by one that was read and changed.
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
            .header(header::USER_AGENT, self.name)
            .body(Full::new(Bytes::from(bytes)))
            .map_err(|error| error.to_string())?;
        let answer = self.api.service().call(request).await.map_err(|error| error.to_string())?;
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
        "coordination.k8s.io" => format!("/apis/{group}/v1/namespaces/{LEASE_NAMESPACE}/{resource}"),
        group => format!("/apis/{group}/{VERSION}/{resource}"),
    };
    if !name.is_empty() {
        path += "/";
        path += name;
    }
    path
}
