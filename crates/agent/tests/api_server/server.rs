//! The stand-in for the API server: the objects, the watch and the requests of the agent.

use bytes::Bytes;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use kube::client::Body;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Answer = UnsyncBoxBody<Bytes, Infallible>;

/// The objects, the watch and the requests.
#[derive(Default)]
pub struct State {
    pub objects: Vec<Value>,
    pub version: u64,
    pub watch: Option<UnboundedSender<Result<Frame<Bytes>, Infallible>>>,
    pub requests: Vec<String>,
    pub patches: Vec<Value>,
}

impl State {
    /// Stores an object and tells the watch.
    pub fn store(&mut self, kind: &str, mut object: Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.retain(|old| old["metadata"]["name"] != object["metadata"]["name"]);
        if kind != "DELETED" {
            self.objects.push(object.clone());
        }
        if let Some(watch) = &self.watch {
            let line = format!("{}\n", json!({ "type": kind, "object": object }));
            let _ = watch.unbounded_send(Ok(Frame::data(line.into())));
        }
    }
}

pub fn json_answer(code: u16, value: &Value) -> Response<Answer> {
    let body = Full::new(Bytes::from(value.to_string())).boxed_unsync();
    Response::builder().status(code).header("content-type", "application/json").body(body).unwrap()
}

pub async fn answer(state: Arc<Mutex<State>>, request: Request<Body>) -> Result<Response<Answer>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let query: Vec<(String, String)> =
        form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let has = |key: &str, value: &str| query.iter().any(|(k, v)| k == key && v == value);
    let mut state = state.lock().unwrap();
    if parts.method == Method::PATCH {
        let name = parts.uri.path().split('/').nth_back(1).unwrap().to_owned();
        assert!(parts.uri.path().ends_with("/status") && has("fieldManager", "multi-eni-agent"), "{}", parts.uri);
        let patch: Value = serde_json::from_slice(&body).unwrap();
        let found = state.objects.iter().find(|object| object["metadata"]["name"] == name.as_str()).cloned();
        // It may be deleted while a report is on its way.
        let Some(mut object) = found else {
            let gone =
                json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404 });
            return Ok(json_answer(404, &gone));
        };
        object["status"]["node"] = patch["status"]["node"].clone();
        object["status"]["conditions"] = patch["status"]["conditions"].clone();
        state.patches.push(patch);
        state.store("MODIFIED", object.clone());
        return Ok(json_answer(200, &object));
    }
    assert!(has("fieldSelector", "spec.nodeName=node1"), "the agent reads its own node's objects alone: {}", parts.uri);
    if has("watch", "true") || has("watch", "1") {
        state.requests.push("watch".to_owned());
        let (send, receive) = unbounded();
        state.watch = Some(send);
        let body = StreamBody::new(receive).boxed_unsync();
        return Ok(Response::builder().header("content-type", "application/json").body(body).unwrap());
    }
    state.requests.push("list".to_owned());
    let list = json!({
        "apiVersion": "networking.k8s.aws/v1alpha1", "kind": "ENIAttachmentList",
        "metadata": { "resourceVersion": state.version.to_string() }, "items": state.objects,
    });
    Ok(json_answer(200, &list))
}

/// The object as the controller makes it, before EC2 has answered.
pub fn created() -> Value {
    json!({
        "apiVersion": "networking.k8s.aws/v1alpha1", "kind": "ENIAttachment",
        "metadata": { "name": "eni-1", "uid": "uid-1", "generation": 1 },
        "spec": {
            "nodeName": "node1", "nodeUID": "n", "instanceID": "i-00000000000000001", "nodeENIName": "one", "nodeENIUID": "o",
            "request": { "subnetID": "subnet-00000001", "subnetCIDR": "10.0.1.0/24", "deviceIndex": 1 },
            "nodeSettings": { "mtu": 1400, "nodeConfig": { "mode": "addresses", "interfaceName": "storage" } },
        },
    })
}

/// What the controller adds when the ENI is attached.
pub fn attached() -> Value {
    let mut object = created();
    object["status"] = json!({
        "phase": "Attached", "macAddress": "02:00:00:00:00:01",
        "privateIPs": ["10.0.1.11", "10.0.1.101"], "ipv6Addresses": ["2001:db8:1::1"],
    });
    object
}

pub async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..400 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not within 20 s: {what}");
}
