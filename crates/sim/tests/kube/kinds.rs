//! Tests of kinds with special rules: Events, Leases, Namespaces and CRDs.

use super::*;

#[tokio::test(start_paused = true)]
async fn events_are_converted_between_two_versions() {
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
