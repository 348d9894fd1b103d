//! Whole ways of a device: to its driver for DPDK and back, after a failure, after upstream, and after a reboot.

use super::rig::{OURS, eni, run};
use super::{Node, address, reason, report, sentence, steps, vfio};
use multi_eni_agent::node_agent::{Directories, NodeAgent, Turn};
use multi_eni_agent::plan::Settings;
use multi_eni_agent::plan::report::Outcome;
use multi_eni_agent::sysfs::KernelFiles;
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

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

/// The kernel lets a program open a group only if it uses none of its devices itself.
#[test]
fn a_device_is_bound_only_if_a_program_could_open_its_iommu_group() {
    // The primary interface is in the same group.
    let node = Node::with_groups(&[1], |_| Some("3".to_owned()));
    node.tree.load("vfio-pci");
    let bare = node.rig.state();
    let turn = node.turn(&[vfio(1)]);
    assert_eq!(reason(&turn, "eni-1"), "GroupInUse");
    let said = sentence(&turn, "eni-1");
    assert!(said.contains("uses other devices of its IOMMU group 3: 0000:00:05.0 (ena)"), "{said}");
    assert_eq!((node.driver(1).as_deref(), node.rig.state()), (Some("ena"), bare));
    // Two ENIs of one group: one of them has to be the first.
    let node = Node::with_groups(&[1, 2], |number| Some(if number == 0 { "2" } else { "3" }.to_owned()));
    node.tree.load("vfio-pci");
    assert_eq!(reason(&node.turn(&[vfio(1), eni(2)]), "eni-1"), "GroupInUse");
    let turn = node.turn(&[vfio(1), vfio(2)]);
    assert_eq!((reason(&turn, "eni-1"), reason(&turn, "eni-2")), ("Bound", "Bound"));
    // One of them goes back: no program can open the other one, and its report says so.
    let turn = node.turn(&[vfio(1), eni(2)]);
    let Outcome::Bound { note: Some(note), .. } = &report(&turn, "eni-1").outcome else { panic!("{turn:?}") };
    assert!(note.contains("no program can open it") && note.contains("0000:00:07.0 (ena)"), "{note}");
}
