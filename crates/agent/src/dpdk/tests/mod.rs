//! Each behaviour of the plan, by example.

mod conditions;
mod failures;
mod other_hands;
mod there_and_back;

use super::model::{World, dpdk_eni};
use super::plan::Verdict;
use crate::plan::report::Outcome;
use crate::wanted::{WantedDpdk, WantedEni};

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
