//! What the agent may write and switch on.

use super::rig::{run, until};
use super::{Node, dpdk_eni, reason, report, sentence, vfio};
use multi_eni_agent::dpdk::driver::DpdkDriver;
use multi_eni_agent::plan::report::Outcome;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

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
    let mut node = Node::new(&[1], Some(3));
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
