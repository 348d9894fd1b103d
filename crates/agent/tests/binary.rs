//! The binary as a process in a network namespace, with ENIAttachments from a file.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test says what it needs")]

mod rig;

use multi_eni_agent::wanted::WantedEni;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rig::{Rig, eni, run, until};
use serde_json::json;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_multi-eni-agent");

/// The ENI as the API has it.
fn attachment(wanted: &WantedEni) -> serde_json::Value {
    let addresses = |is_ipv6: bool| {
        wanted.addresses.iter().filter(|ip| ip.is_ipv6() == is_ipv6).map(ToString::to_string).collect::<Vec<_>>()
    };
    json!({
        "apiVersion": "networking.k8s.aws/v1alpha1",
        "kind": "ENIAttachment",
        "metadata": { "name": wanted.name, "uid": wanted.uid },
        "spec": {
            "nodeName": "node1", "nodeUID": "n", "instanceID": "i-00000000000000001",
            "nodeENIName": "one", "nodeENIUID": "o",
            "request": { "subnetID": "subnet-00000001", "subnetCIDR": "10.0.1.0/24", "deviceIndex": wanted.index },
            "nodeSettings": {
                "mtu": wanted.mtu, "nodeConfig": { "mode": "addresses", "interfaceName": wanted.interface_name },
                "dpdkResourceName": wanted.resource_name,
            },
        },
        "status": {
            "macAddress": wanted.mac.unwrap().to_string(),
            "privateIPs": addresses(false), "ipv6Addresses": addresses(true),
        },
    })
}

/// Writes the file, as `kubectl get enia -o json` does.
fn write(rig: &Rig, wanted: &[WantedEni]) -> PathBuf {
    let path = rig.run_dir().join("attachments.json");
    let list =
        json!({ "apiVersion": "v1", "kind": "List", "items": wanted.iter().map(attachment).collect::<Vec<_>>() });
    fs::write(&path, list.to_string()).unwrap();
    path
}

/// A command of the binary with the directories of the rig.
fn command(rig: &Rig, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    let state = rig.run_dir().join("state");
    command.args(arguments).arg("--state-dir").arg(state).arg("--run-dir").arg(rig.run_dir());
    command.arg("--kubelet-dir").arg(rig.run_dir().join("kubelet"));
    command.arg("--device-info-dir").arg(rig.run_dir().join("devinfo"));
    command.args(["--link-kinds", "veth", "--route-protocol", "217"]).env_remove("KUBECONFIG");
    command
}

fn output(mut command: Command) -> Output {
    command.output().unwrap()
}

/// An agent that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(rig: &Rig, file: &std::path::Path) -> Running {
    let mut command = command(rig, &["run", "--attachments-file", file.to_str().unwrap()]);
    // The loopback is the rig's own.
    command.args(["--metrics-addr", "127.0.0.1:61691"]);
    Running(command.stderr(Stdio::null()).spawn().unwrap())
}

impl Running {
    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id().cast_signed()), signal).unwrap();
    }
}

/// The value of a metric. None: nothing listens yet.
fn metric(name: &str) -> Option<u64> {
    let mut stream = TcpStream::connect("127.0.0.1:61691").ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[test]
fn run_follows_the_events_of_the_kernel_and_leaves_the_node_configured_on_sigterm() {
    let rig = Rig::new();
    let bare = rig.state();
    let wanted = [eni(1)];
    let file = write(&rig, &wanted);
    let mut agent = start(&rig, &file);
    let is_up = || rig.state().contains("from 10.0.1.11 lookup 10001");
    // The link comes after the agent has started.
    rig.attach(&wanted[0]);
    until("the ENI is configured", is_up);
    until("the client gets an answer", || rig.answers(wanted[0].addresses[0]));
    // Somebody takes the rule away: it is back without a restart.
    run(&format!("ip -n {} rule del from 10.0.1.11", rig.namespace("node")));
    until("the rule is back", is_up);
    // The link goes: so does the rule. The link comes back: so does the configuration.
    rig.detach(1);
    until("no rule is left", || !is_up());
    rig.attach(&wanted[0]);
    until("the ENI is configured again", is_up);
    let status = fs::read_to_string(format!("/proc/{}/status", agent.0.id())).unwrap();
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap());
    let configured = rig.state();
    agent.signal(Signal::SIGTERM);
    assert!(agent.0.wait().unwrap().success());
    assert_eq!(rig.state(), configured);
    // The next agent changes nothing, and clean leaves nothing.
    let cleaned = output(command(&rig, &["clean"]));
    assert!(cleaned.status.success(), "{}", String::from_utf8_lossy(&cleaned.stderr));
    rig.detach(1);
    assert_eq!(rig.state(), bare);
}

/// More events than the socket has room for: the agent looks at everything again, and goes on.
#[test]
fn an_agent_that_lost_events_looks_again_and_counts_it() {
    let rig = Rig::new();
    let wanted = [eni(1)];
    rig.attach(&wanted[0]);
    let agent = start(&rig, &write(&rig, &wanted));
    let is_configured = || rig.state().contains("from 10.0.1.11 lookup 10001");
    until("the ENI is configured", is_configured);
    let resyncs = || metric("multi_eni_agent_kernel_resyncs_total");
    until("the metrics are served", || resyncs() == Some(0));
    // While the agent is stopped, nobody reads the socket.
    agent.signal(Signal::SIGSTOP);
    let node = rig.namespace("node");
    let changes = rig.run_dir().join("changes");
    let pair = "rule add from 10.0.98.1 lookup 7 priority 5\nrule del from 10.0.98.1 lookup 7 priority 5\n";
    fs::write(&changes, pair.repeat(2_000)).unwrap();
    run(&format!("ip -n {node} rule del from 10.0.1.11"));
    run(&format!("ip -n {node} -batch {}", changes.display()));
    assert!(!is_configured());
    agent.signal(Signal::SIGCONT);
    until("the rule is back", is_configured);
    until("the loss is counted", || resyncs().is_some_and(|count| count > 0));
    // The socket goes on: a later event is followed.
    run(&format!("ip -n {node} rule del from 10.0.1.11"));
    until("the rule is back again", is_configured);
}

/// Two processes that change the node would undo each other's work, and only the agent that runs has its ledgers in memory.
#[test]
fn while_an_agent_runs_a_second_one_and_clean_are_refused_and_doctor_names_it() {
    let rig = Rig::new();
    let bare = rig.state();
    let wanted = [eni(1)];
    rig.attach(&wanted[0]);
    let file = write(&rig, &wanted);
    let doctor = || {
        let said = output(command(&rig, &["doctor", "--attachments-file", file.to_str().unwrap()]));
        String::from_utf8(said.stdout).unwrap().lines().next().unwrap().to_owned()
    };
    let state = rig.run_dir().join("state");
    let none = format!("Agent: none is at work with the state directory {}", state.display());
    assert_eq!(doctor(), none);
    let mut agent = start(&rig, &file);
    until("the ENI is configured", || rig.state().contains("from 10.0.1.11 lookup 10001"));
    let holder = format!("multi-eni-agent run (process {})", agent.0.id());
    assert_eq!(doctor(), format!("Agent: {holder} is at work"));
    let configured = rig.state();
    for arguments in [vec!["run", "--attachments-file", file.to_str().unwrap()], vec!["clean"]] {
        // A second agent that is not refused would not end by itself.
        let mut second = Command::new("timeout");
        second.arg("20").arg(BINARY).args(command(&rig, &arguments).get_args());
        let refused = output(second);
        let text = String::from_utf8(refused.stderr).unwrap();
        let sentence = format!("multi-eni-agent: {holder} is at work with the state directory {}", state.display());
        assert!(text.starts_with(&sentence) && text.contains("stop it first"), "{arguments:?}: {text}");
        assert_eq!(refused.status.code(), Some(1), "{arguments:?}: {text}");
    }
    assert_eq!(rig.state(), configured);
    assert!(state.join("links.json").exists());
    agent.signal(Signal::SIGTERM);
    assert!(agent.0.wait().unwrap().success());
    assert_eq!(doctor(), none);
    assert!(output(command(&rig, &["clean"])).status.success());
    assert_eq!(fs::read_dir(&state).unwrap().count(), 0, "nothing of the agent is left");
    rig.detach(1);
    assert_eq!(rig.state(), bare);
}

/// Without its ledger, `clean` would leave the link up, with the agent's MTU and name.
#[test]
fn a_ledger_that_somebody_removes_is_back_with_the_next_event_and_clean_gives_everything_back() {
    let rig = Rig::new();
    let wanted = [eni(1)];
    rig.attach(&wanted[0]);
    let before = rig.state();
    let mut agent = start(&rig, &write(&rig, &wanted));
    until("the ENI is configured", || rig.state().contains("from 10.0.1.11 lookup 10001"));
    let ledger = rig.run_dir().join("state/links.json");
    let stored = fs::read_to_string(&ledger).unwrap();
    fs::remove_file(&ledger).unwrap();
    run(&format!("ip -n {} rule del from 10.0.1.11", rig.namespace("node")));
    until("the rule is back", || rig.state().contains("from 10.0.1.11 lookup 10001"));
    assert_eq!(fs::read_to_string(&ledger).unwrap(), stored);
    agent.signal(Signal::SIGTERM);
    assert!(agent.0.wait().unwrap().success());
    assert!(output(command(&rig, &["clean"])).status.success());
    assert_eq!(rig.state(), before);
}

#[test]
fn doctor_says_what_the_agent_would_do_and_changes_nothing() {
    let rig = Rig::new();
    let wanted = [eni(1), eni(2)];
    rig.attach(&wanted[0]);
    let file = write(&rig, &wanted);
    let before = rig.state();
    let said = output(command(&rig, &["doctor", "--attachments-file", file.to_str().unwrap()]));
    let text = String::from_utf8(said.stdout).unwrap();
    for part in [
        "ens6: 02:00:00:00:00:01, veth, down, MTU 1500, managed by nobody else",
        "eni-2: no link, left as it is: no physical link of the node has the MAC address of the ENI (LinkAbsent)",
        "eni-1: add rule from 10.0.1.11/32 to table 10001 (priority 32765, protocol 217)",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    assert_eq!(rig.state(), before);
    assert!(!rig.run_dir().join("state").exists());
}

#[test]
fn doctor_says_what_pods_are_offered_and_changes_nothing() {
    let rig = Rig::new();
    let (kubelet, config) = (rig.run_dir().join("kubelet"), rig.run_dir().join("config.json"));
    let named = |number, name: &str| WantedEni { resource_name: Some(name.to_owned()), ..eni(number) };
    let wanted = [named(1, "example.com/fast"), named(2, "a/b/c")];
    rig.attach(&wanted[0]);
    // A veth is on no PCI device, so the agent is told of one by the tree of sysfs.
    let sysfs = rig.directories().kernel.sysfs.clone();
    let (device, class) = (sysfs.join("bus/pci/devices/0000:00:06.0"), sysfs.join("class/net/ens6"));
    for directory in [&kubelet, &device.join("net/ens6"), &class] {
        fs::create_dir_all(directory).unwrap();
    }
    std::os::unix::fs::symlink("../../drivers/ena", device.join("driver")).unwrap();
    std::os::unix::fs::symlink(&device, class.join("device")).unwrap();
    let _kubelet = std::os::unix::net::UnixListener::bind(kubelet.join("kubelet.sock")).unwrap();
    fs::write(kubelet.join("other.sock"), "").unwrap();
    let file = write(&rig, &wanted);
    let doctor = |more: &[&str]| {
        let mut command = command(&rig, &[&["doctor", "--attachments-file", file.to_str().unwrap()], more].concat());
        command.arg("--sysfs-root").arg(&sysfs);
        String::from_utf8(output(command).stdout).unwrap()
    };
    let text = doctor(&[]);
    for part in [
        "kubelet.sock: kubelet answers, and the agent could make its sockets beside it\n  socket other.sock: of another plugin\n",
        // The steps of the ENI are not made, so its condition is not True.
        "  example.com/fast:\n    0000:00:06.0 of eni-1: ens6, ena, no NUMA node, unhealthy: the condition Configured",
        "not offered: 1\n  eni-2: dpdkResourceName \"a/b/c\" is no name of an extended resource",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    let by_sriov = doctor(&["--sriov-config", config.to_str().unwrap()]);
    assert!(by_sriov.contains("config.json: it is as the agent would have it; the agent's entries: 0\n"), "{by_sriov}");
    assert_eq!((config.exists(), fs::read_dir(&kubelet).unwrap().count()), (false, 2));
    assert!(!rig.run_dir().join("devinfo").exists() && !rig.run_dir().join("state").exists());
}

#[test]
fn a_missing_right_is_said_and_nothing_is_changed() {
    let rig = Rig::new();
    let wanted = [eni(1)];
    rig.attach(&wanted[0]);
    let file = write(&rig, &wanted);
    let before = rig.state();
    for arguments in [vec!["run", "--attachments-file", file.to_str().unwrap()], vec!["clean"]] {
        let with_rights = command(&rig, &arguments);
        // An agent that runs without the right would not end by itself.
        let mut without = Command::new("timeout");
        without
            .args(["20", "setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"])
            .arg(BINARY)
            .args(with_rights.get_args());
        let refused = output(without);
        let text = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && text.contains("lacks CAP_NET_ADMIN"), "{arguments:?}: {text}");
    }
    assert_eq!(rig.state(), before);
}

#[test]
fn clean_takes_back_what_lies_on_the_node_for_pods() {
    let rig = Rig::new();
    let (info, config) = (rig.run_dir().join("devinfo"), rig.run_dir().join("config.json"));
    fs::create_dir(&info).unwrap();
    let file = |author: &str| json!({ "type": "pci", "version": "1.1.0", "pci": { "pci-address": "0000:00:06.0" }, "writtenBy": author });
    fs::write(info.join("ours-device.json"), file("multi-eni-agent").to_string()).unwrap();
    fs::write(info.join("theirs-device.json"), file("another").to_string()).unwrap();
    let theirs = r#"{"resourceName": "theirs"}"#;
    let entries = |ours: &str| format!(r#"{{"resourceList": [{theirs}{ours}]}}"#);
    fs::write(&config, entries(r#", {"resourceName": "ours", "managedBy": "multi-eni-agent"}"#)).unwrap();
    let clean = || output(command(&rig, &["clean", "--sriov-config", config.to_str().unwrap()]));
    let said = clean();
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(said.status.success() && text.contains("remove 1 device-info files"), "{text}");
    assert_eq!(
        fs::read_dir(&info).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>(),
        ["theirs-device.json"]
    );
    assert_eq!(fs::read_to_string(&config).unwrap(), entries(""));
    // What it does not understand is not taken back, and it says so.
    fs::write(&config, "{ half").unwrap();
    let refused = clean();
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && text.contains("is left as it is"), "{text}");
}

#[test]
fn a_file_that_cannot_be_read_takes_nothing_back() {
    let rig = Rig::new();
    let wanted = [eni(1)];
    rig.attach(&wanted[0]);
    let file = write(&rig, &wanted);
    let _agent = start(&rig, &file);
    until("the ENI is configured", || rig.state().contains("from 10.0.1.11 lookup 10001"));
    fs::write(&file, "{ half").unwrap();
    let configured = rig.state();
    // An event asks for a look.
    run(&format!("ip -n {} rule add from 10.0.98.1 lookup 7 priority 5", rig.namespace("node")));
    run(&format!("ip -n {} rule del from 10.0.98.1 lookup 7 priority 5", rig.namespace("node")));
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(rig.state(), configured);
}
