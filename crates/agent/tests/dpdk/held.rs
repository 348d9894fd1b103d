//! A device that a process or the kernel holds.

use super::binary::{command, text};
use super::rig::{eni, until};
use super::{Node, address, reason, report, sentence, vfio};
use multi_eni_agent::plan::report::Outcome;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

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
