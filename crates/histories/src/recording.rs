//! What a recorded history leaves behind: everything that was written to its API server, to be written to another one.

use crate::environment::DENIED;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use multi_eni_sim::kube::{ApiServer, Entry, GroupResource, Tape};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tower::Service;

/// The writes of a history, and what came of them.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    /// Every request that wrote, or tried to, with its answer; but for what admission denied.
    pub writes: Vec<Entry>,
    /// By path, the lists of everything that was written, as they are at the end.
    pub left: BTreeMap<String, Value>,
    /// UID of the namespace kube-system, which is there before the first write.
    pub cluster: String,
}

/// Begins to record. Objects show who owns what in them, which they do not in other histories.
pub fn begin(api: &ApiServer) -> Tape {
    api.show_managed_fields(true);
    api.record()
}

/// Takes what is on the tape and in the lists.
pub async fn end(api: &ApiServer, tape: &Tape) -> Recording {
    let writes: Vec<Entry> = tape.entries().into_iter().filter(|entry| !is_denied(entry)).collect();
    let paths: BTreeSet<String> = writes.iter().map(Entry::collection).collect();
    let mut left = BTreeMap::new();
    for path in paths {
        // There is no list of what is not served.
        if let Some(list) = list(api, &path).await {
            left.insert(path, list);
        }
    }
    let system = api.get(&GroupResource::new("", "namespaces"), "", "kube-system").unwrap_or_default();
    let cluster = system.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default().to_owned();
    Recording { writes, left, cluster }
}

/// What admission denied has left nothing, and another API server has no such policy.
fn is_denied(entry: &Entry) -> bool {
    entry.status >= 400 && String::from_utf8_lossy(&entry.answer).contains(DENIED)
}

async fn list(api: &ApiServer, path: &str) -> Option<Value> {
    let request = Request::get(path).body(Empty::<Bytes>::new()).ok()?;
    let answer = api.service().call(request).await.ok().filter(|answer| answer.status().is_success())?;
    serde_json::from_slice(&answer.into_body().collect().await.ok()?.to_bytes()).ok()
}
