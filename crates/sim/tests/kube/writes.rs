//! Tests of create, PUT, patch, apply and delete: accepted and refused writes, and the stored objects.

use super::*;

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
        assert!(message.starts_with(start) && message.contains(expected), "{message}\n  expected {expected}");
    }
    let mut body = eni("a");
    body["spec"]["unknown"] = json!(1);
    let made = create(&api, body.clone()).await.unwrap();
    assert_eq!(made.data["spec"].get("unknown"), None, "pruned");
    refused(create(&api, eni("Not_A_Name")).await, 422, "Invalid");
}

#[tokio::test(start_paused = true)]
async fn transition_rules_compare_with_the_old_object() {
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
async fn finalizers_delay_a_deletion() {
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
    // As on the real server, the answer has the written object with the former version. Watches get the last stored object.
    assert_eq!((version(&answer), answer.finalizers().len(), answer.labels().len()), (version(&stored), 0, 1));
    let Some(Ok(WatchEvent::Deleted(deleted))) = watch.next().await else { panic!("no DELETED event") };
    assert_eq!((deleted.finalizers(), deleted.labels().len()), (stored.finalizers(), 0));
    assert!(version(&deleted) > version(&stored));
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
