//! A client of the real API server that sends plain requests.

use std::path::Path;

use http::{Method, Request};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use multi_eni_sim::kube::RequestInfo;
use serde_json::{Value, json};

/// The server, with an administrator's credentials.
pub struct Server(Client);

/// HTTP status and body; a body that is no JSON is a string.
pub type Answer = (u16, Value);

impl Server {
    /// The server that a kubeconfig names.
    pub async fn at(kubeconfig: &Path) -> Result<Self, String> {
        let config = Kubeconfig::read_from(kubeconfig).map_err(|e| e.to_string())?;
        let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await;
        let client = Client::try_from(config.map_err(|e| e.to_string())?);
        client.map(Self).map_err(|e| e.to_string())
    }

    /// Sends a request with the headers of another one that matter: content type, accepted type, and User-Agent.
    pub async fn send(&self, method: &str, uri: &str, like: &RequestInfo, body: Vec<u8>) -> Result<Answer, String> {
        let failed = |e: &dyn std::fmt::Display| format!("{method} {uri}: {e}");
        let mut request = Request::builder().method(method).uri(uri);
        let headers =
            [("content-type", &like.content_type), ("accept", &like.accept), ("user-agent", &like.user_agent)];
        for (name, value) in headers.into_iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(body)).map_err(|e| failed(&e))?;
        let answer = self.0.send(request).await.map_err(|e| failed(&e))?;
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.map_err(|e| failed(&e))?.to_bytes();
        Ok((status, read(&bytes)))
    }

    /// Reads an object that must exist.
    pub async fn get(&self, path: &str) -> Result<Value, String> {
        self.request(Method::GET, path, Vec::new()).await
    }

    /// Reads a list without the objects that the server itself writes: its Lease, its Events.
    pub async fn list(&self, path: &str) -> Result<Value, String> {
        let mut list = self.request(Method::GET, path, Vec::new()).await?;
        if let Some(items) = list["items"].as_array_mut() {
            items.retain(|item| item["metadata"]["managedFields"][0]["manager"] != "kube-apiserver");
        }
        Ok(list)
    }

    /// Deletes everything in a list, and removes finalizers for it.
    pub async fn clear(&self, path: &str) -> Result<(), String> {
        let list = self.list(path).await?;
        for item in list["items"].as_array().into_iter().flatten() {
            let metadata = &item["metadata"];
            let object = format!("{path}/{}", metadata["name"].as_str().unwrap_or_default());
            if metadata["finalizers"].is_array() {
                let free = json!({ "metadata": { "finalizers": null } }).to_string().into_bytes();
                self.request(Method::PATCH, &object, free).await?;
            }
            if !metadata["deletionTimestamp"].is_string() {
                self.request(Method::DELETE, &object, Vec::new()).await?;
            }
        }
        match self.list(path).await?["items"].as_array().map(Vec::len) {
            Some(0) => Ok(()),
            left => Err(format!("{path} is not empty after its clearing: {left:?}")),
        }
    }

    async fn request(&self, method: Method, uri: &str, body: Vec<u8>) -> Result<Value, String> {
        let like = RequestInfo { content_type: "application/merge-patch+json".to_owned(), ..RequestInfo::default() };
        let (status, value) = self.send(method.as_str(), uri, &like, body).await?;
        if (200..300).contains(&status) { Ok(value) } else { Err(format!("{method} {uri}: {status} {value}")) }
    }
}

/// A body as JSON; as a string if it is no JSON.
pub fn read(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(bytes)))
}
