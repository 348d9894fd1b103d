//! Tests of the simulated API server with the real `kube::Client` and the real kubectl.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "kube/kinds.rs"]
mod kinds;
#[path = "kube/kubectl.rs"]
mod kubectl;
#[path = "kube/reads.rs"]
mod reads;
#[path = "kube/writes.rs"]
mod writes;

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{ConfigMap, Event, Namespace, Node},
};
use kube::{
    Api, Client, ResourceExt,
    api::{
        ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams,
        Preconditions, VersionMatch, WatchEvent, WatchParams,
    },
    runtime::{
        events::{EventType, Recorder, Reporter},
        watcher,
    },
};
use multi_eni_sim::{
    clock::SimClock,
    kube::{ApiServer, Failure, FaultDecision, GroupResource},
};
use serde_json::{Value, json};

/// The CRD of these tests.
pub const CRD: &str = include_str!("kube/nodeeni.yaml");

/// A server on which the CRD is installed.
pub fn server() -> ApiServer {
    let server = ApiServer::new(SimClock::starting_at("2026-01-01T00:00:00Z".parse().unwrap()));
    server.install_crds(CRD).unwrap();
    server
}

fn client(server: &ApiServer) -> Client {
    Client::new(server.service(), "default")
}

fn enis(client: &Client) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk("networking.k8s.aws", "v1alpha1", "NodeENI");
    Api::all_with(client.clone(), &ApiResource::from_gvk_with_plural(&gvk, "nodeenis"))
}

/// A valid NodeENI.
pub fn eni(name: &str) -> Value {
    json!({
        "apiVersion": "networking.k8s.aws/v1alpha1", "kind": "NodeENI", "metadata": { "name": name },
        "spec": { "nodeSelector": { "a": "b" }, "subnetID": "subnet-0123456789abcdef0" },
    })
}

fn object(value: Value) -> DynamicObject {
    serde_json::from_value(value).unwrap()
}

async fn create(api: &Api<DynamicObject>, value: Value) -> Result<DynamicObject, kube::Error> {
    api.create(&PostParams::default(), &object(value)).await
}

async fn merge(api: &Api<DynamicObject>, name: &str, patch: Value) -> Result<DynamicObject, kube::Error> {
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
}

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, kube::Error>, code: u16, reason: &str) -> String {
    match answer {
        Err(kube::Error::Api(status)) => {
            assert_eq!((status.code, status.reason.as_str()), (code, reason), "{}", status.message);
            status.message
        }
        other => panic!("expected {code} {reason}, got {other:?}"),
    }
}

fn version(object: &DynamicObject) -> u64 {
    object.resource_version().unwrap().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn same_requests_give_the_same_bytes() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let server = server();
        let api = enis(&client(&server));
        create(&api, eni("a")).await.unwrap();
        merge(&api, "a", json!({ "metadata": { "labels": { "x": "y" } } })).await.unwrap();
        let enis = GroupResource::new("networking.k8s.aws", "nodeenis");
        let namespaces = server.list(&GroupResource::new("", "namespaces"));
        runs.push(json!([server.list(&enis), namespaces]).to_string());
    }
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test(start_paused = true)]
async fn faults_and_the_log() {
    let server = server();
    let api = enis(&client(&server));
    server.intercept(Box::new(|info| match (info.verb.as_str(), info.resource.as_str()) {
        ("create", "nodeenis") => FaultDecision::FailAfter(Failure::Disconnect),
        ("list", _) => FaultDecision::FailBefore(Failure::Status(503)),
        ("get", _) => FaultDecision::Delay(Duration::from_secs(7)),
        _ => FaultDecision::Pass,
    }));
    assert!(matches!(create(&api, eni("a")).await, Err(kube::Error::Service(_))));
    refused(api.list(&ListParams::default()).await, 503, "ServiceUnavailable");
    let began = tokio::time::Instant::now();
    api.get("a").await.expect("the lost create had its effect");
    assert_eq!(began.elapsed().as_secs(), 7);
    server.stop_intercepting();
    let verbs: Vec<(String, u16)> = server.requests().into_iter().map(|r| (r.verb, r.status)).collect();
    assert_eq!(verbs, [("create".into(), 0), ("list".into(), 503), ("get".into(), 200)]);
    assert_eq!(server.writes(), BTreeMap::from([("nodeenis.networking.k8s.aws".to_owned(), 1)]));
}
