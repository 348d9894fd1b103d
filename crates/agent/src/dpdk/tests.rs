//! Each behaviour of the plan, by example.

use super::bindings::Bindings;
use super::driver::{DpdkDriver, NotADpdkDriver};
use super::model::{World, address, dpdk_eni};
use super::obstacle::DpdkObstacle;
use super::pci::IommuGroup;
use super::planner::Verdict;
use super::step::{DeviceStep, DpdkStep};
use super::upstream::UpstreamBinding;
use crate::node::{Address, Link, Route};
use crate::plan::model::{OURS, eni, foreign_default, mac, new_link};
use crate::plan::report::{Obstacle, Outcome};
use crate::wanted::{WantedDpdk, WantedEni};
use multi_eni_api::node_config::NodeMode;
use std::time::Duration;

const NAME: &str = "eni-1";

fn with(driver: &str) -> WantedEni {
    WantedEni { dpdk: Some(WantedDpdk { driver: driver.parse(), pci_address: None }), ..dpdk_eni(1) }
}

fn outcome(world: &mut World, wanted: &[WantedEni]) -> Outcome {
    world.settle(wanted).remove(NAME).unwrap()
}

fn reason(world: &mut World, wanted: &[WantedEni]) -> &'static str {
    match outcome(world, wanted) {
        Outcome::Blocked(obstacle) => obstacle.reason(),
        other => panic!("{other:?}"),
    }
}

/// A world with the ENI bound.
fn bound() -> World {
    let mut world = World::new();
    let is_bound = matches!(outcome(&mut world, &[dpdk_eni(1)]), Outcome::Bound { .. });
    assert!(is_bound);
    world.made.clear();
    world
}

/// Asserts that the ENI is left as it is, for this reason.
#[track_caller]
fn left(world: &mut World, wanted: &[WantedEni], expected: &str) {
    let (pci, bindings) = (world.pci.clone(), world.bindings.clone());
    assert_eq!(reason(world, wanted), expected);
    assert_eq!((&world.pci, &world.bindings), (&pci, &bindings), "the node is untouched");
    assert_eq!(world.plan(wanted).verdicts.get(&wanted[0].uid), Some(&Verdict::Leave));
}

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
fn what_a_user_should_know_of_a_bound_device_is_said() {
    let mut world = bound();
    world.device(1).iommu_group = Some(IommuGroup { number: "0".to_owned(), is_noiommu: true });
    let Outcome::Bound { note: Some(note), .. } = outcome(&mut world, &[dpdk_eni(1)]) else { panic!() };
    assert!(note.contains("without an IOMMU"), "{note}");
    let mut world = World::new();
    world.pci.write_combining = Some(false);
    let Outcome::Bound { note: Some(note), .. } = outcome(&mut world, &[with("igb_uio")]) else { panic!() };
    assert!(note.contains("wc_activate"), "{note}");
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
fn a_driver_that_refuses_the_device_costs_the_link_for_a_moment() {
    let mut world = World::new();
    world.faults.refusing.insert("vfio-pci".to_owned());
    let Outcome::Blocked(obstacle) = outcome(&mut world, &[dpdk_eni(1)]) else { panic!() };
    assert_eq!(obstacle.reason(), "BindFailed");
    assert!(obstacle.to_string().contains("no driver has taken the device"), "{obstacle}");
    let device = world.device(1).clone();
    assert_eq!((device.driver.as_deref(), device.driver_override), (Some("ena"), None));
    assert!(!device.links.is_empty());
    // It is not tried again at once, also not by each turn of the agent.
    let made = world.made.len();
    assert_eq!(reason(&mut world, &[dpdk_eni(1)]), "BindFailed");
    assert_eq!(world.made.len(), made);
    world.faults.refusing.clear();
    world.now += Duration::from_secs(301);
    assert!(matches!(outcome(&mut world, &[dpdk_eni(1)]), Outcome::Bound { .. }));
}

#[test]
fn another_driver_that_takes_the_device_is_no_success() {
    let mut world = World::new();
    world.faults.thief = Some("nvme".to_owned());
    assert_eq!(reason(&mut world, &[dpdk_eni(1)]), "BindFailed");
    // On the way back, a driver for DPDK that claims the ID of the device does not get it: driver_override names ena.
    let mut world = bound();
    world.faults.thief = Some("uio_pci_generic".to_owned());
    world.settle(&[]);
    assert!(world.bindings.at(&address(1)).is_some(), "it is not forgotten");
}

#[test]
fn a_device_that_a_process_holds_keeps_its_driver_and_says_who() {
    let mut world = bound();
    world.faults.held.insert(address(1));
    let Outcome::Blocked(obstacle) = outcome(&mut world, &[eni(1)]) else { panic!() };
    assert_eq!((obstacle.reason(), obstacle.to_string().as_str()), ("DeviceHeld", "process 7"));
    assert_eq!(world.device(1).driver.as_deref(), Some("vfio-pci"));
    // An ENIAttachment that is being deleted says it as well.
    world.now += Duration::from_secs(10);
    assert_eq!(reason(&mut world, &[]), "DeviceHeld");
    world.faults.held.clear();
    world.now += Duration::from_secs(300);
    world.settle(&[]);
    assert_eq!((world.device(1).driver.clone(), world.bindings), (Some("ena".to_owned()), Bindings::default()));
}

#[test]
fn an_unbind_that_does_not_return_is_reported_after_the_deadline_and_nothing_else_is_tried() {
    let mut world = bound();
    world.faults.hangs.insert(address(1));
    assert_eq!(reason(&mut world, &[]), "DriverChanging");
    world.now += Duration::from_secs(31);
    let made = world.made.len();
    assert_eq!(reason(&mut world, &[]), "DeviceHeld");
    assert_eq!(reason(&mut world, &[dpdk_eni(1)]), "DeviceHeld");
    assert_eq!(world.made.len(), made);
    world.pci.unseen_processes = 2;
    let Outcome::Blocked(obstacle) = outcome(&mut world, &[]) else { panic!("the device is held") };
    assert!(obstacle.to_string().contains("cannot see the files of 2 processes: DAC_READ_SEARCH"), "{obstacle}");
    // The process lets go. By now the ENI is wanted bound again.
    let unbind = DeviceStep::Unbind("vfio-pci".to_owned());
    assert_eq!(world.attempts.finish(&address(1), &Ok(()), world.now), Some(unbind));
    world.device(1).driver = None;
    world.faults.hangs.clear();
    assert!(matches!(outcome(&mut world, &[dpdk_eni(1)]), Outcome::Bound { .. }));
}

#[test]
fn a_device_that_the_kernel_has_locked_is_left_alone() {
    let mut world = bound();
    (world.device(1).driver, world.device(1).is_locked) = (None, true);
    for wanted in [vec![], vec![eni(1)], vec![dpdk_eni(1)]] {
        assert_eq!(reason(&mut world, &wanted), "DeviceHeld");
    }
    assert_eq!(world.made, Vec::<String>::new());
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
fn after_a_crash_between_any_two_steps_the_next_process_goes_on() {
    for crash in 1..5 {
        let mut world = World::new();
        for _ in 0..crash {
            world.round(&[dpdk_eni(1)]);
        }
        world.attempts = Default::default();
        let mut other = world.clone();
        assert!(matches!(outcome(&mut world, &[dpdk_eni(1)]), Outcome::Bound { .. }), "{crash}");
        other.settle(&[]);
        assert_eq!(other.device(1).driver.as_deref(), Some("ena"), "{crash}");
        assert_eq!((other.device(1).driver_override.clone(), other.bindings), (None, Bindings::default()), "{crash}");
    }
}

#[test]
fn after_a_reboot_the_device_is_bound_again() {
    let mut world = bound();
    // The ledger of another boot counts for nothing, and the kernel has bound its own driver.
    let rebooted = World { bindings: Bindings::of_boot("boot-2"), attempts: Default::default(), ..World::new() };
    world = World { made: world.made, ..rebooted };
    assert!(matches!(outcome(&mut world, &[dpdk_eni(1)]), Outcome::Bound { .. }));
}

#[test]
fn the_agent_does_not_fight_with_a_program_that_gives_the_device_back() {
    let mut world = bound();
    let wanted = [dpdk_eni(1)];
    let give_back = |world: &mut World| {
        world.node.links.push(new_link(1));
        let link = new_link(1).name;
        (world.device(1).driver, world.device(1).links) = (Some("ena".to_owned()), vec![link]);
    };
    give_back(&mut world);
    assert!(matches!(outcome(&mut world, &wanted), Outcome::Bound { .. }), "once is no fight");
    for wait in [1, 2, 4] {
        give_back(&mut world);
        assert_eq!(reason(&mut world, &wanted), "DriverChanging");
        assert_eq!(world.device(1).driver.as_deref(), Some("ena"));
        world.now += Duration::from_secs(wait);
        assert!(matches!(outcome(&mut world, &wanted), Outcome::Bound { .. }));
    }
}

#[test]
fn a_device_that_somebody_gave_back_to_the_kernel_is_bound_again() {
    let mut world = bound();
    let fresh = World::new();
    (world.pci, world.node) = (fresh.pci, fresh.node);
    assert!(matches!(outcome(&mut world, &[dpdk_eni(1)]), Outcome::Bound { .. }));
}

#[test]
fn a_device_that_is_gone_or_another_one_by_now_is_forgotten_and_not_touched() {
    let mut world = bound();
    world.pci.devices.remove(&address(1));
    world.settle(&[dpdk_eni(1)]);
    assert_eq!(world.bindings, Bindings::default());
    // In the same slot is another ENI.
    let mut world = bound();
    let fresh = World::new();
    world.pci = fresh.pci;
    let parent_device = new_link(1).parent_device;
    world.node.links.push(Link { parent_device, index: 60, ..new_link(7) });
    let pci = world.pci.clone();
    world.settle(&[dpdk_eni(1)]);
    assert_eq!((world.bindings.devices.len(), world.pci), (0, pci));
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

/// A world in which upstream has bound the device of the ENI.
fn of_upstream() -> World {
    let mut world = bound();
    world.bindings = Bindings::default();
    world.upstream = vec![UpstreamBinding { eni_id: "eni-00000001".to_owned(), pci_address: address(1) }];
    world
}

#[test]
fn what_upstream_has_bound_is_adopted_without_a_change() {
    let mut world = of_upstream();
    assert!(matches!(outcome(&mut world, &[dpdk_eni(1)]), Outcome::Bound { .. }));
    assert_eq!(world.made, ["record device 0000:00:06.0 in the ledger"]);
    assert_eq!(world.bindings.at(&address(1)).unwrap().original_driver.as_deref(), Some("ena"));
    // An ENI that is to have a link is given back.
    let mut world = of_upstream();
    world.settle(&[eni(1)]);
    assert_eq!(world.device(1).driver.as_deref(), Some("ena"));
    assert_eq!(world.bindings, Bindings::default());
    // In the mode none the agent leaves everything as it is.
    let mut world = of_upstream();
    assert!(world.settle(&[WantedEni { mode: NodeMode::None, ..eni(1) }]).is_empty());
    assert_eq!(world.made, Vec::<String>::new());
}

#[test]
fn upstreams_file_is_believed_only_if_the_node_agrees() {
    let silent = |mut world: World, wanted: WantedEni| {
        let pci = world.pci.clone();
        assert!(world.settle(&[wanted]).is_empty(), "LinkAbsent is the network's report");
        assert_eq!((world.pci, world.bindings.devices.len()), (pci, 0));
    };
    silent(of_upstream(), WantedEni { eni_id: Some("eni-2".to_owned()), ..dpdk_eni(1) });
    silent(of_upstream(), WantedEni { eni_id: None, ..dpdk_eni(1) });
    silent(of_upstream(), WantedEni { mac: None, ..dpdk_eni(1) });
    // The ENI has a link, so the device in the file is another one by now.
    let mut world = of_upstream();
    world.node.links.push(Link { parent_device: Some("0000:00:0f.0".to_owned()), ..new_link(1) });
    world.settle(&[eni(1)]);
    assert_eq!(world.bindings, Bindings::default());
    // The device works for the kernel by now.
    let mut world = of_upstream();
    world.device(1).driver = Some("ena".to_owned());
    silent(world, dpdk_eni(1));
}

#[test]
fn a_device_that_others_bound_is_named_and_not_adopted() {
    let mut world = of_upstream();
    world.upstream.clear();
    let dpdk = Some(WantedDpdk { driver: Ok(DpdkDriver::VfioPci), pci_address: Some(address(1)) });
    left(&mut world, &[WantedEni { dpdk, ..dpdk_eni(1) }], "NotOurs");
}

#[test]
fn a_restored_device_whose_link_does_not_come_back_is_said() {
    let mut world = bound();
    world.faults.lost_links.insert(address(1));
    assert_eq!(reason(&mut world, &[]), "DriverChanging");
    world.now += Duration::from_secs(31);
    assert_eq!(reason(&mut world, &[]), "LinkNotBack");
    // A link in another network namespace is not taken away from there.
    assert_eq!(reason(&mut world, &[dpdk_eni(1)]), "LinkNotBack");
    assert_eq!(world.device(1).driver.as_deref(), Some("ena"));
}

#[test]
fn a_kernel_driver_that_is_not_loaded_any_more_is_left_to_the_kernel() {
    let mut world = bound();
    let mut binding = world.bindings.at(&address(1)).unwrap().clone();
    binding.original_driver = Some("ena_old".to_owned());
    world.bindings.remember(binding);
    world.settle(&[]);
    assert!(!world.made.iter().any(|step| step.contains("ena_old")), "an override that names no driver leaves none");
    assert_eq!(world.device(1).driver.as_deref(), Some("ena"));
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
fn several_devices_move_side_by_side() {
    let mut world = World::new();
    let wanted = [dpdk_eni(1), dpdk_eni(2)];
    world.faults.hangs.insert(address(1));
    let outcomes = world.settle(&wanted);
    assert!(matches!(outcomes["eni-2"], Outcome::Bound { .. }));
    assert!(matches!(outcomes[NAME], Outcome::Blocked(Obstacle::Dpdk(DpdkObstacle::InProgress(_)))));
}

#[test]
fn an_unknown_driver_says_which_ones_are_known() {
    let obstacle = DpdkObstacle::DriverUnknown(NotADpdkDriver("ena".to_owned()));
    assert!(obstacle.to_string().contains("vfio-pci, igb_uio, uio_pci_generic"));
    let step = DpdkStep::GiveUp { address: address(1), goal: super::step::Goal::Restore, why: "x".to_owned() };
    assert_eq!(step.to_string(), "give up on device 0000:00:06.0 to give it back to the kernel: x");
}
