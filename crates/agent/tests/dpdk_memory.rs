//! The peak memory of the node agent with a real API server, DPDK and the device plugin, as a process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test says what it needs")]

mod container;
mod kubelet;
mod memory;
mod rig;

use container::attachments::{attached, condition, read};
use kubelet::{Kubelet, directory};
use memory::{ENIS, binary, measure};
use multi_eni_control_plane::{ControlPlane, Failure};
use rig::devices::{address, with_links};
use rig::{Rig, until};
use serde_json::json;
use std::process::{Child, Command, Stdio};

/// An agent that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_memory_with_dpdk_and_the_device_plugin_is_bounded_as_well() -> Result<(), Failure> {
    const RESOURCE: &str = "example.com/fast";
    let (binary, bound) = binary();
    let rig = Rig::new();
    let _tree = with_links(&rig, 1..=ENIS);
    let plane = ControlPlane::start()?;
    container::install(&plane)?;
    let mut kubelet = Kubelet::new(&directory());
    kubelet.run("start")?;
    let settings = json!({ "enableDPDK": true, "dpdkResourceName": RESOURCE });
    let patch = json!({ "spec": { "nodeSettings": settings } }).to_string();
    let mut names = Vec::new();
    for number in 1..=ENIS {
        let name = attached(&plane, "node1", number)?;
        plane.kubectl(&["patch", "eniattachment", &name, "--type=merge", "-p", &patch])?.success()?;
        names.push(name);
    }
    let (directories, proc) = (rig.directories(), rig.run_dir().join("proc"));
    std::fs::create_dir_all(&proc).map_err(|e| e.to_string())?;
    let mut command = Command::new(binary);
    command.args(["run", "--node-name", "node1", "--link-kinds", "veth"]).env("KUBECONFIG", plane.admin_kubeconfig());
    command.arg("--sysfs-root").arg(&directories.kernel.sysfs).arg("--state-dir").arg(&directories.state);
    command.arg("--run-dir").arg(&directories.run).arg("--proc-root").arg(&proc);
    command.arg("--kubelet-dir").arg(&kubelet.directory).arg("--device-info-dir").arg(kubelet.directory.join("info"));
    let agent = Running(command.stderr(Stdio::null()).spawn().map_err(|e| e.to_string())?);
    for name in &names {
        until(&format!("{name} is bound"), || {
            condition(&read(&plane, name), "Configured").is_some_and(|condition| condition["reason"] == "BoundToDriver")
        });
    }
    let addresses: Vec<String> = (1..=ENIS).map(address).collect();
    let devices: Vec<(&str, bool)> = addresses.iter().map(|address| (address.as_str(), true)).collect();
    kubelet.devices(RESOURCE, &devices);
    measure(" with DPDK and the device plugin", agent.0.id(), bound);
    plane.passed();
    Ok(())
}
