//! The way to a driver for DPDK, and the way back.

use super::{NAME, bound, outcome, with};
use crate::dpdk::bindings::Bindings;
use crate::dpdk::model::{World, address, dpdk_eni};
use crate::dpdk::obstacle::DpdkObstacle;
use crate::dpdk::plan::Verdict;
use crate::dpdk::reported_device::ReportedDevice;
use crate::node::Address;
use crate::pci_device::IommuGroup;
use crate::plan::model::{OURS, eni, mac};
use crate::plan::report::{Obstacle, Outcome};
use crate::wanted::WantedEni;

#[test]
fn the_ledger_comes_first_and_the_override_goes_last() {
    let mut world = World::new();
    let outcome = outcome(&mut world, &[dpdk_eni(1)]);
    let device = "0000:00:06.0".to_owned();
    assert_eq!(outcome, Outcome::Bound { device, driver: "vfio-pci".to_owned(), note: None });
    assert_eq!(
        world.made,
        [
            "record device 0000:00:06.0 in the ledger",
            "device 0000:00:06.0: write driver_override vfio-pci",
            "device 0000:00:06.0: unbind from ena",
            "device 0000:00:06.0: probe for a driver",
            "device 0000:00:06.0: clear driver_override",
        ]
    );
    let binding = world.bindings.at(&address(1)).unwrap();
    assert_eq!((binding.original_driver.as_deref(), binding.mac), (Some("ena"), mac(1)));
    assert_eq!((binding.uid.as_str(), binding.eni_id.as_deref()), ("uid-1", Some("eni-00000001")));
}

#[test]
fn the_device_goes_back_and_its_link_may_have_another_name() {
    let mut world = bound();
    world.settle(&[]);
    assert_eq!(
        world.made,
        [
            "device 0000:00:06.0: write driver_override ena",
            "device 0000:00:06.0: unbind from vfio-pci",
            "device 0000:00:06.0: probe for a driver",
            "device 0000:00:06.0: clear driver_override",
            "remove device 0000:00:06.0 from the ledger",
        ]
    );
    assert_eq!(world.device(1).links, ["eth41"]);
    assert_eq!(world.bindings, Bindings::default());
}

#[test]
fn an_eni_that_is_to_have_a_link_again_gets_it() {
    let mut world = bound();
    assert!(!world.settle(&[eni(1)]).contains_key(NAME), "the network reports it");
    assert_eq!(world.device(1).driver.as_deref(), Some("ena"));
}

#[test]
fn the_link_is_taken_back_before_its_driver_goes() {
    let mut world = World::new();
    let entry = crate::ledger::LedgerEntry {
        mac: mac(1),
        uid: None,
        parent_device: None,
        was_up: false,
        mtu_before: 1500,
        accept_ra_before: None,
        mtu: None,
        alt_names: Vec::new(),
        addresses: vec!["10.0.1.11".parse().unwrap()],
    };
    world.links.remember(entry);
    let address = Address { link: 3, cidr: "10.0.1.11/32".parse().unwrap(), protocol: OURS, is_global: true };
    world.node.addresses.push(address);
    let planned = world.plan(&[dpdk_eni(1)]);
    assert_eq!((planned.steps.as_slice(), planned.verdicts["uid-1"]), ([].as_slice(), Verdict::TakeBack));
}

#[test]
fn what_a_user_should_know_of_a_bound_device_is_said() {
    let mut world = bound();
    world.device(1).iommu_group = Some(IommuGroup { number: 0, is_noiommu: true });
    let Outcome::Bound { note: Some(note), .. } = outcome(&mut world, &[dpdk_eni(1)]) else { panic!() };
    assert!(note.contains("without an IOMMU"), "{note}");
    let mut world = World::new();
    world.pci.write_combining = Some(false);
    let Outcome::Bound { note: Some(note), .. } = outcome(&mut world, &[with("igb_uio")]) else { panic!() };
    assert!(note.contains("wc_activate"), "{note}");
}

#[test]
fn another_driver_for_dpdk_is_bound_without_a_way_over_the_kernels() {
    let mut world = bound();
    let Outcome::Bound { driver, .. } = outcome(&mut world, &[with("igb_uio")]) else { panic!() };
    assert_eq!(driver, "igb_uio");
    assert!(!world.made.iter().any(|step| step.contains("ena")), "{:?}", world.made);
    world.settle(&[]);
    assert_eq!(world.device(1).driver.as_deref(), Some("ena"));
}

#[test]
fn a_new_eniattachment_of_the_same_eni_takes_the_binding_over() {
    let mut world = bound();
    let wanted = WantedEni { name: "again".to_owned(), uid: "uid-9".to_owned(), ..dpdk_eni(1) };
    assert!(matches!(world.settle(&[wanted]).remove("again"), Some(Outcome::Bound { .. })));
    assert_eq!(world.made, ["record device 0000:00:06.0 in the ledger"]);
    assert_eq!(world.bindings.at(&address(1)).unwrap().uid, "uid-9");
}

#[test]
fn a_status_without_its_mac_address_keeps_the_device_bound() {
    let mut world = bound();
    assert!(matches!(outcome(&mut world, &[WantedEni { mac: None, ..dpdk_eni(1) }]), Outcome::Bound { .. }));
}

#[test]
fn several_devices_move_side_by_side() {
    let mut world = World::new();
    let wanted = [dpdk_eni(1), dpdk_eni(2)];
    world.faults.hangs.insert(address(1));
    let outcomes = world.settle(&wanted);
    assert!(matches!(outcomes["eni-2"], Outcome::Bound { .. }));
    assert!(matches!(outcomes[NAME], Outcome::Blocked(Obstacle::Dpdk(DpdkObstacle::InProgress(_)))));
}

/// The agent ends after the last step and before its report is written. Its ledger has no entry of the device then.
#[test]
fn a_device_that_was_given_back_before_the_agent_ended_is_still_reported() {
    let mut world = bound();
    world.settle(&[]);
    assert_eq!(world.plan(&[]).reports, []);
    let reported = ReportedDevice { attachment: NAME.to_owned(), uid: "uid-1".to_owned(), mac: mac(1) };
    world.reported = vec![reported];
    let restored = Outcome::Restored { device: "0000:00:06.0".to_owned() };
    let report = world.plan(&[]).reports.remove(0);
    assert_eq!((report.attachment.as_str(), report.mac, &report.outcome), (NAME, Some(mac(1)), &restored));
    assert_eq!(report.link.and_then(|link| link.driver).as_deref(), Some("ena"));
    // It is said of no device that a program may have: it has no link.
    let mut world = bound();
    world.reported = vec![ReportedDevice { attachment: NAME.to_owned(), uid: "uid-1".to_owned(), mac: mac(1) }];
    world.bindings = Bindings::default();
    assert_eq!(world.plan(&[]).reports, []);
}
