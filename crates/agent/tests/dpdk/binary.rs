//! The binary: run, doctor and clean.

use super::rig::{eni, run, until};
use super::{Node, address, vfio};
use multi_eni_agent::wanted::WantedEni;
use serde_json::json;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_multi-eni-agent");

/// A command of the binary with the directories of the rig, and the ENIs in a file.
pub(super) fn command(node: &Node, name: &str, wanted: Option<&[WantedEni]>) -> Command {
    let mut command = Command::new(BINARY);
    command.arg(name);
    let directories = node.rig.directories();
    if let Some(wanted) = wanted {
        let file = node.rig.run_dir().join("attachments.json");
        let next = file.with_extension("new");
        let items: Vec<_> = wanted.iter().map(attachment).collect();
        fs::write(&next, json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string()).unwrap();
        fs::rename(next, &file).unwrap();
        command.arg("--attachments-file").arg(file);
    }
    command.arg("--sysfs-root").arg(&directories.kernel.sysfs).arg("--state-dir").arg(&directories.state);
    command.arg("--run-dir").arg(&directories.run).arg("--proc-root").arg(&node.settings.proc);
    command.arg("--upstream-mappings").arg(&node.settings.upstream);
    command.args(["--link-kinds", "veth", "--dpdk-deadline", "1"]).env_remove("KUBECONFIG");
    command
}

fn attachment(wanted: &WantedEni) -> serde_json::Value {
    let driver = wanted.dpdk.as_ref().map(|dpdk| dpdk.driver.clone().unwrap().name());
    json!({
        "apiVersion": "networking.k8s.aws/v1alpha1",
        "kind": "ENIAttachment",
        "metadata": { "name": wanted.name, "uid": wanted.uid },
        "spec": {
            "nodeName": "node1", "nodeUID": "n", "instanceID": "i-00000000000000001",
            "nodeENIName": "one", "nodeENIUID": "o",
            "request": { "subnetID": "subnet-00000001", "deviceIndex": wanted.index },
            "nodeSettings": {
                "enableDPDK": driver.is_some(), "dpdkDriver": driver, "dpdkResourceName": wanted.resource_name,
                "nodeConfig": { "mode": "link", "interfaceName": wanted.interface_name },
            },
        },
        "status": { "eniID": wanted.eni_id, "macAddress": wanted.mac.unwrap().to_string() },
    })
}

/// An agent that ends with the test.
pub(super) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(node: &Node, wanted: &[WantedEni]) -> Running {
    start_with(node, wanted, &[])
}

/// The same with further flags.
pub(super) fn start_with(node: &Node, wanted: &[WantedEni], flags: &[&str]) -> Running {
    Running(command(node, "run", Some(wanted)).args(flags).stderr(Stdio::null()).spawn().unwrap())
}

pub(super) fn stop(mut agent: Running) {
    let pid = nix::unistd::Pid::from_raw(agent.0.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert!(agent.0.wait().unwrap().success());
}

pub(super) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_binary_binds_leaves_it_so_on_sigterm_and_clean_gives_back() {
    let node = Node::with_vfio(&[1, 2]);
    let agent = start(&node, &[vfio(1), eni(2)]);
    until("the device is bound", || node.driver(1).as_deref() == Some("vfio-pci"));
    until("the override is cleared", || node.tree.driver_override(&address(1)).is_empty());
    stop(agent);
    let said = text(&command(&node, "doctor", Some(&[vfio(1), eni(2)])).output().unwrap());
    for part in [
        "eni-1: device 0000:00:06.0 is bound to vfio-pci, as asked",
        "DPDK: drivers loaded: vfio-pci; IOMMU: no;",
        "device 0000:00:05.0: ena, link ens5, IOMMU group 2, NUMA node 1\n",
        "device 0000:00:06.0: vfio-pci, IOMMU group 3, NUMA node 1, bound by the agent for eni-1 (before: ena), held by no process",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    assert_eq!(node.driver(1).as_deref(), Some("vfio-pci"), "doctor changes nothing");
    // While a process holds the device, clean says so and fails.
    let process = node.settings.proc.join("4711");
    fs::create_dir_all(process.join("fd")).unwrap();
    symlink("/dev/vfio/3", process.join("fd/12")).unwrap();
    let held = command(&node, "clean", None).output().unwrap();
    assert!(!held.status.success() && text(&held).contains("process 4711"), "{}", text(&held));
    fs::remove_dir_all(process).unwrap();
    let cleaned = command(&node, "clean", None).output().unwrap();
    assert!(cleaned.status.success(), "{}", text(&cleaned));
    node.assert_restored(1);
}

#[test]
fn a_process_that_does_not_show_its_files_is_not_nobody() {
    let node = Node::with_vfio(&[1]);
    node.turn(&[vfio(1)]);
    let files = node.settings.proc.join("4711/fd");
    fs::create_dir_all(&files).unwrap();
    symlink("/dev/vfio/3", files.join("12")).unwrap();
    std::os::unix::fs::chown(&files, Some(65_534), Some(65_534)).unwrap();
    fs::set_permissions(&files, fs::Permissions::from_mode(0o500)).unwrap();
    let with_rights = command(&node, "doctor", Some(&[vfio(1)]));
    let rights = "-dac_override,-dac_read_search,-sys_ptrace";
    let mut without = Command::new("setpriv");
    without.args([format!("--bounding-set={rights}"), format!("--inh-caps={rights}")]);
    without.arg(BINARY).args(with_rights.get_args()).env_remove("KUBECONFIG");
    let said = text(&without.output().unwrap());
    let unseen = "the agent cannot see the files of 1 process: DAC_READ_SEARCH or SYS_PTRACE is missing, or the kernel refuses all \
                  the same";
    assert!(said.contains(&format!("held by no process that is seen; {unseen}\n")), "{said}");
    // With the rights, the process is named.
    let said = text(&command(&node, "doctor", Some(&[vfio(1)])).output().unwrap());
    assert!(said.contains("held by process 4711 (, /dev/vfio/3)\n"), "{said}");
}

#[test]
fn while_an_unbind_hangs_the_binary_serves_other_enis_and_goes_on_when_the_device_is_free() {
    let node = Node::with_vfio(&[1, 2]);
    let agent = start(&node, &[vfio(1)]);
    until("the device is bound", || node.tree.driver_override(&address(1)).is_empty());
    node.tree.hold("vfio-pci");
    command(&node, "run", Some(&[eni(1), vfio(2)]));
    // An event of the kernel makes the agent read the file.
    run(&format!("ip -n {} link set lo down", node.rig.namespace("node")));
    until("the other device is bound", || node.driver(2).as_deref() == Some("vfio-pci"));
    assert_eq!(node.driver(1).as_deref(), Some("vfio-pci"));
    node.tree.release("vfio-pci");
    until("the device is given back", || node.driver(1).as_deref() == Some("ena"));
    until("its link is up", || {
        run(&format!("ip -n {} -d link", node.rig.namespace("node")))
            .lines()
            .any(|l| l.contains("eth1x") && l.contains("UP"))
    });
    node.tree.hold("vfio-pci");
    command(&node, "run", Some(&[eni(1), eni(2)]));
    run(&format!("ip -n {} link set lo up", node.rig.namespace("node")));
    std::thread::sleep(Duration::from_millis(500));
    let start = Instant::now();
    stop(agent);
    assert!(start.elapsed() < Duration::from_secs(10), "SIGTERM ends an agent whose step hangs: {:?}", start.elapsed());
}
