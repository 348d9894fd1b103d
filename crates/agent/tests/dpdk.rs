//! DPDK with the sysfs tree that reacts, and real links: the link of a device goes and comes as its driver does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test says what it needs")]

mod rig;

use multi_eni_agent::dpdk::driver::DpdkDriver;
use multi_eni_agent::dpdk::settings::DpdkSettings;
use multi_eni_agent::node_agent::{Directories, NodeAgent, Turn};
use multi_eni_agent::plan::Settings;
use multi_eni_agent::plan::report::{EniReport, Outcome};
use multi_eni_agent::sysfs::KernelFiles;
use multi_eni_agent::wanted::{WantedDpdk, WantedEni};
use rig::tree::{OnLink, Tree};
use rig::{OURS, Rig, eni, run, until};
use serde_json::json;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_multi-eni-agent");

/// The PCI address of the ENI with this number.
fn address(number: u8) -> String {
    format!("0000:00:{:02x}.0", number + 5)
}

fn dpdk_eni(number: u8, driver: DpdkDriver) -> WantedEni {
    WantedEni { dpdk: Some(WantedDpdk { driver: Ok(driver), pci_address: None }), ..eni(number) }
}

fn vfio(number: u8) -> WantedEni {
    dpdk_eni(number, DpdkDriver::VfioPci)
}

/// The node: namespaces, and the tree with the primary interface and the ENIs of these numbers, each with a link.
struct Node {
    rig: Rig,
    tree: Tree,
    settings: DpdkSettings,
}

impl Node {
    fn new(numbers: &[u8], group: Option<&str>) -> Self {
        let rig = Rig::new();
        let (node, vpc) = (rig.namespace("node"), rig.namespace("vpc"));
        let ledger = rig.directories().state.join("bindings.json");
        let count = AtomicU32::new(0);
        let on_link: OnLink = Arc::new(move |address, comes| {
            let number = u8::from_str_radix(&address[8..10], 16).unwrap() - 5;
            if !comes {
                assert!(ledger.exists(), "the ledger is on the disk before the link goes");
                run(&format!("ip -n {vpc} link del eni{number}"));
                return None;
            }
            // The kernel gives the link a new name each time.
            let name = format!("eth{number}x{}", count.fetch_add(1, Ordering::Relaxed));
            let mac = format!("02:00:00:00:00:{number:02x}");
            run(&format!("ip -n {vpc} link add eni{number} type veth peer name {name} address {mac} netns {node}"));
            Some(name)
        });
        let tree = Tree::new(&rig.directories().kernel.sysfs, on_link.clone());
        tree.add(&address(0), group);
        tree.put_link(&address(0), "ens5");
        for number in numbers {
            tree.add(&address(*number), group);
            tree.put_link(&address(*number), &on_link(&address(*number), true).unwrap());
        }
        let nowhere = rig.run_dir().join("nowhere");
        let settings = DpdkSettings {
            proc: rig.run_dir().join("proc"),
            upstream: rig.run_dir().join("interface-mappings.json"),
            modprobe: nowhere,
            ..DpdkSettings::default()
        };
        fs::create_dir_all(&settings.proc).unwrap();
        Self { rig, tree, settings }
    }

    fn with_vfio(numbers: &[u8]) -> Self {
        let node = Self::new(numbers, Some("3"));
        node.tree.load("vfio-pci");
        node
    }

    /// A new process of the agent.
    fn agent(&self) -> NodeAgent {
        let mut agent = self.rig.agent();
        agent.set_dpdk(self.settings.clone());
        agent
    }

    /// One turn of a new process, in which nothing may fail.
    fn turn(&self, wanted: &[WantedEni]) -> Turn {
        let turn = self.agent().turn(wanted).unwrap();
        assert_eq!(turn.failed, [], "{:?}", turn.steps);
        turn
    }

    fn driver(&self, number: u8) -> Option<String> {
        self.tree.driver(&address(number))
    }

    fn ledger(&self) -> PathBuf {
        self.rig.directories().state.join("bindings.json")
    }

    /// Asserts that the device has its kernel driver, and that nothing of the agent is left on it.
    fn assert_restored(&self, number: u8) {
        assert_eq!(self.driver(number).as_deref(), Some("ena"));
        assert!(["", "(null)"].contains(&self.tree.driver_override(&address(number)).as_str()));
        assert!(!self.ledger().exists());
        let link = run(&format!("ip -n {} -br link", self.rig.namespace("node")));
        assert!(link.contains(&format!("02:00:00:00:00:{number:02x}")), "{link}");
    }
}

fn report<'a>(turn: &'a Turn, name: &str) -> &'a EniReport {
    turn.reports.iter().find(|report| report.attachment == name).unwrap_or_else(|| panic!("{:?}", turn.reports))
}

fn reason(turn: &Turn, name: &str) -> &'static str {
    match &report(turn, name).outcome {
        Outcome::Blocked(obstacle) => obstacle.reason(),
        Outcome::Bound { .. } => "Bound",
        other => panic!("{other:?}"),
    }
}

/// How many steps of a kind succeeded.
fn steps(turn: &Turn, kind: &str) -> u64 {
    turn.counts.iter().filter(|count| count.kind == kind && count.is_done).map(|count| count.steps).sum()
}

fn sentence(turn: &Turn, name: &str) -> String {
    let Outcome::Blocked(obstacle) = &report(turn, name).outcome else { panic!("{:?}", turn.reports) };
    obstacle.to_string()
}

#[test]
fn a_configured_eni_is_bound_and_comes_back_configured_under_another_name() {
    let node = Node::with_vfio(&[1]);
    let bare = node.rig.state();
    let configured = node.turn(&[eni(1)]);
    assert_eq!(report(&configured, "eni-1").outcome, Outcome::Configured);
    let bound = node.turn(&[vfio(1)]);
    let device = address(1);
    let expected = Outcome::Bound { device: device.clone(), driver: "vfio-pci".to_owned(), note: None };
    assert_eq!(report(&bound, "eni-1").outcome, expected);
    assert_eq!((steps(&bound, "device"), steps(&bound, "ledger")), (4, 2), "{:?}", bound.counts);
    let link = report(&bound, "eni-1").link.clone().unwrap();
    assert_eq!((link.name.as_str(), link.parent_device, link.numa_node), ("", Some(device), Some(1)));
    assert_eq!((node.driver(1).as_deref(), node.tree.driver_override(&address(1)).as_str()), (Some("vfio-pci"), ""));
    let rules = run(&format!("ip -n {} rule", node.rig.namespace("node")));
    assert!(!rules.contains("10001"), "{rules}");
    // A second process finds it so, and changes nothing.
    let again = node.turn(&[vfio(1)]);
    assert_eq!((again.device_steps.as_slice(), &report(&again, "eni-1").outcome), ([].as_slice(), &expected));
    // Back: the link has a new name, and is configured in the same turn.
    let back = node.turn(&[eni(1)]);
    assert_eq!(report(&back, "eni-1").outcome, Outcome::Configured);
    assert_eq!(report(&back, "eni-1").link.as_ref().unwrap().name, "eth1x1");
    // The network of a link that has come back counts, too.
    assert_eq!((steps(&back, "device"), steps(&back, "rule")), (4, 3), "{:?}", back.counts);
    node.assert_restored(1);
    node.turn(&[]);
    assert_eq!(node.rig.state().lines().count(), bare.lines().count());
}

#[test]
fn a_deleted_eniattachment_gives_its_device_back_and_says_so() {
    let node = Node::with_vfio(&[1]);
    node.turn(&[vfio(1)]);
    let mut agent = node.agent();
    let turn = agent.turn(&[]).unwrap();
    assert_eq!(report(&turn, "eni-1").outcome, Outcome::Restored { device: address(1) });
    node.assert_restored(1);
    // The API server may not have taken the report, so that it is made again.
    agent.binder().keep_given_back(|uid| uid == "uid-1");
    assert_eq!(reports_of(&agent.turn(&[]).unwrap()), ["eni-1"]);
    // When the ENIAttachment is gone, nobody reads it.
    agent.binder().keep_given_back(|_| false);
    assert_eq!(reports_of(&agent.turn(&[]).unwrap()), Vec::<&str>::new());
}

fn reports_of(turn: &Turn) -> Vec<&str> {
    turn.reports.iter().map(|report| report.attachment.as_str()).collect()
}

#[test]
fn an_unbind_that_hangs_delays_no_other_eni_and_ends_by_itself() {
    let mut node = Node::with_vfio(&[1, 2]);
    node.settings.deadline = Duration::ZERO;
    let mut agent = node.agent();
    assert_eq!(reason(&agent.turn(&[vfio(1)]).unwrap(), "eni-1"), "Bound");
    node.tree.hold("vfio-pci");
    let start = Instant::now();
    let turn = agent.turn(&[eni(1), vfio(2)]).unwrap();
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    assert_eq!((reason(&turn, "eni-1"), reason(&turn, "eni-2")), ("DeviceHeld", "Bound"));
    assert!(sentence(&turn, "eni-1").contains("unbind from vfio-pci"), "{}", sentence(&turn, "eni-1"));
    // The next turn does not wait at all.
    let start = Instant::now();
    assert_eq!(reason(&agent.turn(&[eni(1), vfio(2)]).unwrap(), "eni-1"), "DeviceHeld");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    node.tree.release("vfio-pci");
    until("the step has ended", || {
        let turn = agent.turn(&[eni(1), vfio(2)]).unwrap();
        report(&turn, "eni-1").outcome == Outcome::Configured
    });
    assert_eq!((node.driver(1).as_deref(), node.driver(2).as_deref()), (Some("ena"), Some("vfio-pci")));
}

#[test]
fn a_process_that_is_seen_keeps_the_device_and_nothing_is_unbound() {
    let node = Node::with_vfio(&[1]);
    node.turn(&[vfio(1)]);
    let process = node.settings.proc.join("4711");
    fs::create_dir_all(process.join("fd")).unwrap();
    symlink("/dev/vfio/3", process.join("fd/12")).unwrap();
    fs::write(process.join("comm"), "testpmd\n").unwrap();
    let mut agent = node.agent();
    let turn = agent.turn(&[]).unwrap();
    assert_eq!(reason(&turn, "eni-1"), "DeviceHeld");
    assert!(sentence(&turn, "eni-1").contains("process 4711 (testpmd, /dev/vfio/3)"), "{}", sentence(&turn, "eni-1"));
    assert_eq!(node.driver(1).as_deref(), Some("vfio-pci"));
    fs::remove_dir_all(process).unwrap();
    until("the device is given back", || agent.turn(&[]).is_ok() && !node.ledger().exists());
    node.assert_restored(1);
}

#[test]
fn a_device_that_the_kernel_has_locked_blocks_no_turn() {
    let node = Node::with_vfio(&[1, 2]);
    node.turn(&[vfio(1)]);
    node.tree.lock(&address(1));
    // A new process: it did not begin what locks the device.
    let mut agent = node.agent();
    let start = Instant::now();
    let turn = agent.turn(&[eni(1), vfio(2)]).unwrap();
    assert_eq!((reason(&turn, "eni-1"), reason(&turn, "eni-2")), ("DeviceHeld", "Bound"));
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    let start = Instant::now();
    assert_eq!(reason(&agent.turn(&[eni(1), vfio(2)]).unwrap(), "eni-1"), "DeviceHeld");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    // doctor says what it sees, and ends.
    let said = text(&command(&node, "doctor", Some(&[vfio(1)])).output().unwrap());
    assert!(said.contains("device 0000:00:06.0: vfio-pci"), "{said}");
    node.tree.unlock(&address(1));
    until("the device is given back", || {
        report(&agent.turn(&[eni(1), vfio(2)]).unwrap(), "eni-1").outcome == Outcome::Configured
    });
}

#[test]
fn a_driver_that_refuses_the_device_leaves_it_with_its_link() {
    let node = Node::with_vfio(&[1]);
    node.tree.faults.lock().unwrap().refusing.insert("vfio-pci".to_owned());
    let mut agent = node.agent();
    let turn = agent.turn(&[vfio(1)]).unwrap();
    assert_eq!(reason(&turn, "eni-1"), "BindFailed");
    assert!(sentence(&turn, "eni-1").contains("no driver has taken the device"), "{}", sentence(&turn, "eni-1"));
    node.assert_restored(1);
    assert_eq!(agent.turn(&[vfio(1)]).unwrap().device_steps, Vec::<String>::new(), "not again at once");
}

#[test]
fn a_device_that_cannot_be_unbound_keeps_its_driver() {
    let node = Node::with_vfio(&[1]);
    node.tree.break_unbind("ena");
    let turn = node.agent().turn(&[vfio(1)]).unwrap();
    assert_eq!(reason(&turn, "eni-1"), "BindFailed");
    assert!(sentence(&turn, "eni-1").contains("drivers/ena/unbind: No space left"), "{}", sentence(&turn, "eni-1"));
    node.assert_restored(1);
}

#[test]
fn another_driver_that_takes_the_device_is_noticed() {
    let mut node = Node::with_vfio(&[1]);
    node.settings.deadline = Duration::ZERO;
    node.tree.load("stub");
    node.tree.faults.lock().unwrap().thief = Some("stub".to_owned());
    let mut agent = node.agent();
    assert_eq!(reason(&agent.turn(&[vfio(1)]).unwrap(), "eni-1"), "LinkNotBack");
    assert_eq!(node.driver(1).as_deref(), Some("stub"));
    assert!(node.ledger().exists(), "the device is not forgotten");
}

#[test]
fn without_an_iommu_nothing_is_switched_on_unless_a_flag_asks() {
    let mut node = Node::new(&[1], None);
    assert_eq!(reason(&node.turn(&[vfio(1)]), "eni-1"), "DriverMissing");
    node.tree.load("vfio-pci");
    assert!(sentence(&node.turn(&[vfio(1)]), "eni-1").contains("CONFIG_VFIO_NOIOMMU"));
    node.tree.set_no_iommu(false);
    assert_eq!(reason(&node.turn(&[vfio(1)]), "eni-1"), "NoIommu");
    node.assert_restored(1);
    node.settings.enable_no_iommu = true;
    let turn = node.turn(&[vfio(1)]);
    let Outcome::Bound { note: Some(note), .. } = &report(&turn, "eni-1").outcome else { panic!("{turn:?}") };
    assert!(note.contains("without an IOMMU"), "{note}");
    node.turn(&[]);
    node.assert_restored(1);
}

#[test]
fn a_read_only_sysfs_leaves_the_link_as_it_is() {
    let node = Node::with_vfio(&[1]);
    let sysfs = node.rig.directories().kernel.sysfs.display().to_string();
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
    run("mount --make-rprivate /");
    run(&format!("mount --bind {sysfs} {sysfs}"));
    run(&format!("mount -o remount,bind,ro {sysfs}"));
    let before = node.rig.state();
    let turn = node.turn(&[vfio(1)]);
    assert_eq!((reason(&turn, "eni-1"), turn.device_steps.as_slice()), ("SysfsReadOnly", [].as_slice()));
    assert_eq!(node.rig.state(), before);
    run(&format!("umount {sysfs}"));
    assert_eq!(reason(&node.turn(&[vfio(1)]), "eni-1"), "Bound");
}

#[test]
fn a_module_is_loaded_only_if_a_flag_asks() {
    let mut node = Node::new(&[1], Some("3"));
    let (said, go) = (node.rig.run_dir().join("said"), node.rig.run_dir().join("go"));
    let program = node.rig.run_dir().join("modprobe");
    let text =
        format!("#!/bin/sh\necho \"$@\" > {}\nwhile ! [ -e {} ]; do sleep 0.01; done\n", said.display(), go.display());
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    node.settings.modprobe = program;
    let wanted = [dpdk_eni(1, DpdkDriver::IgbUio)];
    assert_eq!(reason(&node.turn(&wanted), "eni-1"), "DriverMissing");
    assert!(!said.exists());
    node.settings.load_modules = true;
    let tree = node.tree.clone();
    let (seen, ready) = (said.clone(), go);
    let kernel = std::thread::spawn(move || {
        until("modprobe is called", || seen.exists());
        tree.load("igb_uio");
        fs::write(ready, "").unwrap();
    });
    assert_eq!(reason(&node.turn(&wanted), "eni-1"), "Bound");
    kernel.join().unwrap();
    assert_eq!(fs::read_to_string(said).unwrap(), "igb_uio wc_activate=1\n");
    assert_eq!(node.driver(1).as_deref(), Some("igb_uio"));
}

#[test]
fn what_upstream_has_bound_is_adopted_and_given_back_later() {
    let node = Node::with_vfio(&[1, 2]);
    node.turn(&[vfio(1), vfio(2)]);
    fs::remove_file(node.ledger()).unwrap();
    let entry = json!([{ "eniID": "eni-00000001", "ifaceName": "ens6", "pciAddress": address(1), "deviceIndex": 1,
        "dpdkBound": true, "dpdkDriver": "vfio-pci", "nodeENIName": "a" }]);
    fs::write(&node.settings.upstream, entry.to_string()).unwrap();
    let turn = node.turn(&[vfio(1), vfio(2)]);
    assert_eq!(reason(&turn, "eni-1"), "Bound");
    assert_eq!(turn.device_steps, ["record device 0000:00:06.0 in the ledger"]);
    // Whose the second device is, nobody says.
    assert_eq!(reason(&turn, "eni-2"), "LinkAbsent");
    node.turn(&[]);
    node.assert_restored(1);
    assert_eq!(node.driver(2).as_deref(), Some("vfio-pci"));
    assert!(node.settings.upstream.exists(), "the file is upstream's");
}

#[test]
fn after_a_reboot_the_device_is_bound_again() {
    let node = Node::with_vfio(&[1]);
    let sysctl = node.rig.run_dir().join("sysctl");
    fs::create_dir_all(sysctl.join("kernel/random")).unwrap();
    symlink("/proc/thread-self/root/proc/sys/net", sysctl.join("net")).unwrap();
    let boot = |id: &str| {
        fs::write(sysctl.join("kernel/random/boot_id"), id).unwrap();
        let kernel = KernelFiles { sysctl: sysctl.clone(), ..node.rig.directories().kernel.clone() };
        let directories = Directories { kernel, ..node.rig.directories().clone() };
        let settings = Settings { protocol: OURS, link_kinds: vec!["veth".to_owned()] };
        let mut agent = NodeAgent::open(directories, settings).unwrap();
        agent.set_dpdk(node.settings.clone());
        agent.turn(&[vfio(1)]).unwrap()
    };
    assert_eq!(reason(&boot("one"), "eni-1"), "Bound");
    node.tree.reboot(&address(1));
    let turn = boot("two");
    assert_eq!((reason(&turn, "eni-1"), node.driver(1).as_deref()), ("Bound", Some("vfio-pci")));
    assert_eq!(turn.device_steps[0], "record device 0000:00:06.0 in the ledger");
}

/// A command of the binary with the directories of the rig, and the ENIs in a file.
fn command(node: &Node, name: &str, wanted: Option<&[WantedEni]>) -> Command {
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
            "nodeSettings": { "enableDPDK": driver.is_some(), "dpdkDriver": driver },
        },
        "status": { "eniID": wanted.eni_id, "macAddress": wanted.mac.unwrap().to_string() },
    })
}

/// An agent that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(node: &Node, wanted: &[WantedEni]) -> Running {
    Running(command(node, "run", Some(wanted)).stderr(Stdio::null()).spawn().unwrap())
}

fn stop(mut agent: Running) {
    let pid = nix::unistd::Pid::from_raw(agent.0.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert!(agent.0.wait().unwrap().success());
}

fn text(output: &Output) -> String {
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
        "device 0000:00:05.0: ena, link ens5, IOMMU group 3, NUMA node 1\n",
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
    let unseen = "the agent cannot see the files of 1 process: DAC_READ_SEARCH and SYS_PTRACE are missing";
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
