//! The peak memory of the node agent with a real API server: as the container of the chart's DaemonSet, and with DPDK and the device
//! plugin, as a process.
//!
//! `MULTI_ENI_AGENT` names a release build, which is measured instead of the build of the tests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test says what it needs")]

mod container;
mod kubelet;
mod rig;

use container::attachments::{attached, condition, read};
use kubelet::{Kubelet, directory};
use multi_eni_control_plane::{ControlPlane, Failure};
use rig::devices::{address, with_links};
use rig::{Rig, eni, until};
use serde_json::json;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// ENIs of the node. No instance type has more than 15 interfaces on a network card.
const ENIS: u8 = 15;
/// The design's goal for a release build, and a bound for the build of the tests, in KiB.
const GOAL: u64 = 16 * 1024;
const OF_A_TEST_BUILD: u64 = 40 * 1024;

/// A value of /proc/PID/status.
fn status(pid: u32, key: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
}

/// CPU time of the process in clock ticks.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// The binary, and the bound of its peak.
fn binary() -> (PathBuf, u64) {
    let released = std::env::var_os("MULTI_ENI_AGENT").map(PathBuf::from);
    let bound = if released.is_some() { GOAL } else { OF_A_TEST_BUILD };
    (released.unwrap_or_else(|| env!("CARGO_BIN_EXE_multi-eni-agent").into()), bound)
}

/// Prints the memory of an agent that has nothing to do, and asserts that it is within the bound.
fn measure(what: &str, pid: u32, bound: u64) {
    std::thread::sleep(Duration::from_secs(2));
    let before = ticks(pid);
    std::thread::sleep(Duration::from_secs(10));
    let idle = ticks(pid) - before;
    let (peak, now) = (status(pid, "VmHWM:"), status(pid, "VmRSS:"));
    let (anonymous, file) = (status(pid, "RssAnon:"), status(pid, "RssFile:"));
    println!(
        "{ENIS} ENIs{what}: peak {peak} KiB, now {now} KiB ({anonymous} KiB anonymous, {file} KiB of files); 10 idle seconds: {idle} ticks"
    );
    assert!(peak <= bound, "the peak is {peak} KiB, and the bound is {bound} KiB");
    assert!(idle <= 2, "{idle} ticks in 10 idle seconds");
}

#[test]
fn the_memory_of_the_agent_is_bounded_and_an_idle_agent_does_nothing() -> Result<(), Failure> {
    let (binary, bound) = binary();
    let rig = Rig::new();
    let plane = ControlPlane::start()?;
    let set = container::install(&plane)?;
    let token = container::token(&plane, &set, "node1")?;
    let agent = container::start(&plane, &set, "node1", &token, &binary)?;
    let names: Vec<String> =
        (1..=ENIS).map(|number| attached(&plane, "node1", number)).collect::<Result<_, Failure>>()?;
    (1..=ENIS).for_each(|number| rig.attach(&eni(number)));
    for name in &names {
        until(&format!("{name} is configured: {}", agent.log()), || {
            condition(&read(&plane, name), "Configured").is_some_and(|condition| condition["status"] == "True")
        });
    }
    // Each object changes, and the watch shows it.
    for name in &names {
        plane.kubectl(&["label", "eniattachment", name, "seen=yes"])?.success()?;
    }
    let metrics = container::get(61691, "/metrics");
    assert!(metrics.contains(&format!("multi_eni_agent_enis{{reason=\"Configured\"}} {ENIS}\n")), "{metrics}");
    assert!(container::get(61690, "/readyz").starts_with("HTTP/1.1 200"));
    measure("", agent.pid(), bound);
    plane.passed();
    Ok(())
}

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
