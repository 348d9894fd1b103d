//! Records everything that a history writes to its API server, so that a test can send the same writes to a real API server.

use crate::environment::DENIED;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use multi_eni_sim::kube::{ApiServer, Entry, GroupResource, Tape};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tower::Service;

/// The writes of a history, with their answers.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    /// Every write request with its answer, refused ones included. Writes that admission denied are left out.
    pub writes: Vec<Entry>,
    /// By path: the lists of all written resources, as they are at the end.
    pub left: BTreeMap<String, Value>,
    /// UID of the namespace kube-system, which exists before the first write.
    pub cluster: String,
}

/// Starts the recording. From now on objects show their managed fields, which other histories hide.
pub fn begin(api: &ApiServer) -> Tape {
    api.show_managed_fields(true);
    api.record()
}

/// Ends the recording, and reads the lists.
pub async fn end(api: &ApiServer, tape: &Tape) -> Recording {
    let writes: Vec<Entry> = tape.entries().into_iter().filter(|entry| !is_denied(entry)).collect();
    let paths: BTreeSet<String> = writes.iter().map(Entry::collection).collect();
    let mut left = BTreeMap::new();
    for path in paths {
        // The API server has no list of a resource that it does not serve.
        if let Some(list) = list(api, &path).await {
            left.insert(path, list);
        }
    }
    let system = api.get(&GroupResource::new("", "namespaces"), "", "kube-system").unwrap_or_default();
    let cluster = system.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default().to_owned();
    Recording { writes, left, cluster }
}

/// Whether admission denied the write. Such a write changed nothing, and a real API server has no such policy.
fn is_denied(entry: &Entry) -> bool {
    entry.status >= 400 && String::from_utf8_lossy(&entry.answer).contains(DENIED)
}

async fn list(api: &ApiServer, path: &str) -> Option<Value> {
    let request = Request::get(path).body(Empty::<Bytes>::new()).ok()?;
    let answer = api.service().call(request).await.ok().filter(|answer| answer.status().is_success())?;
    serde_json::from_slice(&answer.into_body().collect().await.ok()?.to_bytes()).ok()
}
