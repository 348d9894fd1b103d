//! A device that the agent does not find as it left it: after a crash, a reboot, upstream, or somebody else.

use super::{bound, left, outcome, reason};
use crate::dpdk::bindings::Bindings;
use crate::dpdk::driver::DpdkDriver;
use crate::dpdk::model::{World, address, dpdk_eni};
use crate::dpdk::upstream::UpstreamBinding;
use crate::node::Link;
use crate::plan::model::{eni, new_link};
use crate::plan::report::Outcome;
use crate::wanted::{WantedDpdk, WantedEni};
use multi_eni_api::node_config::NodeMode;
use std::time::Duration;

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
