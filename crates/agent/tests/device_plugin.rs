//! The device plugins with kubelet's own code on the other side: registration, lists, allocations, and kubelets that restart.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test says what it needs")]

mod kubelet;

use kubelet::{Kubelet, directory};
use multi_eni_agent::device_plugin::plugins::{PluginDirectories, Plugins};
use multi_eni_agent::device_plugin::pod_resources::PodResources;
use multi_eni_agent::device_plugin::pool::{Access, Device, Pool, Pools};
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const FAST: &str = "example.com/fast";
const SOCKET: &str = "multi-eni_example.com_fast.sock";
const A: &str = "0000:00:06.0";
const B: &str = "0000:00:07.0";

fn device(is_healthy: bool, numa_node: Option<u32>, access: Access) -> Device {
    Device { is_healthy, numa_node, driver: Some("ena".to_owned()), access }
}

/// sysfs shows the device with vfio-pci and this IOMMU group.
fn put_in_group(kubelet: &Kubelet, device: &str, group: u8) {
    let directory = kubelet.directory.join("sys/bus/pci/devices").join(device);
    fs::create_dir_all(&directory).unwrap();
    symlink("../../../../bus/pci/drivers/vfio-pci", directory.join("driver")).unwrap();
    symlink(format!("../../../../kernel/iommu_groups/{group}"), directory.join("iommu_group")).unwrap();
}

fn pools(resource: &str, devices: Vec<(&str, Device)>) -> Pools {
    let pool: Pool = devices.into_iter().map(|(id, device)| (id.parse().unwrap(), device)).collect();
    Pools::from([(resource.parse().unwrap(), pool)])
}

/// One interface.
fn one() -> Pools {
    pools(FAST, vec![(A, device(true, None, Access::Interface))])
}

fn device_info(directory: &Path) -> PathBuf {
    directory.join("devinfo")
}

/// The agent's directories are below that of kubelet, which removes sockets alone when it starts.
fn directories(kubelet: &Path, device_info: PathBuf) -> PluginDirectories {
    PluginDirectories {
        kubelet: kubelet.to_owned(),
        device_info,
        sysfs: kubelet.join("sys"),
        state: kubelet.join("state"),
        pod_resources: PodResources { socket: kubelet.join("pod-resources/kubelet.sock"), own_pod: None },
    }
}

fn plugins(directory: &Path) -> Plugins {
    Plugins::start(directories(directory, device_info(directory)), Arc::new(|| ())).unwrap()
}

/// A kubelet that serves, and the plugins with these pools.
fn serving(pools: Pools) -> (Kubelet, Plugins) {
    let mut kubelet = Kubelet::new(&directory());
    kubelet.run("start").unwrap();
    let plugins = plugins(&kubelet.directory);
    plugins.offer(pools);
    (kubelet, plugins)
}

#[test]
fn containers_get_what_the_sriov_network_device_plugin_gives() {
    let vfio = |host: &str, group: u8| Access::Vfio { host: host.to_owned(), container: format!("/dev/vfio/{group}") };
    let (mut kubelet, _plugins) = serving(pools(
        FAST,
        vec![
            (A, device(true, Some(1), vfio("/dev/vfio/3", 3))),
            (B, device(true, Some(0), vfio("/dev/vfio/noiommu-4", 4))),
            ("0000:00:08.0", device(true, None, Access::Uio { node: "/dev/uio0".to_owned() })),
            ("0000:00:09.0", device(false, None, Access::Interface)),
        ],
    ));
    let connected = kubelet.connected(FAST);
    assert_eq!(connected["endpoint"], SOCKET);
    assert_eq!(connected["options"], json!({ "preStartRequired": true, "getPreferredAllocationAvailable": true }));
    let list = kubelet.devices(FAST, &[(A, true), (B, true), ("0000:00:08.0", true), ("0000:00:09.0", false)]);
    let numa: Vec<_> = list["devices"].as_array().unwrap().iter().map(|device| device["numa"].clone()).collect();
    assert_eq!(
        numa,
        [json!([1]), json!([0]), json!(null), json!(null)],
        "a device without a NUMA node has no topology"
    );

    let got = kubelet.run(&format!("allocate {FAST} {B},{A} 0000:00:08.0")).unwrap().unwrap();
    let answers = got["answers"].as_array().unwrap();
    assert_eq!(
        answers[0]["devices"],
        json!(["/dev/vfio/vfio /dev/vfio/vfio rw", "/dev/vfio/noiommu-4 /dev/vfio/4 rw", "/dev/vfio/3 /dev/vfio/3 rw"])
    );
    assert_eq!(answers[0]["envs"]["PCIDEVICE_EXAMPLE_COM_FAST"], format!("{B},{A}"));
    let info: serde_json::Value =
        serde_json::from_str(answers[0]["envs"]["PCIDEVICE_EXAMPLE_COM_FAST_INFO"].as_str().unwrap()).unwrap();
    assert_eq!(info[B]["vfio"], json!({ "mount": "/dev/vfio/vfio", "dev-mount": "/dev/vfio/4" }));
    assert_eq!(info[A]["generic"], json!({ "deviceID": A }));
    assert_eq!(answers[1]["devices"], json!(["/dev/uio0 /dev/uio0 rw"]));
    assert_eq!((answers.len(), &answers[1]["mounts"]), (2, &json!(0)));

    for id in ["0000:00:0f.0", "0000:00:09.0"] {
        let refused = kubelet.run(&format!("allocate {FAST} {id}")).unwrap_err();
        assert!(refused.contains(id), "{refused}");
    }
    let preferred = kubelet.run(&format!("prefer {FAST} 1 {B},{A}")).unwrap().unwrap();
    assert_eq!(preferred["preferred"], json!([B]));
    put_in_group(&kubelet, A, 3);
    assert!(kubelet.run(&format!("prestart {FAST} {A}")).unwrap().is_some());
    let file = device_info(&kubelet.directory).join(format!("example.com-fast-{A}-device.json"));
    let info: serde_json::Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!((&info["type"], &info["pci"]), (&json!("pci"), &json!({ "pci-address": A })));
}

#[test]
fn changes_reach_kubelet_and_an_empty_pool_is_an_empty_list() {
    let (mut kubelet, plugins) = serving(one());
    kubelet.devices(FAST, &[(A, true)]);
    let both = |is_healthy| {
        pools(FAST, vec![(A, device(is_healthy, None, Access::Interface)), (B, device(true, None, Access::Interface))])
    };
    plugins.offer(both(false));
    kubelet.devices(FAST, &[(A, false), (B, true)]);
    plugins.offer(both(true));
    kubelet.devices(FAST, &[(A, true), (B, true)]);
    // A second resource is a second plugin.
    let mut more = both(true);
    more.extend(pools("other", vec![("0000:00:08.0", device(true, None, Access::Interface))]));
    plugins.offer(more);
    kubelet.connected("intel.com/other");
    kubelet.devices("intel.com/other", &[("0000:00:08.0", true)]);
    assert!(device_info(&kubelet.directory).join("intel.com-other-0000:00:08.0-device.json").exists());
    plugins.offer(Pools::new());
    kubelet.devices(FAST, &[]);
    assert_eq!(fs::read_dir(device_info(&kubelet.directory)).unwrap().count(), 0);
    plugins.offer(one());
    kubelet.devices(FAST, &[(A, true)]);
    assert!(!kubelet.says_within(Duration::from_millis(500)).iter().any(|line| line["event"] == "disconnected"));
}

#[test]
fn a_kubelet_that_restarts_gets_the_devices_again() {
    let (mut kubelet, _plugins) = serving(one());
    kubelet.devices(FAST, &[(A, true)]);
    for stop in ["stop", "crash", "stop"] {
        kubelet.run(stop).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        // It removes all sockets of the directory.
        kubelet.run("start").unwrap();
        kubelet.connected(FAST);
        kubelet.devices(FAST, &[(A, true)]);
        assert!(kubelet.directory.join(SOCKET).exists());
    }
}

#[test]
fn a_kubelet_that_restarts_at_once_and_several_times_gets_the_devices_again() {
    let (mut kubelet, _plugins) = serving(one());
    kubelet.devices(FAST, &[(A, true)]);
    for _ in 0..3 {
        kubelet.run("stop").unwrap();
        kubelet.run("start").unwrap();
    }
    kubelet.unread.clear();
    kubelet.run("stop").unwrap();
    kubelet.unread.clear();
    kubelet.run("start").unwrap();
    kubelet.devices(FAST, &[(A, true)]);
    assert!(kubelet.run(&format!("allocate {FAST} {A}")).unwrap().is_some());
}

#[test]
fn a_connection_that_kubelet_drops_is_registered_again() {
    let (mut kubelet, _plugins) = serving(one());
    kubelet.devices(FAST, &[(A, true)]);
    kubelet.run(&format!("disconnect {FAST}")).unwrap();
    kubelet.connected(FAST);
    kubelet.devices(FAST, &[(A, true)]);
}

#[test]
fn a_socket_that_somebody_removes_is_made_again_and_the_connection_stays() {
    let (mut kubelet, plugins) = serving(one());
    kubelet.devices(FAST, &[(A, true)]);
    let socket = kubelet.directory.join(SOCKET);
    fs::remove_file(&socket).unwrap();
    for _ in 0..100 {
        if socket.exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(socket.exists());
    plugins.offer(pools(FAST, vec![(A, device(false, None, Access::Interface))]));
    kubelet.devices(FAST, &[(A, false)]);
    // The new socket is the one that answers.
    kubelet.run(&format!("disconnect {FAST}")).unwrap();
    kubelet.devices(FAST, &[(A, false)]);
}

#[test]
fn kubelet_may_come_after_the_agent_and_its_directory_too() {
    let parent = directory();
    let later = parent.join("d");
    let plugins = Plugins::start(directories(&later, parent.join("devinfo")), Arc::new(|| ())).unwrap();
    plugins.offer(one());
    std::thread::sleep(Duration::from_secs(1));
    fs::create_dir(&later).unwrap();
    // A socket of a kubelet that has crashed.
    let mut kubelet = Kubelet::new(&later);
    kubelet.run("crash").unwrap();
    std::thread::sleep(Duration::from_secs(1));
    kubelet.run("start").unwrap();
    kubelet.devices(FAST, &[(A, true)]);
    // There is another directory at the path.
    kubelet.run("stop").unwrap();
    fs::rename(&later, parent.join("old")).unwrap();
    fs::create_dir(&later).unwrap();
    kubelet.run("start").unwrap();
    kubelet.connected(FAST);
    kubelet.devices(FAST, &[(A, true)]);
    drop(plugins);
    fs::remove_dir_all(&parent).unwrap();
}

#[test]
fn the_end_of_the_agent_removes_its_socket_and_ends_the_list() {
    let (mut kubelet, plugins) = serving(one());
    kubelet.devices(FAST, &[(A, true)]);
    let began = std::time::Instant::now();
    drop(plugins);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    kubelet.wait("the list ends", |line| line["event"] == "disconnected");
    assert!(!kubelet.directory.join(SOCKET).exists());
    assert!(device_info(&kubelet.directory).read_dir().unwrap().next().is_some(), "a pod may still ask Multus");
}

#[test]
fn a_newer_agent_takes_over_and_the_older_one_leaves_its_socket_alone() {
    let (mut kubelet, older) = serving(one());
    kubelet.devices(FAST, &[(A, true)]);
    let newer = plugins(&kubelet.directory);
    newer.offer(pools(FAST, vec![(B, device(true, None, Access::Interface))]));
    kubelet.connected(FAST);
    kubelet.devices(FAST, &[(B, true)]);
    drop(older);
    kubelet.devices(FAST, &[(B, true)]);
    assert!(kubelet.directory.join(SOCKET).exists());
    drop(newer);
    assert!(!kubelet.directory.join(SOCKET).exists());
}

/// Capacity and allocatable of the Node.
fn counts(kubelet: &mut Kubelet) -> (i64, i64) {
    let said = kubelet.run("capacity").unwrap().unwrap();
    let count = |what: &str| said[what][FAST].as_i64().unwrap_or_default();
    (count("capacity"), count("allocatable"))
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = std::time::Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(20), "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn pods_of_kubelets_device_manager_get_devices_through_restarts_of_both() {
    let mut kubelet = Kubelet::whole(&directory());
    put_in_group(&kubelet, A, 3);
    put_in_group(&kubelet, B, 4);
    kubelet.run("start").unwrap();
    let offered = || {
        let vfio = |group: u8| {
            let node = format!("/dev/vfio/{group}");
            Access::Vfio { host: node.clone(), container: node }
        };
        let unhealthy = device(false, None, Access::Interface);
        pools(
            FAST,
            vec![(A, device(true, Some(1), vfio(3))), (B, device(true, Some(0), vfio(4))), ("0000:00:08.0", unhealthy)],
        )
    };
    let first = plugins(&kubelet.directory);
    first.offer(offered());
    until("kubelet counts the devices", || counts(&mut kubelet) == (3, 2));
    // The agent advises the node with the lower number, if nothing else decides.
    let got = kubelet.run(&format!("pod one {FAST} 1")).unwrap().unwrap();
    assert_eq!(got["hints"], json!(["[0]", "[1]"]));
    assert_eq!(got["answers"][0]["envs"]["PCIDEVICE_EXAMPLE_COM_FAST"], B);
    assert_eq!(got["answers"][0]["devices"], json!(["/dev/vfio/vfio /dev/vfio/vfio rw", "/dev/vfio/4 /dev/vfio/4 rw"]));
    // The agent restarts: the capacity stays, and no pod is admitted until it is back.
    drop(first);
    until("kubelet sees the end", || counts(&mut kubelet) == (3, 0));
    let refused = kubelet.run(&format!("pod two {FAST} 1")).unwrap_err();
    assert!(refused.contains("no healthy devices"), "{refused}");
    let second = plugins(&kubelet.directory);
    second.offer(offered());
    until("kubelet counts the devices again", || counts(&mut kubelet) == (3, 2));
    // Kubelet restarts: it has a checkpoint, so the device of the first pod stays taken.
    kubelet.run("stop").unwrap();
    kubelet.run("start").unwrap();
    until("the new kubelet counts the devices", || counts(&mut kubelet) == (3, 2));
    let got = kubelet.run(&format!("pod two {FAST} 1")).unwrap().unwrap();
    assert_eq!(got["answers"][0]["envs"]["PCIDEVICE_EXAMPLE_COM_FAST"], A);
    let refused = kubelet.run(&format!("pod three {FAST} 1")).unwrap_err();
    assert!(refused.contains("Requested: 1, Available: 0"), "{refused}");
    kubelet.run("end one").unwrap();
    let got = kubelet.run(&format!("pod three {FAST} 1")).unwrap().unwrap();
    assert_eq!(got["answers"][0]["envs"]["PCIDEVICE_EXAMPLE_COM_FAST"], B);
    second.offer(Pools::new());
    until("nothing is left", || counts(&mut kubelet) == (0, 0));
}

#[test]
fn a_checkpoint_of_kubelet_with_a_device_that_is_gone_gives_it_to_no_pod() {
    let mut kubelet = Kubelet::whole(&directory());
    kubelet.run("start").unwrap();
    let interface = || device(true, None, Access::Interface);
    let before = plugins(&kubelet.directory);
    before.offer(pools(FAST, vec![(A, interface()), (B, interface())]));
    until("kubelet counts the devices", || counts(&mut kubelet) == (2, 2));
    let got = kubelet.run(&format!("pod one {FAST} 1")).unwrap().unwrap();
    assert_eq!(got["answers"][0]["envs"]["PCIDEVICE_EXAMPLE_COM_FAST"], A);
    // Both restart, and the device of the pod is gone. Kubelet still has it in its checkpoint.
    kubelet.run("stop").unwrap();
    drop(before);
    let after = plugins(&kubelet.directory);
    after.offer(pools(FAST, vec![(B, interface())]));
    kubelet.run("start").unwrap();
    until("the new kubelet counts the devices", || counts(&mut kubelet) == (1, 1));
    let got = kubelet.run(&format!("pod two {FAST} 1")).unwrap().unwrap();
    assert_eq!(got["answers"][0]["envs"]["PCIDEVICE_EXAMPLE_COM_FAST"], B);
    let refused = kubelet.run(&format!("pod three {FAST} 1")).unwrap_err();
    assert!(refused.contains("Available: 0"), "{refused}");
    // It comes back. The pod that had it still counts.
    after.offer(pools(FAST, vec![(A, interface()), (B, interface())]));
    until("kubelet counts both again", || counts(&mut kubelet) == (2, 2));
    assert!(kubelet.run(&format!("pod three {FAST} 1")).is_err());
    kubelet.run("end one").unwrap();
    let got = kubelet.run(&format!("pod three {FAST} 1")).unwrap().unwrap();
    assert_eq!(got["answers"][0]["envs"]["PCIDEVICE_EXAMPLE_COM_FAST"], A);
}
