//! What must hold before a device leaves its kernel driver.

use super::{bound, left, outcome, reason, with};
use crate::dpdk::bindings::Bindings;
use crate::dpdk::driver::{DpdkDriver, NotADpdkDriver};
use crate::dpdk::model::{World, address, dpdk_eni};
use crate::dpdk::obstacle::DpdkObstacle;
use crate::dpdk::step::DpdkStep;
use crate::node::{Address, Link, Route};
use crate::plan::model::{foreign_default, mac, new_link};
use crate::plan::report::Outcome;
use crate::wanted::{WantedDpdk, WantedEni};

#[test]
fn a_driver_that_nobody_knows_or_nobody_loaded_leaves_the_node_untouched() {
    left(&mut World::new(), &[with("ena")], "DriverUnknown");
    let mut world = World::new();
    world.pci.drivers.remove("igb_uio");
    left(&mut world, &[with("igb_uio")], "DriverMissing");
    // A driver that comes later is found.
    world.pci.drivers.insert("igb_uio".to_owned());
    assert!(matches!(outcome(&mut world, &[with("igb_uio")]), Outcome::Bound { .. }));
}

#[test]
fn a_read_only_sysfs_costs_no_link() {
    let mut world = World::new();
    world.settings.load_modules = true;
    world.pci.drivers.remove("igb_uio");
    world.device(1).is_read_only = true;
    left(&mut world, &[with("igb_uio")], "SysfsReadOnly");
    left(&mut world, &[dpdk_eni(1)], "SysfsReadOnly");
    world.device(1).is_read_only = false;
    assert!(matches!(outcome(&mut world, &[dpdk_eni(1)]), Outcome::Bound { .. }));
}

#[test]
fn modules_are_loaded_only_if_asked() {
    let mut world = World::new();
    world.pci.drivers.remove("igb_uio");
    world.settings.load_modules = true;
    assert!(matches!(outcome(&mut world, &[with("igb_uio")]), Outcome::Bound { .. }));
    assert_eq!(world.made[0], "device 0000:00:06.0: load the module igb_uio");
    let mut world = World::new();
    world.pci.drivers.remove("igb_uio");
    world.settings.load_modules = true;
    world.faults.no_modules = true;
    left(&mut world, &[with("igb_uio")], "BindFailed");
}

#[test]
fn vfio_needs_an_iommu_or_its_mode_without_one() {
    let mut world = World::new();
    world.device(1).iommu_group = None;
    left(&mut world, &[dpdk_eni(1)], "NoIommu");
    world.pci.no_iommu = None;
    world.settings.enable_no_iommu = true;
    left(&mut world, &[dpdk_eni(1)], "NoIommu");
    world.pci.no_iommu = Some(false);
    assert!(matches!(outcome(&mut world, &[dpdk_eni(1)]), Outcome::Bound { .. }));
    assert_eq!(world.made[0], "device 0000:00:06.0: switch on vfio's mode without an IOMMU");
    // uio needs none.
    let mut world = World::new();
    world.device(1).iommu_group = None;
    assert!(matches!(outcome(&mut world, &[with("uio_pci_generic")]), Outcome::Bound { .. }));
}

#[test]
fn a_pci_address_of_another_device_binds_nothing() {
    for other in [0, 2, 9] {
        let driver = Ok(DpdkDriver::VfioPci);
        let dpdk = Some(WantedDpdk { driver, pci_address: Some(address(other)) });
        left(&mut World::new(), &[WantedEni { dpdk, ..dpdk_eni(1) }], "PCIAddressMismatch");
    }
}

#[test]
fn the_primary_interface_is_never_bound_even_if_its_mac_is_in_the_status() {
    left(&mut World::new(), &[WantedEni { mac: Some(mac(0)), ..dpdk_eni(1) }], "HasDefaultRoute");
}

#[test]
fn a_link_that_others_use_is_not_taken_away() {
    let use_link = |change: fn(&mut World)| {
        let mut world = World::new();
        change(&mut world);
        world
    };
    let default = |world: &mut World| world.node.routes.push(foreign_default(3));
    left(&mut use_link(default), &[dpdk_eni(1)], "HasDefaultRoute");
    let port = |world: &mut World| world.node.links[2].controller = Some(9);
    left(&mut use_link(port), &[dpdk_eni(1)], "IsPort");
    let address = |world: &mut World| {
        let cidr = "10.0.1.11/24".parse().unwrap();
        world.node.addresses.push(Address { link: 3, cidr, protocol: 0, is_global: true });
    };
    left(&mut use_link(address), &[dpdk_eni(1)], "LinkInUse");
    let route = |world: &mut World| {
        let destination = "10.77.0.0/16".parse().unwrap();
        world.node.routes.push(Route { destination, ..foreign_default(3) });
    };
    left(&mut use_link(route), &[dpdk_eni(1)], "LinkInUse");
    let upper = |world: &mut World| {
        let kind = Some("macvlan".to_owned());
        world.node.links.push(Link { index: 50, kind, lower: Some(3), parent_device: None, ..new_link(1) });
    };
    left(&mut use_link(upper), &[dpdk_eni(1)], "LinkInUse");
    let virtio = |world: &mut World| world.node.links[2].parent_device = Some("virtio3".to_owned());
    left(&mut use_link(virtio), &[dpdk_eni(1)], "NotPCI");
}

#[test]
fn an_eniattachment_that_cannot_be_followed_changes_nothing() {
    let mut world = bound();
    let pci = world.pci.clone();
    assert!(world.settle(&[WantedEni { unusable: Some("why".to_owned()), ..dpdk_eni(1) }]).is_empty());
    left(&mut world, &[with("ena")], "DriverUnknown");
    assert_eq!((world.pci, world.bindings.devices.len()), (pci, 1));
}

#[test]
fn a_route_that_comes_before_the_unbind_stops_it() {
    let mut world = World::new();
    world.round(&[dpdk_eni(1)]);
    world.round(&[dpdk_eni(1)]);
    assert_eq!(world.device(1).driver_override.as_deref(), Some("vfio-pci"));
    world.node.routes.push(foreign_default(3));
    assert_eq!(reason(&mut world, &[dpdk_eni(1)]), "HasDefaultRoute");
    let device = world.device(1).clone();
    assert_eq!((device.driver.as_deref(), device.driver_override), (Some("ena"), None));
    assert_eq!(world.bindings, Bindings::default());
}

#[test]
fn an_unknown_driver_says_which_ones_are_known() {
    let obstacle = DpdkObstacle::DriverUnknown(NotADpdkDriver("ena".to_owned()));
    assert!(obstacle.to_string().contains("vfio-pci, igb_uio, uio_pci_generic"));
    let step = DpdkStep::GiveUp { address: address(1), goal: crate::dpdk::step::Goal::Restore, why: "x".to_owned() };
    assert_eq!(step.to_string(), "give up on device 0000:00:06.0 to give it back to the kernel: x");
}
