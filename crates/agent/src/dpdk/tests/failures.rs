//! Steps that fail, that hang or that have no effect.

use super::{bound, outcome, reason};
use crate::dpdk::bindings::Bindings;
use crate::dpdk::model::{World, address, dpdk_eni};
use crate::dpdk::step::DeviceStep;
use crate::plan::model::eni;
use crate::plan::report::Outcome;
use std::time::Duration;

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
