//! The simulated API server, seen through the real `kube::Client` and the real kubectl.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "kube/kubectl.rs"]
mod kubectl;

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
    kube::{ApiServer, Failure, GroupResource, Verdict},
};
use serde_json::{Value, json};

/// The test's own CRD.
pub const CRD: &str = include_str!("kube/nodeeni.yaml");

/// A server with the CRD.
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

/// A NodeENI that is valid.
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
async fn create_sets_what_the_server_sets() {
    let server = server();
    let api = enis(&client(&server));
    tokio::time::sleep(Duration::from_secs(5)).await;
    let made = create(&api, eni("a")).await.unwrap();
    let made = serde_json::to_value(&made).unwrap();
    assert_eq!(made["metadata"]["creationTimestamp"], "2026-01-01T00:00:05Z");
    assert_eq!(made["metadata"]["generation"], 1);
    assert_eq!(made["metadata"]["uid"].as_str().unwrap().len(), 36);
    assert_eq!(made["spec"]["deviceIndex"], 1, "defaulted");
    refused(create(&api, eni("a")).await, 409, "AlreadyExists");
    let generated = json!({ "generateName": "x-" });
    let mut body = eni("");
    body["metadata"] = generated;
    let made = create(&api, body).await.unwrap();
    assert!(made.name_any().starts_with("x-") && made.name_any().len() == 7);
    let message = refused(api.get("none").await, 404, "NotFound");
    assert_eq!(message, r#"nodeenis.networking.k8s.aws "none" not found"#);
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
async fn schema_is_enforced() {
    let server = server();
    let api = enis(&client(&server));
    let cases = [
        (
            json!({ "subnetID": "a" }),
            "spec.subnetID: Invalid value: \"a\": spec.subnetID in body should match '^subnet-[0-9a-f]{8,17}$'",
        ),
        (
            json!({ "deviceIndex": 0 }),
            "spec.deviceIndex: Invalid value: 0: spec.deviceIndex in body should be greater than or equal to 1",
        ),
        (
            json!({ "deviceIndex": 16 }),
            "spec.deviceIndex: Invalid value: 16: spec.deviceIndex in body should be less than or equal to 15",
        ),
        (
            json!({ "driver": "x" }),
            "spec.driver: Unsupported value: \"x\": supported values: \"vfio-pci\", \"igb_uio\"",
        ),
        (
            json!({ "nodeSelector": {} }),
            "spec.nodeSelector: Invalid value: 0: spec.nodeSelector in body should have at least 1 properties",
        ),
        (
            json!({ "securityGroupIDs": ["a", "b", "c"] }),
            "spec.securityGroupIDs: Too many: 3: must have at most 2 items",
        ),
        (json!({ "subnetName": "longer" }), "spec.subnetName: Too long: may not be more than 5 bytes"),
        (
            json!({ "deviceIndex": "1" }),
            "spec.deviceIndex: Invalid value: \"string\": spec.deviceIndex in body must be of type integer: \"string\"",
        ),
        (json!({ "nodeSelector": null }), "spec.nodeSelector: Required value"),
        (json!({ "subnetID": null }), "spec: Invalid value: \"object\": one of subnetID and subnetName is needed"),
    ];
    for (change, expected) in cases {
        let mut body = eni("a");
        for (field, value) in change.as_object().unwrap() {
            body["spec"][field] = value.clone();
        }
        let message = refused(create(&api, body).await, 422, "Invalid");
        let start = "NodeENI.networking.k8s.aws \"a\" is invalid: ";
        assert!(message.starts_with(start) && message.contains(expected), "{message}\n  wanted {expected}");
    }
    let mut body = eni("a");
    body["spec"]["unknown"] = json!(1);
    let made = create(&api, body.clone()).await.unwrap();
    assert_eq!(made.data["spec"].get("unknown"), None, "pruned");
    refused(create(&api, eni("Not_A_Name")).await, 422, "Invalid");
}

#[tokio::test(start_paused = true)]
async fn transition_rules_see_the_old_object() {
    let server = server();
    let api = enis(&client(&server));
    let mut body = eni("a");
    body["spec"]["card"] = json!(1);
    create(&api, body).await.unwrap();
    let message = refused(merge(&api, "a", json!({ "spec": { "card": 2 } })).await, 422, "Invalid");
    assert!(message.contains("spec.card: Invalid value: \"integer\": card cannot change"), "{message}");
    merge(&api, "a", json!({ "spec": { "deviceIndex": 2 } })).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn optimistic_concurrency() {
    let server = server();
    let api = enis(&client(&server));
    let first = create(&api, eni("a")).await.unwrap();
    merge(&api, "a", json!({ "metadata": { "labels": { "x": "1" } } })).await.unwrap();
    refused(api.replace("a", &PostParams::default(), &first).await, 409, "Conflict");
    let stale = json!({ "metadata": { "resourceVersion": first.resource_version() } });
    refused(merge(&api, "a", stale).await, 409, "Conflict");
    refused(merge(&api, "a", json!({ "metadata": { "uid": "other" } })).await, 422, "Invalid");
    let mut other = api.get("a").await.unwrap();
    other.metadata.uid = Some("other".into());
    refused(api.replace("a", &PostParams::default(), &other).await, 409, "Conflict");
    let mut blind = first.clone();
    blind.metadata.resource_version = None;
    let message = refused(api.replace("a", &PostParams::default(), &blind).await, 422, "Invalid");
    assert!(message.contains("must be specified for an update"), "{message}");
    let fresh = api.get("a").await.unwrap();
    api.replace("a", &PostParams::default(), &fresh).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn generation_and_status() {
    let server = server();
    let api = enis(&client(&server));
    let mut body = eni("a");
    body["status"] = json!({ "phase": "X" });
    let made = create(&api, body).await.unwrap();
    assert_eq!(made.data.get("status"), None, "create drops status");
    let same = merge(&api, "a", json!({ "status": { "phase": "X" } })).await.unwrap();
    assert_eq!(version(&same), version(&made), "main endpoint ignores status: nothing changed");
    let patch = Patch::Merge(json!({ "status": { "phase": "X" }, "spec": { "deviceIndex": 9 } }));
    let shown = api.patch_status("a", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!((&shown.data["status"]["phase"], &shown.data["spec"]["deviceIndex"]), (&json!("X"), &json!(1)));
    assert_eq!(shown.metadata.generation, Some(1));
    let again = api.patch_status("a", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(version(&again), version(&shown), "no-op");
    let labelled = merge(&api, "a", json!({ "metadata": { "labels": { "x": "1" } } })).await.unwrap();
    assert_eq!(labelled.metadata.generation, Some(1));
    let changed = merge(&api, "a", json!({ "spec": { "deviceIndex": 2 } })).await.unwrap();
    assert_eq!(changed.metadata.generation, Some(2));
    assert_eq!(changed.data["status"]["phase"], "X");
}

#[tokio::test(start_paused = true)]
async fn finalizers_hold_an_object() {
    let server = server();
    let api = enis(&client(&server));
    let mut body = eni("a");
    body["metadata"]["finalizers"] = json!(["x.io/a", "x.io/b"]);
    let made = create(&api, body).await.unwrap();
    let wrong =
        DeleteParams::default().preconditions(Preconditions { uid: Some("other".into()), resource_version: None });
    refused(api.delete("a", &wrong).await, 409, "Conflict");
    let held = api.delete("a", &DeleteParams::default()).await.unwrap().left().expect("still there");
    assert!(held.metadata.deletion_timestamp.is_some());
    assert_eq!(held.metadata.generation, Some(2));
    let twice = api.delete("a", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert_eq!(version(&twice), version(&held));
    let more = json!({ "metadata": { "finalizers": ["x.io/a", "x.io/b", "x.io/c"] } });
    let message = refused(merge(&api, "a", more).await, 422, "Invalid");
    assert!(message.contains("no new finalizers can be added if the object is being deleted"), "{message}");
    let stored = merge(&api, "a", json!({ "metadata": { "finalizers": ["x.io/b"] } })).await.unwrap();
    let message = refused(create(&api, eni("a")).await, 409, "AlreadyExists");
    assert!(message.starts_with("object is being deleted: "), "{message}");
    let mut watch = api.watch(&WatchParams::default(), &version(&stored).to_string()).await.unwrap().boxed();
    let last = json!({ "metadata": { "finalizers": null, "labels": { "last": "word" } } });
    let answer = merge(&api, "a", last).await.unwrap();
    refused(api.get("a").await, 404, "NotFound");
    // As the real one does: the answer has what was written and the version that was; watches hear what was stored last.
    assert_eq!((version(&answer), answer.finalizers().len(), answer.labels().len()), (version(&stored), 0, 1));
    let Some(Ok(WatchEvent::Deleted(told))) = watch.next().await else { panic!("no word of the deletion") };
    assert_eq!((told.finalizers(), told.labels().len()), (stored.finalizers(), 0));
    assert!(version(&told) > version(&stored));
    let second = create(&api, eni("a")).await.unwrap();
    assert_ne!(second.uid(), made.uid());
    let status = api.delete("a", &DeleteParams::default()).await.unwrap().right().expect("gone at once");
    assert_eq!(status.details.unwrap().uid, second.uid().unwrap());
}

#[tokio::test(start_paused = true)]
async fn apply_by_two_managers() {
    let server = server();
    let api = enis(&client(&server));
    create(&api, eni("a")).await.unwrap();
    let status = |conditions: Value| {
        Patch::Apply(json!({
            "apiVersion": "networking.k8s.aws/v1alpha1", "kind": "NodeENI",
            "status": { "conditions": conditions },
        }))
    };
    let ready = json!({ "type": "Ready", "status": "True" });
    let attached = json!({ "type": "Attached", "status": "True" });
    let configured = json!({ "type": "Configured", "status": "False", "message": "m" });
    let controller = PatchParams::apply("controller");
    let agent = PatchParams::apply("agent");
    api.patch_status("a", &controller, &status(json!([ready, attached]))).await.unwrap();
    let both = api.patch_status("a", &agent, &status(json!([configured]))).await.unwrap();
    assert_eq!(both.data["status"]["conditions"].as_array().unwrap().len(), 3);
    let again = api.patch_status("a", &agent, &status(json!([configured]))).await.unwrap();
    assert_eq!(version(&again), version(&both), "applying the same again writes nothing");
    let fewer = api.patch_status("a", &controller, &status(json!([ready]))).await.unwrap();
    assert_eq!(fewer.data["status"]["conditions"], json!([ready, configured]), "the agent's stays");
    let bare = json!({ "type": "Configured", "status": "False" });
    let less = api.patch_status("a", &agent, &status(json!([bare]))).await.unwrap();
    assert_eq!(less.data["status"]["conditions"], json!([ready, bare]), "the message is no longer applied");

    let theirs = json!([{ "type": "Ready", "status": "False" }]);
    let message = refused(api.patch_status("a", &agent, &status(theirs.clone())).await, 409, "Conflict");
    assert_eq!(
        message,
        "Apply failed with 1 conflict: conflict with \"controller\" with subresource \"status\": \
         .status.conditions[type=\"Ready\"].status"
    );
    let taken = api.patch_status("a", &agent.clone().force(), &status(theirs)).await.unwrap();
    assert_eq!(taken.data["status"]["conditions"], json!([{ "type": "Ready", "status": "False" }]));
    assert_eq!(taken.metadata.generation, Some(1));

    let mut config = eni("fresh");
    config["spec"]["tags"] = json!({ "a": "1", "b": "2" });
    let made = api.patch("fresh", &controller, &Patch::Apply(&config)).await.unwrap();
    assert_eq!(made.data["spec"]["deviceIndex"], 1, "apply creates, with defaults");
    merge(&api, "fresh", json!({ "spec": { "tags": { "c": "3" } } })).await.unwrap();
    config["spec"]["tags"] = json!({ "a": "1" });
    let fewer = api.patch("fresh", &controller, &Patch::Apply(&config)).await.unwrap();
    assert_eq!(fewer.data["spec"]["tags"], json!({ "a": "1", "c": "3" }));
}

#[tokio::test(start_paused = true)]
async fn patches_of_nodes() {
    let server = server();
    let nodes: Api<Node> = Api::all(client(&server));
    let node = json!({ "metadata": { "name": "n" }, "spec": { "providerID": "aws:///a/i-1",
        "taints": [{ "key": "a", "effect": "NoSchedule" }, { "key": "b", "effect": "NoSchedule" }] },
        "status": { "conditions": [{ "type": "Ready", "status": "True" }] } });
    let made = nodes.create(&PostParams::default(), &serde_json::from_value(node).unwrap()).await.unwrap();
    assert!(made.status.unwrap().conditions.is_some(), "a kubelet registers with a status");
    let directive = json!({ "spec": { "taints": [{ "$patch": "delete", "key": "a" }] } });
    let directive = nodes.patch("n", &PatchParams::default(), &Patch::Strategic(directive)).await;
    let message = refused(directive, 422, "Invalid");
    assert!(message.contains("taints[0].effect: Required value"), "taints do not merge: {message}");
    let only_b = json!({ "spec": { "taints": [{ "key": "b", "effect": "NoSchedule" }] } });
    let left = nodes.patch("n", &PatchParams::default(), &Patch::Strategic(only_b)).await.unwrap();
    assert_eq!(left.spec.unwrap().taints.unwrap().len(), 1);
    let steps: json_patch::Patch =
        serde_json::from_value(json!([{ "op": "add", "path": "/metadata/labels", "value": { "l": "1" } }])).unwrap();
    let labelled = nodes.patch("n", &PatchParams::default(), &Patch::Json::<()>(steps)).await.unwrap();
    assert_eq!(labelled.labels(), &BTreeMap::from([("l".to_owned(), "1".to_owned())]));
    let status = json!({ "status": { "conditions": [{ "type": "Other", "status": "True" }] } });
    let shown = nodes.patch_status("n", &PatchParams::default(), &Patch::Strategic(status)).await.unwrap();
    assert_eq!(shown.status.unwrap().conditions.unwrap().len(), 2, "merged by type");
    let moved = json!({ "spec": { "providerID": "aws:///a/i-2" } });
    refused(nodes.patch("n", &PatchParams::default(), &Patch::Merge(moved)).await, 422, "Invalid");
}

#[tokio::test(start_paused = true)]
async fn selectors_and_paging() {
    let server = server();
    let api = enis(&client(&server));
    for i in 0..5 {
        let mut body = eni(&format!("e{i}"));
        body["metadata"]["labels"] = json!({ "i": i.to_string() });
        body["spec"]["nodeName"] = json!(format!("n{}", i % 2));
        create(&api, body).await.unwrap();
    }
    let names = |list: kube::core::ObjectList<DynamicObject>| -> Vec<String> {
        list.items.iter().map(ResourceExt::name_any).collect()
    };
    let by = |params: ListParams| {
        let api = api.clone();
        async move { api.list(&params).await }
    };
    assert_eq!(names(by(ListParams::default().labels("i in (1,3)")).await.unwrap()), ["e1", "e3"]);
    assert_eq!(names(by(ListParams::default().labels("i!=1,i notin (0)")).await.unwrap()), ["e2", "e3", "e4"]);
    assert_eq!(names(by(ListParams::default().fields("spec.nodeName=n1")).await.unwrap()), ["e1", "e3"]);
    assert_eq!(names(by(ListParams::default().fields("metadata.name=e2")).await.unwrap()), ["e2"]);
    refused(by(ListParams::default().fields("spec.other=1")).await, 400, "BadRequest");

    let page = by(ListParams::default().limit(2)).await.unwrap();
    assert_eq!(page.metadata.remaining_item_count, Some(3));
    let token = page.metadata.continue_.clone().unwrap();
    assert_eq!(names(page), ["e0", "e1"]);
    api.delete("e2", &DeleteParams::default()).await.unwrap();
    create(&api, eni("e9")).await.unwrap();
    let page = by(ListParams::default().limit(9).continue_token(&token)).await.unwrap();
    assert_eq!(page.metadata.continue_.as_deref(), Some(""), "as for every custom resource");
    assert_eq!(names(page), ["e2", "e3", "e4"], "pages are of one version");
    server.compact();
    refused(by(ListParams::default().limit(2).continue_token(&token)).await, 410, "Expired");
    assert_eq!(names(by(ListParams::default().at("0").matching(VersionMatch::NotOlderThan)).await.unwrap()).len(), 5);
    refused(by(ListParams::default().at("1000000")).await, 504, "Timeout");
    api.delete_collection(&DeleteParams::default(), &ListParams::default().labels("i")).await.unwrap();
    assert_eq!(names(by(ListParams::default()).await.unwrap()), ["e9"]);
}

fn shown(event: &WatchEvent<DynamicObject>) -> String {
    match event {
        WatchEvent::Added(o) => format!("+{}", o.name_any()),
        WatchEvent::Modified(o) => format!("~{}", o.name_any()),
        WatchEvent::Deleted(o) => format!("-{}", o.name_any()),
        WatchEvent::Bookmark(_) => "bookmark".into(),
        WatchEvent::Error(e) => format!("error {}", e.code),
    }
}

#[tokio::test(start_paused = true)]
async fn watch_selects_bookmarks_and_ends() {
    let server = server();
    let api = enis(&client(&server));
    let start = create(&api, eni("before")).await.unwrap().resource_version().unwrap();
    let params = WatchParams::default().labels("on=1").timeout(100);
    let events = api.watch(&params, &start).await.unwrap().map_ok(|e| shown(&e));
    create(&api, eni("a")).await.unwrap();
    let label = |v: Value| json!({ "metadata": { "labels": { "on": v } } });
    merge(&api, "a", label(json!("1"))).await.unwrap();
    merge(&api, "a", json!({ "spec": { "deviceIndex": 2 } })).await.unwrap();
    merge(&api, "a", json!({ "spec": { "deviceIndex": 2 } })).await.unwrap();
    merge(&api, "a", label(Value::Null)).await.unwrap();
    merge(&api, "a", label(json!("1"))).await.unwrap();
    api.delete("a", &DeleteParams::default()).await.unwrap();
    let began = tokio::time::Instant::now();
    let all: Vec<String> = events.try_collect().await.unwrap();
    assert_eq!(all, ["+a", "~a", "-a", "+a", "-a", "bookmark", "bookmark"]);
    assert_eq!(began.elapsed().as_secs(), 100, "the server ends the watch");
}

#[tokio::test(start_paused = true)]
async fn watch_of_a_forgotten_version_is_gone() {
    let server = server();
    let api = enis(&client(&server));
    let old = create(&api, eni("a")).await.unwrap().resource_version().unwrap();
    let new = create(&api, eni("b")).await.unwrap().resource_version().unwrap();
    server.compact();
    let first = |version: String| {
        let api = api.clone();
        async move {
            let stream = api.watch(&WatchParams::default().timeout(2), &version).await.unwrap();
            let events: Vec<_> = stream.map_ok(|e| shown(&e)).try_collect().await.unwrap();
            events
        }
    };
    assert_eq!(first(old).await, ["error 410"]);
    assert_eq!(first(new).await, Vec::<String>::new());
    assert_eq!(first("0".into()).await, ["+a", "+b"]);
    server.retain_history(1);
    for i in 1..4 {
        merge(&api, "a", json!({ "spec": { "deviceIndex": i + 1 } })).await.unwrap();
    }
    let version = server.resource_version();
    assert_eq!(first((version - 1).to_string()).await, ["~a"]);
    assert_eq!(first((version - 2).to_string()).await, ["error 410"]);
}

#[tokio::test(start_paused = true)]
async fn kubes_watcher_follows_through_breaks_and_compaction() {
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let server = server();
        let api = enis(&client(&server));
        create(&api, eni("a")).await.unwrap();
        let mut events = Box::pin(watcher::watcher(api.clone(), config));
        let mut seen = Vec::new();
        let mut next = async || loop {
            match tokio::time::timeout(Duration::from_secs(1000), events.next()).await.expect("an event").unwrap() {
                Ok(watcher::Event::Apply(o)) => return format!("~{}", o.name_any()),
                Ok(watcher::Event::InitApply(o)) => return format!("i{}", o.name_any()),
                Ok(watcher::Event::Delete(o)) => return format!("-{}", o.name_any()),
                Ok(watcher::Event::InitDone) => return "done".into(),
                Ok(watcher::Event::Init) | Err(_) => {}
            }
        };
        seen.push(next().await);
        seen.push(next().await);
        create(&api, eni("b")).await.unwrap();
        seen.push(next().await);
        server.break_watches();
        tokio::time::sleep(Duration::from_secs(200)).await;
        api.delete("a", &DeleteParams::default()).await.unwrap();
        seen.push(next().await);
        server.break_watches();
        create(&api, eni("c")).await.unwrap();
        server.compact();
        seen.push(next().await);
        seen.push(next().await);
        seen.push(next().await);
        assert_eq!(seen, ["ia", "done", "~b", "-a", "ib", "ic", "done"]);
    }
}

#[tokio::test(start_paused = true)]
async fn events_are_one_thing_under_two_names() {
    let server = server();
    let client = client(&server);
    let made = create(&enis(&client), eni("a")).await.unwrap();
    let reporter = Reporter { controller: "multi-eni".into(), instance: Some("pod-0".into()) };
    let recorder = Recorder::new(client.clone(), reporter);
    let about = k8s_openapi::api::core::v1::ObjectReference {
        kind: Some("NodeENI".into()),
        name: Some("a".into()),
        uid: made.uid(),
        ..Default::default()
    };
    let event = kube::runtime::events::Event {
        type_: EventType::Warning,
        reason: "Stuck".into(),
        note: Some("it does not move".into()),
        action: "Attach".into(),
        secondary: None,
    };
    recorder.publish(&event, &about).await.unwrap();
    recorder.publish(&event, &about).await.unwrap();
    let core: Api<Event> = Api::default_namespaced(client.clone());
    let of =
        |name: &str| ListParams::default().fields(&format!("involvedObject.kind=NodeENI,involvedObject.name={name}"));
    let listed = core.list(&of("a")).await.unwrap().items;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].message.as_deref(), Some("it does not move"));
    assert_eq!(listed[0].reporting_component.as_deref(), Some("multi-eni"));
    assert_eq!(listed[0].series.as_ref().unwrap().count, Some(2));
    assert_eq!(server.list(&GroupResource::new("", "events"))[0]["apiVersion"], "v1");
    assert!(core.list(&of("b")).await.unwrap().items.is_empty());
    let new: Api<k8s_openapi::api::events::v1::Event> = Api::all(client);
    assert_eq!(
        new.list(&ListParams::default()).await.unwrap().items[0].regarding.as_ref().unwrap().name.as_deref(),
        Some("a")
    );
}

#[tokio::test(start_paused = true)]
async fn leases_and_namespaces() {
    let server = server();
    let client = client(&server);
    let leases: Api<Lease> = Api::namespaced(client.clone(), "kube-system");
    let lease: Lease = serde_json::from_value(json!({
        "metadata": { "name": "l" }, "spec": { "holderIdentity": "me", "leaseDurationSeconds": 15 },
    }))
    .unwrap();
    leases.create(&PostParams::default(), &lease).await.unwrap();
    let mut held = leases.get("l").await.unwrap();
    held.spec.as_mut().unwrap().holder_identity = Some("you".into());
    leases.replace("l", &PostParams::default(), &held).await.unwrap();
    refused(leases.replace("l", &PostParams::default(), &held).await, 409, "Conflict");
    let elsewhere: Api<Lease> = Api::namespaced(client.clone(), "nowhere");
    let message = refused(elsewhere.create(&PostParams::default(), &lease).await, 404, "NotFound");
    assert_eq!(message, "namespaces \"nowhere\" not found");
    let system = Api::<Namespace>::all(client.clone()).get("kube-system").await.unwrap();
    assert_eq!(system.status.unwrap().phase.as_deref(), Some("Active"));
    let maps: Api<ConfigMap> = Api::all(client);
    assert!(maps.list(&ListParams::default()).await.unwrap().items.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_terminating_crd_waits_for_its_objects() {
    let server = server();
    let api = enis(&client(&server));
    let mut body = eni("a");
    body["metadata"]["finalizers"] = json!(["x.io/a"]);
    create(&api, body).await.unwrap();
    create(&api, eni("b")).await.unwrap();
    let crds = GroupResource::new("apiextensions.k8s.io", "customresourcedefinitions");
    let name = "nodeenis.networking.k8s.aws";
    server.delete(&crds, "", name).unwrap();
    assert!(server.get(&crds, "", name).unwrap()["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(api.list(&ListParams::default()).await.unwrap().items.len(), 1);
    refused(create(&api, eni("c")).await, 405, "MethodNotAllowed");
    merge(&api, "a", json!({ "metadata": { "finalizers": null } })).await.unwrap();
    assert_eq!(server.get(&crds, "", name), None);
    match api.list(&ListParams::default()).await {
        Err(kube::Error::Api(status)) => assert_eq!((status.code, status.message.trim()), (404, "404 page not found")),
        other => panic!("{other:?}"),
    }
    server.install_crds(CRD).unwrap();
    create(&api, eni("c")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn faults_and_the_log() {
    let server = server();
    let api = enis(&client(&server));
    server.intercept(Box::new(|info| match (info.verb.as_str(), info.resource.as_str()) {
        ("create", "nodeenis") => Verdict::FailAfter(Failure::Disconnect),
        ("list", _) => Verdict::FailBefore(Failure::Status(503)),
        ("get", _) => Verdict::Delay(Duration::from_secs(7)),
        _ => Verdict::Pass,
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

#[tokio::test(start_paused = true)]
async fn apply_refuses_fields_that_the_schema_does_not_have() {
    let server = server();
    let api = enis(&client(&server));
    let mut config = eni("a");
    config["spec"]["bogus"] = json!(1);
    let message = refused(api.patch("a", &PatchParams::apply("me"), &Patch::Apply(&config)).await, 500, "");
    assert_eq!(
        message,
        "failed to create typed patch object (/a; networking.k8s.aws/v1alpha1, Kind=NodeENI): .spec.bogus: field not \
         declared in schema"
    );
}

#[tokio::test(start_paused = true)]
async fn dry_run_changes_nothing() {
    let server = server();
    let api = enis(&client(&server));
    let before = server.resource_version();
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    assert!(api.create(&dry, &object(eni("a"))).await.unwrap().uid().is_some());
    assert_eq!(server.resource_version(), before);
    refused(api.get("a").await, 404, "NotFound");
    create(&api, eni("a")).await.unwrap();
    let dry = PatchParams { dry_run: true, ..PatchParams::default() };
    let labelled = json!({ "metadata": { "labels": { "a": "b" } } });
    assert_eq!(api.patch("a", &dry, &Patch::Merge(&labelled)).await.unwrap().labels().len(), 1);
    assert!(api.get("a").await.unwrap().labels().is_empty());
}
