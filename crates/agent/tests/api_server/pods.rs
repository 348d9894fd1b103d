//! What pods are offered, and what the report says of it.

use super::kubelet::{Kubelet, directory};
use super::rig::{Rig, eni, run as run_command};
use super::server::{State, answer, attached, until};
use futures::future;
use kube::Client;
use multi_eni_agent::device_plugin::plugins::PluginDirectories;
use multi_eni_agent::device_plugin::pod_resources::PodResources;
use multi_eni_agent::device_plugin::pods::Pods;
use multi_eni_agent::metrics::AgentMetrics;
use multi_eni_agent::run;
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Makes the kernel tell of a PCI device. On a machine that has none it tells of a link.
fn tell_of_a_pci_device(rig: &Rig) {
    match std::fs::read_dir("/sys/bus/pci/devices").unwrap().next() {
        Some(device) => std::fs::write(device.unwrap().path().join("uevent"), "change").unwrap(),
        None => {
            run_command(&format!("ip -n {} link set lo down", rig.namespace("node")));
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

/// An agent of before gave the device to a pod by another name. What it wrote down is all that this one knows: kubelet cannot be asked.
#[test]
fn a_device_that_a_pod_has_by_the_name_of_before_is_in_the_report() {
    const DEVICE: &str = "0000:00:06.0";
    let rig = Rig::new();
    let mut agent = rig.agent();
    let mut object = attached();
    object["spec"]["nodeSettings"]["dpdkResourceName"] = json!("example.com/new");
    object["status"]["node"] = json!({ "pciAddress": DEVICE, "bootID": agent.boot_id() });
    let mut kubelet = Kubelet::new(&directory());
    kubelet.run("start").unwrap();
    let root = kubelet.directory.clone();
    let device = root.join("sys/bus/pci/devices").join(DEVICE);
    std::fs::create_dir_all(&device).unwrap();
    std::os::unix::fs::symlink("../../drivers/ena", device.join("driver")).unwrap();
    std::fs::create_dir_all(root.join("state")).unwrap();
    let ledger = json!({ "devices": { DEVICE: { "resource": "example.com/old" } } });
    std::fs::write(root.join("state/allocations.json"), ledger.to_string()).unwrap();
    let directories = PluginDirectories {
        kubelet: root.clone(),
        device_info: root.join("devinfo"),
        sysfs: root.join("sys"),
        state: root.join("state"),
        pod_resources: PodResources { socket: root.join("none.sock"), own_pod: None },
    };
    agent.set_pods(Pods::with_plugins(&root.join("sys"), directories));
    let state = Arc::new(Mutex::new(State { objects: vec![object], version: 7, ..State::default() }));
    let for_service = Arc::clone(&state);
    let service = tower::service_fn(move |request| answer(Arc::clone(&for_service), request));
    let story = async {
        rig.attach(&eni(1));
        let said = || {
            let state = state.lock().unwrap();
            let patch = state.patches.last().map(|patch| patch["status"].clone()).unwrap_or_default();
            let condition = &patch["conditions"][0];
            (condition["status"] == "True", condition["message"].as_str().unwrap_or_default().to_owned())
        };
        // No event of the kernel comes with it.
        until("the report says it", || {
            let (is_configured, message) = said();
            is_configured
                && message
                    .starts_with("the interface is configured; pods get the ENI as example.com/old and not yet as")
                && message.contains("the agent cannot ask kubelet which devices pods have: ")
        })
        .await;
        let told = tokio::task::spawn_blocking(move || {
            kubelet.devices("example.com/old", &[(DEVICE, true)]);
            kubelet
        });
        told.await.unwrap()
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
}
