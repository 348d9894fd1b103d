//! The container of the chart with DPDK and the device plugin: with the rights that the chart renders for them, on the sysfs tree that
//! reacts, with kubelet's own code and with a process that holds a device.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test says what it needs")]

mod container;
mod kubelet;
mod rig;

use container::Machine;
use container::attachments::{attached, condition, read};
use container::rights::{granted, used};
use kubelet::{Kubelet, directory};
use multi_eni_agent::dpdk::holders;
use multi_eni_control_plane::{ControlPlane, Failure, Process};
use rig::devices::{address, with_links};
use rig::{Rig, until};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

const VALUES: [&str; 2] = ["nodeAgent.dpdk.enabled=true", "nodeAgent.devicePlugin.enabled=true"];
const RESOURCE: &str = "example.com/fast";

/// The agent of the chart on the node node1.
struct Chart<'a> {
    plane: &'a ControlPlane,
    /// The DaemonSet as it is rendered.
    set: Value,
    token: String,
    sysfs: &'a Path,
}

impl Chart<'_> {
    fn start(&self, set: &Value, log: &str, has_own_pids: bool) -> Result<Process, Failure> {
        let machine = Machine { node: "node1", token: &self.token, sysfs: self.sysfs, has_own_pids, log };
        container::start_on(self.plane, set, &machine, Path::new(env!("CARGO_BIN_EXE_multi-eni-agent")))
    }

    /// What doctor says in the container after this change of the DaemonSet.
    fn doctor(&self, what: &str, change: impl FnOnce(&mut Value)) -> Result<String, Failure> {
        let mut set = self.set.clone();
        let pod = &mut set["spec"]["template"]["spec"];
        change(pod);
        let arguments = pod["containers"][0]["args"].as_array_mut().unwrap();
        arguments.retain(|argument| !argument.as_str().unwrap().contains("-addr="));
        arguments[0] = json!("doctor");
        let has_own_pids = pod["hostPID"] != true;
        let mut process = self.start(&set, &format!("doctor-{what}.log"), has_own_pids)?;
        assert!(process.wait_end(Duration::from_secs(20))?.success(), "{}", process.log());
        Ok(process.log())
    }
}

/// A process of another user in a mount namespace of its own, as in another container, that has the file of a group open.
struct Holder(Child);

impl Holder {
    fn of(group: &str) -> Self {
        let file = format!("/dev/vfio/{group}");
        let script = format!(
            "mount -t tmpfs none /dev && mkdir /dev/vfio && touch {file} && exec 9<{file} \
             && exec setpriv --reuid=65534 --regid=65534 --clear-groups sleep 600"
        );
        let child = Command::new("unshare").args(["--mount", "sh", "-euc", &script]).spawn().unwrap();
        let comm = format!("/proc/{}/comm", child.id());
        until("the process holds the device", || fs::read_to_string(&comm).is_ok_and(|name| name == "sleep\n"));
        Self(child)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn end(mut agent: Process) -> Result<(), Failure> {
    agent.terminate()?;
    assert!(agent.wait_end(Duration::from_secs(10))?.success(), "{}", agent.log());
    Ok(())
}

fn without(capability: &str) -> impl FnOnce(&mut Value) {
    move |pod| {
        let added = pod["containers"][0]["securityContext"]["capabilities"]["add"].as_array_mut().unwrap();
        let before = added.len();
        added.retain(|name| name != capability);
        assert_eq!(added.len() + 1, before, "the chart adds {capability}");
    }
}

fn with_read_only_sys(set: &Value) -> Value {
    let mut set = set.clone();
    let mounts = set["spec"]["template"]["spec"]["containers"][0]["volumeMounts"].as_array_mut().unwrap();
    let sys = mounts.iter_mut().find(|mount| mount["name"] == "sys").unwrap();
    assert_eq!(sys["readOnly"], false);
    sys["readOnly"] = json!(true);
    set
}

#[test]
fn with_the_rights_for_dpdk_the_agent_of_the_chart_binds_a_device_offers_it_and_names_who_holds_it()
-> Result<(), Failure> {
    let rig = Rig::new();
    let tree = with_links(&rig, [1]);
    let plane = ControlPlane::start()?;
    let set = container::install_with(&plane, &VALUES)?;
    let token = container::token(&plane, &set, "node1")?;
    let sysfs = rig.directories().kernel.sysfs.clone();
    let chart = Chart { plane: &plane, set, token, sysfs: &sysfs };
    let mut kubelet = Kubelet::new(&directory());
    kubelet.run("start")?;
    let kubelets = container::host(&plane).join("var/lib/kubelet");
    fs::create_dir_all(&kubelets).unwrap();
    symlink(&kubelet.directory, kubelets.join("device-plugins")).unwrap();

    let name = attached(&plane, "node1", 1)?;
    let set_dpdk = |is_on: bool| -> Result<(), Failure> {
        let settings = json!({ "enableDPDK": is_on, "dpdkResourceName": RESOURCE });
        let patch = json!({ "spec": { "nodeSettings": settings } }).to_string();
        plane.kubectl(&["patch", "eniattachment", &name, "--type=merge", "-p", &patch])?.success()?;
        Ok(())
    };
    let configured = || condition(&read(&plane, &name), "Configured").cloned().unwrap_or_default();
    let until_reason = |agent: &mut Process, reason: &str| {
        until(&format!("the reason is {reason}: {} {}", configured(), agent.log()), || {
            assert!(agent.ended().unwrap().is_none(), "{}", agent.log());
            configured()["reason"] == reason
        });
    };
    set_dpdk(true)?;

    // With /sys as the chart mounts it without DPDK.
    let mut agent = chart.start(&with_read_only_sys(&chart.set), "read-only.log", false)?;
    until_reason(&mut agent, "SysfsReadOnly");
    assert_eq!(tree.driver(&address(1)).as_deref(), Some("ena"));
    end(agent)?;

    let mut agent = chart.start(&chart.set, "agent.log", false)?;
    until_reason(&mut agent, "BoundToDriver");
    assert_eq!(tree.driver(&address(1)).as_deref(), Some("vfio-pci"));
    kubelet.devices(RESOURCE, &[(&address(1), true)]);
    let given = kubelet.run(&format!("allocate {RESOURCE} {}", address(1)))?.unwrap();
    assert!(given.to_string().contains("/dev/vfio/1"), "{given}");
    let info = container::host(&plane).join("var/run/k8s.cni.cncf.io/devinfo/dp");
    assert_eq!(fs::read_dir(info).unwrap().count(), 1);

    // Each right that is given to see who holds a device is needed for it.
    let holder = Holder::of("1");
    let process = format!("process {} (sleep, /dev/vfio/1)", holder.0.id());
    // The container sees what root with all capabilities sees, and this is more than without one of them.
    let seen_by_root = holders::of(Path::new("/proc"), &["/dev/vfio/1".to_owned()]);
    assert!(seen_by_root.to_string().starts_with(&process), "{seen_by_root}");
    let said = chart.doctor("whole", |_| ())?;
    assert!(said.contains(&format!("held by {seen_by_root}\n")), "{said}");
    for capability in ["DAC_READ_SEARCH", "SYS_PTRACE"] {
        let said = chart.doctor(capability, without(capability))?;
        let unseen = "held by no process that is seen; the agent cannot see the files of ";
        assert!(said.contains(unseen), "without {capability}: {said}");
    }
    let said = chart.doctor("own-pids", |pod| pod["hostPID"] = json!(false))?;
    assert!(said.contains("held by no process that is seen\n"), "{said}");

    set_dpdk(false)?;
    until_reason(&mut agent, "DeviceHeld");
    assert!(configured()["message"].as_str().unwrap().contains(&process), "{}", configured());
    assert_eq!(tree.driver(&address(1)).as_deref(), Some("vfio-pci"));
    until("the Event is stored", || {
        let text = plane.kubectl(&["get", "events.events.k8s.io", "-n", "default", "-o", "json"]).unwrap();
        let list: Value = serde_json::from_str(&text.success().unwrap()).unwrap();
        let mut events = list["items"].as_array().unwrap().iter();
        events.any(|event| {
            event["reason"] == "DeviceHeld"
                && event["regarding"]["name"] == name.as_str()
                && event["reportingController"] == "networking.k8s.aws/multi-eni-agent"
                && event["note"].as_str().unwrap().contains(&process)
        })
    });
    drop(holder);
    until_reason(&mut agent, "Configured");
    assert_eq!(tree.driver(&address(1)).as_deref(), Some("ena"));
    assert!(rig.state().contains("from 10.0.1.11 lookup 10001"), "{}", rig.state());

    assert_eq!(used(&plane)?, granted(&container::render_with(&plane, &VALUES)?)?);
    end(agent)?;

    // The same node with the SR-IOV network device plugin, whose file is the agent's to extend and not to own.
    let file = container::host(&plane).join("etc/pcidp/config.json");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "{\"resourceList\": [{\"resourceName\": \"theirs\"}]}").unwrap();
    let with_file = container::render_with(&plane, &["nodeAgent.devicePlugin.sriovConfig=/etc/pcidp/config.json"])?;
    let agent = chart.start(&container::objects(&with_file, "DaemonSet")?[0], "sriov.log", false)?;
    until("the file has both entries", || {
        let text = fs::read_to_string(&file).unwrap();
        text.starts_with("{\"resourceList\": [{\"resourceName\": \"theirs\"}") && text.contains(&address(1))
    });
    end(agent)?;
    plane.passed();
    Ok(())
}
