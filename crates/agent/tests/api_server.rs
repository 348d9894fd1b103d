//! The watch and the report, with a stand-in for the API server that has the requests of the agent and nothing else: a list, a watch
//! and a patch of the status. The node is real.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test says what it needs")]

mod kubelet;
mod rig;

use bytes::Bytes;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use futures::future;
use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use kube::Client;
use kube::client::Body;
use kubelet::{Kubelet, directory};
use multi_eni_agent::device_plugin::plugins::PluginDirectories;
use multi_eni_agent::device_plugin::pod_resources::PodResources;
use multi_eni_agent::device_plugin::pods::Pods;
use multi_eni_agent::dpdk::driver::DpdkDriver;
use multi_eni_agent::metrics::AgentMetrics;
use multi_eni_agent::run;
use multi_eni_agent::wanted::{WantedDpdk, WantedEni};
use multi_eni_http_server::Pages;
use rig::devices::{address, with_links};
use rig::{Rig, eni};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Answer = UnsyncBoxBody<Bytes, Infallible>;

/// The objects, the watch and the requests.
#[derive(Default)]
struct State {
    objects: Vec<Value>,
    version: u64,
    watch: Option<UnboundedSender<Result<Frame<Bytes>, Infallible>>>,
    requests: Vec<String>,
    patches: Vec<Value>,
}

impl State {
    /// Stores an object and tells the watch.
    fn store(&mut self, kind: &str, mut object: Value) {
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

fn json_answer(code: u16, value: &Value) -> Response<Answer> {
    let body = Full::new(Bytes::from(value.to_string())).boxed_unsync();
    Response::builder().status(code).header("content-type", "application/json").body(body).unwrap()
}

async fn answer(state: Arc<Mutex<State>>, request: Request<Body>) -> Result<Response<Answer>, Infallible> {
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
fn created() -> Value {
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
fn attached() -> Value {
    let mut object = created();
    object["status"] = json!({
        "phase": "Attached", "macAddress": "02:00:00:00:00:01",
        "privateIPs": ["10.0.1.11", "10.0.1.101"], "ipv6Addresses": ["2001:db8:1::1"],
    });
    object
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..400 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not within 20 s: {what}");
}

#[test]
fn an_attached_eni_costs_one_list_one_watch_and_one_write() {
    let rig = Rig::new();
    let state = Arc::new(Mutex::new(State { objects: vec![created()], version: 7, ..State::default() }));
    let for_service = Arc::clone(&state);
    let service = tower::service_fn(move |request| answer(Arc::clone(&for_service), request));
    let mut agent = rig.agent();
    let metrics = AgentMetrics::default();
    let is_ready = || metrics.ready().is_ok();
    assert!(!is_ready(), "nothing is known yet");
    let boot_id = agent.boot_id().to_owned();
    let story = async {
        until("the agent watches", || state.lock().unwrap().watch.is_some()).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(
            state.lock().unwrap().patches,
            Vec::<Value>::new(),
            "an ENI that does not exist yet is not reported"
        );
        state.lock().unwrap().store("MODIFIED", attached());
        // EC2 shows the ENI attached some time before the guest has the link.
        tokio::time::sleep(Duration::from_secs(1)).await;
        rig.attach(&eni(1));
        until("the report is written", || !state.lock().unwrap().patches.is_empty()).await;
        // Further writes would have been made by now.
        tokio::time::sleep(Duration::from_secs(2)).await;
        {
            let state = state.lock().unwrap();
            assert_eq!(state.patches.len(), 1, "{:#?}", state.patches);
            assert_eq!(state.requests, ["list", "watch"]);
            let patch = &state.patches[0];
            let conditions = patch["status"]["conditions"].as_array().unwrap();
            assert_eq!(conditions.len(), 1);
            let condition = &conditions[0];
            assert_eq!((&condition["type"], &condition["status"]), (&json!("Configured"), &json!("True")));
            assert_eq!(patch["metadata"], json!({ "uid": "uid-1" }));
            let node = json!({
                "linkName": "ens6", "macAddress": "02:00:00:00:00:01", "alternativeName": "storage", "mtu": 1400, "routeTable": 10_001, "bootID": boot_id,
                "addresses": ["10.0.1.11", "10.0.1.101", "2001:db8:1::1"], "managedBy": "multi-eni",
                "macAddress": "02:00:00:00:00:01",
                "message": "the interface is configured",
            });
            assert_eq!(patch["status"]["node"], node);
            assert_eq!(patch["status"].as_object().unwrap().len(), 2);
        }
        let text = metrics.metrics().await.unwrap();
        assert!(is_ready());
        for line in [
            "multi_eni_agent_enis{reason=\"Configured\"} 1",
            "multi_eni_agent_status_writes_total{result=\"ok\"} 1",
            "multi_eni_agent_status_writes_total{result=\"failed\"} 0",
            "multi_eni_agent_steps_total{kind=\"address\",result=\"ok\"} 3",
            "multi_eni_agent_steps_total{kind=\"rule\",result=\"ok\"} 3",
            "multi_eni_agent_backoffs{of=\"step\"} 0",
            "multi_eni_agent_turns_total{result=\"failed\"} 0",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{line}:\n{text}");
        }
        // The controller removes the object: nothing of the agent's is left.
        let object = attached();
        state.lock().unwrap().store("DELETED", object);
        until("the rules are gone", || !rig.state().contains("lookup 10001")).await;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::new(service, "default");
        let ends =
            future::select(Box::pin(run::with_api_server(&mut agent, client, "node1", &metrics)), Box::pin(story))
                .await;
        match ends {
            future::Either::Left((result, _)) => panic!("the agent ended: {result:?}"),
            future::Either::Right(((), _)) => {}
        }
    });
}

/// Makes the kernel tell of a PCI device. On a machine that has none it tells of a link.
fn tell_of_a_pci_device(rig: &Rig) {
    match std::fs::read_dir("/sys/bus/pci/devices").unwrap().next() {
        Some(device) => std::fs::write(device.unwrap().path().join("uevent"), "change").unwrap(),
        None => {
            rig::run(&format!("ip -n {} link set lo down", rig.namespace("node")));
        }
    }
}

#[test]
fn pods_get_an_eni_while_it_is_configured_and_its_eniattachment_is_there() {
    const DEVICE: &str = "0000:00:06.0";
    let rig = Rig::new();
    let mut agent = rig.agent();
    // The device of a veth is not known from the link: an earlier agent has reported it.
    let mut object = attached();
    object["spec"]["nodeSettings"]["dpdkResourceName"] = json!("example.com/fast");
    object["status"]["node"] = json!({ "pciAddress": DEVICE, "bootID": agent.boot_id() });
    let sysfs = directory();
    let device = sysfs.join("bus/pci/devices").join(DEVICE);
    std::fs::create_dir_all(&device).unwrap();
    std::os::unix::fs::symlink("../../drivers/ena", device.join("driver")).unwrap();
    std::fs::write(device.join("numa_node"), "1\n").unwrap();
    let mut kubelet = Kubelet::new(&directory());
    kubelet.run("start").unwrap();
    let device_info = kubelet.directory.join("devinfo");
    let directories = PluginDirectories {
        kubelet: kubelet.directory.clone(),
        device_info,
        sysfs: sysfs.clone(),
        state: kubelet.directory.join("state"),
        pod_resources: PodResources { socket: kubelet.directory.join("none.sock"), own_pod: None },
    };
    agent.set_pods(Pods::with_plugins(&sysfs, directories));

    let state = Arc::new(Mutex::new(State { objects: vec![object.clone()], version: 7, ..State::default() }));
    let for_service = Arc::clone(&state);
    let service = tower::service_fn(move |request| answer(Arc::clone(&for_service), request));
    let expect = |mut kubelet: Kubelet, expected: &'static [(&'static str, bool)]| async move {
        let told = tokio::task::spawn_blocking(move || {
            let list = kubelet.devices("example.com/fast", expected);
            (kubelet, list)
        });
        told.await.unwrap()
    };
    let story = async {
        let (kubelet, _) = expect(kubelet, &[(DEVICE, false)]).await;
        rig.attach(&eni(1));
        let (kubelet, list) = expect(kubelet, &[(DEVICE, true)]).await;
        assert_eq!(list["devices"][0]["numa"], json!([1]));
        // The device is unplugged, and comes back. No link changes with it, and the agent's own report has made its turn.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let aside = sysfs.join("aside");
        std::fs::rename(&device, &aside).unwrap();
        tell_of_a_pci_device(&rig);
        let (kubelet, _) = expect(kubelet, &[(DEVICE, false)]).await;
        std::fs::rename(&aside, &device).unwrap();
        tell_of_a_pci_device(&rig);
        let (kubelet, _) = expect(kubelet, &[(DEVICE, true)]).await;
        state.lock().unwrap().store("DELETED", object);
        expect(kubelet, &[]).await.0
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::new(service, "default");
        let metrics = AgentMetrics::default();
        let ends =
            future::select(Box::pin(run::with_api_server(&mut agent, client, "node1", &metrics)), Box::pin(story))
                .await;
        match ends {
            future::Either::Left((result, _)) => panic!("the agent ended: {result:?}"),
            future::Either::Right((_kubelet, _)) => {}
        }
    });
    std::fs::remove_dir_all(&sysfs).unwrap();
}

/// Writes the file of the SR-IOV network device plugin with an entry of somebody else.
fn write_config(path: &std::path::Path, resource: &str) {
    let entry = json!({ "resourcePrefix": "example.com", "resourceName": resource });
    std::fs::write(path, json!({ "resourceList": [entry] }).to_string()).unwrap();
}

#[test]
fn a_refused_resource_name_is_in_the_report_until_it_is_mended() {
    const CONFIGURED: &str = "the interface is configured";
    let rig = Rig::new();
    let config = directory().join("config.json");
    write_config(&config, "fast");
    let mut agent = rig.agent();
    let mut object = attached();
    object["spec"]["nodeSettings"]["dpdkResourceName"] = json!("a/b/c");
    object["status"]["node"] = json!({ "pciAddress": "0000:00:06.0", "bootID": agent.boot_id() });
    agent.set_pods(Pods::with_sriov_config(&directory(), config.clone()));
    let state = Arc::new(Mutex::new(State { objects: vec![object.clone()], version: 7, ..State::default() }));
    let for_service = Arc::clone(&state);
    let service = tower::service_fn(move |request| answer(Arc::clone(&for_service), request));
    let said = || {
        let state = state.lock().unwrap();
        let patch = state.patches.last().map(|patch| patch["status"].clone()).unwrap_or_default();
        let condition = &patch["conditions"][0];
        assert_eq!(condition["message"], patch["node"]["message"]);
        (condition["status"] == "True", condition["message"].as_str().unwrap_or_default().to_owned())
    };
    let story = async {
        rig.attach(&eni(1));
        let refused = |why: &str| (true, format!("{CONFIGURED}; the ENI is not offered to pods: {why}"));
        until("the name is refused", || {
            let (status, message) = said();
            status && message.starts_with(&refused("dpdkResourceName \"a/b/c\" is no name of").1)
        })
        .await;
        // The name is another one, which somebody else's entry has.
        object["spec"]["nodeSettings"]["dpdkResourceName"] = json!("example.com/fast");
        object["metadata"]["generation"] = json!(2);
        state.lock().unwrap().store("MODIFIED", object.clone());
        let taken = refused(&format!("{} has an entry of somebody else for example.com/fast", config.display()));
        until("the resource is taken", || said() == taken).await;
        // No event comes with the change of the file, and the agent's own report has made its turn.
        tokio::time::sleep(Duration::from_secs(2)).await;
        write_config(&config, "slow");
        until("the refusal has ended", || said() == (true, CONFIGURED.to_owned())).await;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::new(service, "default");
        let metrics = AgentMetrics::default();
        let ends =
            future::select(Box::pin(run::with_api_server(&mut agent, client, "node1", &metrics)), Box::pin(story))
                .await;
        match ends {
            future::Either::Left((result, _)) => panic!("the agent ended: {result:?}"),
            future::Either::Right(((), _)) => {}
        }
    });
}

/// The agent ends after it has given a device back and before the API server has its report.
#[test]
fn a_device_that_was_given_back_by_an_agent_that_was_killed_is_reported_by_the_next_one() {
    let rig = Rig::new();
    let tree = with_links(&rig, [1]);
    let vfio = WantedEni { dpdk: Some(WantedDpdk { driver: Ok(DpdkDriver::VfioPci), pci_address: None }), ..eni(1) };
    rig.turn(&[vfio]);
    assert_eq!(tree.driver(&address(1)).as_deref(), Some("vfio-pci"));
    let mut object = attached();
    let mut agent = rig.agent();
    object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    object["metadata"]["finalizers"] = json!(["networking.k8s.aws/eni"]);
    object["status"]["node"] = json!({
        "driver": "vfio-pci", "pciAddress": address(1), "macAddress": "02:00:00:00:00:01", "bootID": agent.boot_id(),
    });
    rig.turn(&[]);
    assert_eq!(tree.driver(&address(1)).as_deref(), Some("ena"));
    assert!(!rig.directories().state.join("bindings.json").exists(), "the ledger knows nothing of it");

    let state = Arc::new(Mutex::new(State { objects: vec![object], version: 7, ..State::default() }));
    let for_service = Arc::clone(&state);
    let service = tower::service_fn(move |request| answer(Arc::clone(&for_service), request));
    let story = async {
        until("the report is written", || !state.lock().unwrap().patches.is_empty()).await;
        // It is written once.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let patches = state.lock().unwrap().patches.clone();
        let [patch] = patches.as_slice() else { panic!("{patches:#?}") };
        let condition = &patch["status"]["conditions"][0];
        assert_eq!((&condition["status"], &condition["reason"]), (&json!("False"), &json!("Restored")));
        assert_eq!(patch["status"]["node"]["driver"], "ena");
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::new(service, "default");
        let metrics = AgentMetrics::default();
        let ends =
            future::select(Box::pin(run::with_api_server(&mut agent, client, "node1", &metrics)), Box::pin(story))
                .await;
        match ends {
            future::Either::Left((result, _)) => panic!("the agent ended: {result:?}"),
            future::Either::Right(((), _)) => {}
        }
    });
}
