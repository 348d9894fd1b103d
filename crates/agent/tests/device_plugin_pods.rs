//! Devices that pods have, with kubelet's whole device manager on the other side: names that are edited, IOMMU groups that several devices
//! share, and device nodes that are others after a reboot.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test says what it needs")]

mod kubelet;

use kubelet::{Kubelet, directory};
use multi_eni_agent::device_plugin::plugins::{PluginDirectories, Plugins};
use multi_eni_agent::device_plugin::pod_resources::PodResources;
use multi_eni_agent::device_plugin::pool::{Access, Device, Pools};
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const OLD: &str = "example.com/old";
const NEW: &str = "example.com/new";
const A: &str = "0000:00:06.0";
const B: &str = "0000:00:07.0";

/// A kubelet, and the directories of an agent beside it.
struct Node {
    kubelet: Kubelet,
    directories: PluginDirectories,
    woken: Arc<AtomicU32>,
}

impl Node {
    fn new() -> Self {
        let kubelet = Kubelet::whole(&directory());
        let root = kubelet.directory.clone();
        let directories = PluginDirectories {
            kubelet: root.clone(),
            device_info: root.join("devinfo"),
            sysfs: root.join("sys"),
            state: root.join("state"),
            pod_resources: PodResources {
                socket: root.join("pod-resources/kubelet.sock"),
                own_pod: Some("agent".to_owned()),
            },
        };
        let mut node = Self { kubelet, directories, woken: Arc::default() };
        node.kubelet.run("start").unwrap();
        node
    }

    fn agent(&self) -> Plugins {
        let woken = Arc::clone(&self.woken);
        let count = move || {
            woken.fetch_add(1, Ordering::Relaxed);
        };
        Plugins::start(self.directories.clone(), Arc::new(count)).unwrap()
    }

    /// sysfs shows the device with vfio-pci and this group.
    fn put_in_group(&self, device: &str, group: u8) {
        let directory = self.directories.sysfs.join("bus/pci/devices").join(device);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        symlink("../../../../bus/pci/drivers/vfio-pci", directory.join("driver")).unwrap();
        symlink(format!("../../../../kernel/iommu_groups/{group}"), directory.join("iommu_group")).unwrap();
    }

    /// Capacity and allocatable of the Node.
    fn counts(&mut self, resource: &str) -> (i64, i64) {
        let said = self.kubelet.run("capacity").unwrap().unwrap();
        let count = |what: &str| said[what][resource].as_i64().unwrap_or_default();
        (count("capacity"), count("allocatable"))
    }

    #[track_caller]
    fn until_counts(&mut self, resource: &str, expected: (i64, i64)) {
        let began = Instant::now();
        while self.counts(resource) != expected {
            assert!(began.elapsed() < Duration::from_secs(25), "{resource}: {:?}", self.counts(resource));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Admits a pod and starts its container. The result is its device, and its nodes.
    fn pod(&mut self, name: &str, resource: &str) -> Result<(String, String), String> {
        self.container(&format!("pod {name} {resource} 1"), resource)
    }

    /// Starts the container of a pod again. The pod was admitted before.
    fn again(&mut self, name: &str, resource: &str) -> Result<(String, String), String> {
        self.container(&format!("again {name}"), resource)
    }

    fn container(&mut self, command: &str, resource: &str) -> Result<(String, String), String> {
        let got = self.kubelet.run(command)?.unwrap();
        let answer = &got["answers"][0];
        let variable = format!("PCIDEVICE_{}", resource.replace(['.', '/'], "_").to_uppercase());
        Ok((answer["envs"][variable.as_str()].as_str().unwrap().to_owned(), answer["devices"].to_string()))
    }

    fn end(&mut self, pod: &str) {
        self.kubelet.run(&format!("end {pod}")).unwrap();
    }
}

fn vfio(group: u8) -> Device {
    let node = format!("/dev/vfio/{group}");
    let access = Access::Vfio { host: node.clone(), container: node };
    Device { is_healthy: true, numa_node: None, driver: Some("vfio-pci".to_owned()), access }
}

fn link() -> Device {
    Device { access: Access::Interface, driver: Some("ena".to_owned()), ..vfio(0) }
}

fn pools(devices: &[(&str, &str, Device)]) -> Pools {
    let mut pools = Pools::new();
    for (resource, device, seen) in devices {
        pools.entry(resource.parse().unwrap()).or_default().insert(device.parse().unwrap(), seen.clone());
    }
    pools
}

fn note(agent: &Plugins, device: &str) -> String {
    agent.notes().remove(&device.parse().unwrap()).unwrap_or_default()
}

#[test]
fn a_name_that_is_edited_moves_a_device_when_its_pod_has_ended_and_not_before() {
    let mut node = Node::new();
    let agent = node.agent();
    agent.offer(pools(&[(OLD, A, link()), (OLD, B, link())]));
    node.until_counts(OLD, (2, 2));
    assert_eq!(node.pod("one", OLD).unwrap().0, A);
    // The free device moves, and the other one does not.
    agent.offer(pools(&[(NEW, A, link()), (NEW, B, link())]));
    node.until_counts(NEW, (1, 1));
    node.until_counts(OLD, (1, 1));
    assert!(note(&agent, A).contains("as example.com/old and not yet as example.com/new"), "{}", note(&agent, A));
    assert_eq!((note(&agent, B).as_str(), node.woken.load(Ordering::Relaxed)), ("", 1));
    assert_eq!(node.pod("two", NEW).unwrap().0, B);
    let refused = node.pod("three", NEW).unwrap_err();
    assert!(refused.contains("Available: 0"), "{refused}");
    // A new agent knows the same, and the pod of before can start its container again.
    drop(agent);
    node.until_counts(NEW, (1, 0));
    let agent = node.agent();
    agent.offer(pools(&[(NEW, A, link()), (NEW, B, link())]));
    node.until_counts(NEW, (1, 1));
    node.until_counts(OLD, (1, 1));
    assert_eq!(node.pod("one", OLD).unwrap().0, A);
    node.end("one");
    node.until_counts(NEW, (2, 2));
    node.until_counts(OLD, (0, 0));
    assert_eq!(note(&agent, A), "");
    assert_eq!(node.pod("three", NEW).unwrap().0, A);
}

#[test]
fn while_kubelet_cannot_be_asked_a_device_stays_where_it_was_given_and_the_note_says_why() {
    let mut node = Node::new();
    node.directories.pod_resources.socket = node.directories.kubelet.join("none.sock");
    let agent = node.agent();
    agent.offer(pools(&[(OLD, A, link())]));
    node.until_counts(OLD, (1, 1));
    node.pod("one", OLD).unwrap();
    agent.offer(pools(&[(NEW, A, link()), (NEW, B, link())]));
    node.until_counts(NEW, (1, 1));
    node.until_counts(OLD, (1, 1));
    assert!(note(&agent, A).contains("the agent cannot ask kubelet which devices pods have: "), "{}", note(&agent, A));
}

/// An agent that kept no ledger gave the device. Kubelet answers later than the agent starts, and no event tells.
#[test]
fn a_kubelet_that_does_not_answer_at_first_is_asked_again() {
    let mut node = Node::new();
    let agent = node.agent();
    agent.offer(pools(&[(OLD, A, link())]));
    node.until_counts(OLD, (1, 1));
    node.pod("one", OLD).unwrap();
    drop(agent);
    fs::remove_dir_all(&node.directories.state).unwrap();
    let socket = node.directories.pod_resources.socket.clone();
    // Not in kubelet's own directory, whose changes are events.
    let later = node.directories.kubelet.join("later");
    fs::create_dir(&later).unwrap();
    node.directories.pod_resources.socket = later.join("kubelet.sock");
    let agent = node.agent();
    agent.offer(pools(&[(NEW, A, link())]));
    node.until_counts(NEW, (1, 1));
    symlink(socket, &node.directories.pod_resources.socket).unwrap();
    node.until_counts(NEW, (1, 0));
    assert!(note(&agent, A).contains("a pod has it as example.com/old"), "{}", note(&agent, A));
}

/// The name is removed from the NodeENI, and the agent starts anew. Kubelet starts no container with a device whose resource has no plugin.
#[test]
fn a_pod_starts_its_container_again_although_nothing_of_its_resource_is_offered() {
    let mut node = Node::new();
    let agent = node.agent();
    agent.offer(pools(&[(OLD, A, link())]));
    node.until_counts(OLD, (1, 1));
    node.pod("one", OLD).unwrap();
    drop(agent);
    node.until_counts(OLD, (1, 0));
    let _agent = node.agent();
    node.until_counts(OLD, (0, 0));
    assert_eq!(node.again("one", OLD).map(|got| got.0), Ok(A.to_owned()));
}

#[test]
fn two_pods_never_get_devices_of_one_iommu_group() {
    let mut node = Node::new();
    node.put_in_group(A, 3);
    node.put_in_group(B, 3);
    let agent = node.agent();
    agent.offer(pools(&[(OLD, B, vfio(3))]));
    node.until_counts(OLD, (1, 1));
    assert_eq!(node.pod("one", OLD).unwrap().0, B);
    // Another device of the group comes, with a lower address and another name.
    agent.offer(pools(&[(OLD, B, vfio(3)), (NEW, A, vfio(3))]));
    node.until_counts(NEW, (1, 0));
    assert!(note(&agent, A).contains("in one IOMMU group with 0000:00:07.0, which a pod has"), "{}", note(&agent, A));
    assert!(node.pod("two", NEW).is_err());
    node.end("one");
    // Kubelet is asked again; then the lower address is the one that is offered.
    node.until_counts(NEW, (1, 1));
    node.until_counts(OLD, (1, 0));
    assert_eq!(node.pod("two", NEW).unwrap().0, A);
    assert!(node.pod("three", OLD).is_err());
}

/// After a reboot the group has another number, and kubelet still has what the pod was given before.
#[test]
fn after_a_reboot_no_container_starts_with_the_group_of_before_and_a_new_pod_gets_that_of_now() {
    let mut node = Node::new();
    node.put_in_group(A, 3);
    let agent = node.agent();
    agent.offer(pools(&[(NEW, A, vfio(3))]));
    node.until_counts(NEW, (1, 1));
    let (device, nodes) = node.pod("one", NEW).unwrap();
    assert!(device == A && nodes.contains("/dev/vfio/3 "), "{nodes}");
    // A container that restarts in the same boot gets the same.
    assert_eq!(node.pod("one", NEW).unwrap().1, nodes);
    // The agent has not looked yet, and kubelet admits the pod of before.
    node.put_in_group(A, 5);
    let refused = node.pod("one", NEW).unwrap_err();
    assert!(refused.contains("PreStartContainer") && refused.contains("by now it is /dev/vfio/5"), "{refused}");
    assert_eq!(node.again("one", NEW).unwrap_err(), refused);
    // It has looked: kubelet does not admit that pod any more, so that its controller makes another one.
    drop(agent);
    node.kubelet.run("stop").unwrap();
    node.kubelet.run("start").unwrap();
    let agent = node.agent();
    agent.offer(pools(&[(NEW, A, vfio(5))]));
    node.until_counts(NEW, (1, 0));
    assert!(
        note(&agent, A).contains("a pod has it as /dev/vfio/3, and by now it is /dev/vfio/5"),
        "{}",
        note(&agent, A)
    );
    let refused = node.pod("one", NEW).unwrap_err();
    assert!(refused.contains("healthy devices"), "{refused}");
    // A kubelet that starts anew tells nothing, and admits its pods at that moment.
    let (socket, away) =
        (node.directories.pod_resources.socket.clone(), node.directories.kubelet.join("pod-resources/away"));
    fs::rename(&socket, &away).unwrap();
    agent.offer(pools(&[(NEW, A, vfio(5)), (OLD, B, link())]));
    node.until_counts(OLD, (1, 1));
    assert!(note(&agent, A).contains("the agent cannot ask kubelet"), "{}", note(&agent, A));
    assert_eq!(node.counts(NEW), (1, 0));
    fs::rename(&away, &socket).unwrap();
    node.end("one");
    node.until_counts(NEW, (1, 1));
    let (device, nodes) = node.pod("two", NEW).unwrap();
    assert!(device == A && nodes.contains("/dev/vfio/5 "), "{nodes}");
}
