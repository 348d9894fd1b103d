//! Properties of the plan on random nodes: from any state that a crash can leave, the steps end, each device is where it was asked to be
//! or a reason says why not, and no device of others is touched.

use super::bindings::Binding;
use super::driver::{DpdkDriver, NotADpdkDriver};
use super::model::{Faults, World, address, dpdk_eni};
use super::obstacle::DpdkObstacle;
use crate::ledger::LedgerEntry;
use crate::node::Route;
use crate::plan::model::{foreign_default, mac};
use crate::plan::report::{Obstacle, Outcome};
use crate::wanted::{WantedDpdk, WantedEni};
use proptest::prelude::*;
use std::time::Duration;

/// How a device is found at the start.
#[derive(Debug, Clone)]
struct Found {
    driver: Option<&'static str>,
    driver_override: Option<&'static str>,
    has_binding: bool,
    rolling_back: bool,
    original: Option<&'static str>,
    has_link_entry: bool,
    has_foreign_route: bool,
}

fn found() -> impl Strategy<Value = Found> {
    let driver =
        prop_oneof![3 => Just(Some("ena")), 1 => Just(None), 1 => Just(Some("vfio-pci")), 1 => Just(Some("igb_uio"))];
    let driver_override =
        prop_oneof![3 => Just(None), 1 => Just(Some("vfio-pci")), 1 => Just(Some("ena")), 1 => Just(Some("gone"))];
    let original = prop_oneof![3 => Just(Some("ena")), 1 => Just(None), 1 => Just(Some("unloaded"))];
    let rest = (any::<bool>(), any::<bool>(), any::<bool>(), prop::bool::weighted(0.1));
    (driver, driver_override, original, rest).prop_map(
        |(driver, driver_override, original, (has_binding, rolling_back, has_link_entry, has_foreign_route))| Found {
            driver,
            driver_override,
            has_binding,
            rolling_back: rolling_back && has_binding,
            original,
            has_link_entry: has_link_entry && driver == Some("ena") && !has_binding,
            has_foreign_route,
        },
    )
}

fn wanted(number: u8) -> impl Strategy<Value = WantedEni> {
    let driver = prop_oneof![
        3 => Just(Ok(DpdkDriver::VfioPci)),
        1 => Just(Ok(DpdkDriver::IgbUio)),
        1 => Just(Err(NotADpdkDriver("x".to_owned()))),
    ];
    let pci_address = prop_oneof![4 => Just(None), 1 => Just(Some(address(number))), 1 => Just(Some(address(0)))];
    (driver, pci_address, prop::bool::weighted(0.8), prop::bool::weighted(0.1)).prop_map(
        move |(driver, pci_address, is_dpdk, is_unusable)| WantedEni {
            dpdk: is_dpdk.then_some(WantedDpdk { driver, pci_address }),
            unusable: is_unusable.then(|| "why".to_owned()),
            ..dpdk_eni(number)
        },
    )
}

fn some_wanted() -> impl Strategy<Value = Vec<WantedEni>> {
    (
        proptest::option::weighted(0.8, wanted(1)),
        proptest::option::weighted(0.8, wanted(2)),
        proptest::option::weighted(0.8, wanted(3)),
    )
        .prop_map(|(a, b, c)| [a, b, c].into_iter().flatten().collect())
}

fn faults() -> impl Strategy<Value = Faults> {
    let numbers = || prop::collection::btree_set(1..4_u8, 0..2);
    let refusing = prop::collection::btree_set(prop_oneof![Just("vfio-pci"), Just("igb_uio"), Just("ena")], 0..2);
    let thief = prop_oneof![6 => Just(None), 1 => Just(Some("nvme")), 1 => Just(Some("uio_pci_generic"))];
    (numbers(), numbers(), numbers(), refusing, thief, any::<bool>()).prop_map(
        |(held, hangs, lost, refusing, thief, no_modules)| Faults {
            held: held.into_iter().map(address).collect(),
            hangs: hangs.into_iter().map(address).collect(),
            lost_links: lost.into_iter().map(address).collect(),
            refusing: refusing.into_iter().map(str::to_owned).collect(),
            thief: thief.map(str::to_owned),
            no_modules,
        },
    )
}

/// A world in which the devices of the ENIs 1 to 3 are as found.
fn world(found: &[Found], iommu: bool, modules: bool, may: (bool, bool)) -> World {
    let mut world = World::new();
    if !iommu {
        world.pci.devices.values_mut().for_each(|device| device.iommu_group = None);
    }
    if !modules {
        world.pci.drivers.remove("igb_uio");
    }
    (world.settings.enable_no_iommu, world.settings.load_modules) = may;
    for (number, found) in (1..4_u8).zip(found) {
        let device = world.device(number);
        device.driver = found.driver.map(str::to_owned);
        device.driver_override = found.driver_override.map(str::to_owned);
        if found.driver != Some("ena") {
            device.links.clear();
            world.node.links.retain(|link| link.permanent_mac != Some(mac(number)));
        }
        if found.has_binding {
            let eni = dpdk_eni(number);
            world.bindings.remember(Binding {
                pci_address: address(number),
                mac: mac(number),
                eni_id: eni.eni_id,
                attachment: eni.name,
                uid: eni.uid,
                vendor: None,
                device: None,
                original_driver: found.original.map(str::to_owned),
                driver: "vfio-pci".to_owned(),
                rolling_back: found.rolling_back.then(|| "crash".to_owned()),
            });
        }
        if found.has_link_entry {
            world.links.remember(LedgerEntry {
                mac: mac(number),
                uid: None,
                parent_device: None,
                was_up: false,
                mtu_before: 1500,
                accept_ra_before: None,
                mtu: None,
                alt_names: Vec::new(),
                addresses: Vec::new(),
            });
        }
        if found.has_foreign_route {
            let index = u32::from(number) + 2;
            world.node.routes.push(Route { destination: "10.77.0.0/16".parse().unwrap(), ..foreign_default(index) });
        }
    }
    world
}

/// Whether the agent can know whose device this is.
fn is_known(found: &Found) -> bool {
    found.has_binding || found.driver == Some("ena")
}

fn some_world() -> impl Strategy<Value = (Vec<Found>, World)> {
    let bools = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (prop::collection::vec(found(), 3), bools).prop_map(|(found, (iommu, modules, a, b))| {
        let world = world(&found, iommu, modules, (a, b));
        (found, world)
    })
}

proptest! {
    #[test]
    fn the_steps_end_with_a_driver_or_a_reason_and_others_are_untouched(
        (found, mut world) in some_world(), faults in faults(), first in some_wanted(), second in some_wanted(), restarts in any::<bool>(),
    ) {
        let others = |world: &World| {
            let of_others = |number: u8| world.pci.devices.get(&address(number)).cloned();
            let unknown: Vec<_> = (1..4_u8).zip(&found).filter(|(_, found)| !is_known(found)).map(|(n, _)| of_others(n)).collect();
            (of_others(0), of_others(9), unknown)
        };
        let before = others(&world);
        world.faults = faults;
        for wanted in [&first, &second, &first] {
            let outcomes = world.settle(wanted);
            prop_assert_eq!(&others(&world), &before);
            for eni in wanted {
                let outcome = outcomes.get(&eni.name);
                if let Some(Outcome::Bound { driver, .. }) = outcome {
                    let asked = eni.dpdk.as_ref().and_then(|dpdk| dpdk.driver.clone().ok()).map(|driver| driver.name());
                    prop_assert_eq!(asked, Some(driver.as_str()));
                }
            }
            world.now += Duration::from_secs(700);
            if restarts {
                // A new process knows what is in the ledger and in sysfs alone. What hung has ended with it.
                world.attempts = Default::default();
            }
        }
    }

    #[test]
    fn without_faults_each_device_is_where_it_was_asked_to_be_and_goes_back_in_the_end(
        (found, mut world) in some_world(), first in some_wanted(), second in some_wanted(),
    ) {
        for wanted in [&first, &second] {
            world.now += Duration::from_secs(700);
            let outcomes = world.settle(wanted);
            for eni in wanted.iter().filter(|eni| eni.unusable.is_none()) {
                let number = u8::try_from(eni.index).unwrap();
                let device = world.pci.devices[&address(number)].clone();
                match (&eni.dpdk, outcomes.get(&eni.name)) {
                    (Some(_), Some(Outcome::Bound { driver, .. })) => {
                        prop_assert_eq!(device.driver.as_ref(), Some(driver));
                        prop_assert_eq!(device.driver_override, None);
                        prop_assert!(world.bindings.at(&address(number)).is_some());
                    }
                    (Some(_), Some(Outcome::Blocked(obstacle))) => {
                        let is_of_steps = matches!(obstacle, Obstacle::Dpdk(DpdkObstacle::InProgress(_) | DpdkObstacle::RestoreFailed(_)));
                        prop_assert!(!is_of_steps, "{}", obstacle);
                    }
                    (Some(_), None) => prop_assert!(!is_known(&found[usize::from(number) - 1])),
                    (Some(_), Some(outcome)) => prop_assert!(false, "{:?}", outcome),
                    (None, outcome) => {
                        prop_assert_eq!(outcome, None);
                        prop_assert!(world.bindings.at(&address(number)).is_none());
                    }
                }
            }
        }
        world.now += Duration::from_secs(700);
        world.settle(&[]);
        prop_assert_eq!(&world.bindings.devices, &[]);
        for (number, found) in (1..4_u8).zip(&found).filter(|(_, found)| is_known(found)) {
            let device = world.device(number);
            prop_assert_eq!(device.driver.as_deref(), Some("ena"));
            // An override that somebody else left on a device that the agent never changed stays.
            prop_assert!(device.driver_override.is_none() || !found.has_binding);
        }
    }
}
