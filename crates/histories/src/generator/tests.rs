//! Tests that the generator draws everything that it should: a history without an operation tests nothing of it.

use super::fleet::Fleet;
use super::{MIN_DISTURBANCES, script};
use crate::script::{Event, Fault, HandChange, Operation, Script};
use fastrand::Rng;
use std::collections::{BTreeMap, BTreeSet};

/// Lists the names of all variants of an enum. The match makes the compiler ask for a new variant, and the tests use the list.
macro_rules! variants {
    ($all:ident, $name:ident, $of:ident: $($variant:ident),+ $(,)?) => {
        const $all: &[&str] = &[$(stringify!($variant)),+];

        fn $name(value: &$of) -> &'static str {
            match value {
                $($of::$variant { .. } => stringify!($variant)),+
            }
        }
    };
}

variants!(
    OPERATIONS, operation, Operation:
    Join, Initialize, JoinUnsupported, Leave, Terminate, Twin, ZoneLabel, LeftOut, Halt, Boot, Label, Drain, Drained, Heartbeat,
    Apply, Remove, DeleteAttachment, StripAttachment, Annotate, ReconcileAt,
    HandDetach, HandDelete, HandMove, HandChange, CniAttach, OtherCluster, Upstream, PodStarts, PodEnds, CniRelease,
    CniGrows, CniShrinks,
    Quota, Crowd, Uncrowd, RemakeGroup, RenameSubnet, Deny, Allow, RefuseCalls,
    Kill, Stop, Elsewhere, RoleSwap, Pause, ClockStep, Partition, StaleWatch,
    BreakWatches, Compact, RestartApi, Forbid, Refuse,
);

variants!(
    HAND_CHANGES, hand_change, HandChange:
    Untag, UntagCluster, UntagAttachment, Rename, Describe, Groups, SourceDestCheck, ConnectionTracking,
    DeleteOnTermination,
);

variants!(
    FAULTS, fault, Fault:
    CrashBefore, CrashInside, Throttle, ServerError, Unavailable, Unreachable, LoseAnswer, Hang, Garble, Late,
    SlowAnswer, StuckUntilDetached, StuckUntilForced, SlowTransition, StaleRead, ExpiredPage, ExpiredCredentials,
    Unauthorized, Interfere, Gone,
);

/// When the first events are over: `Fleet::enter` has none after 15 s, and disturbances begin after 20 s.
const ENTERED: u64 = 20_000;

/// Enough seeds that rare operations are in some.
const SEEDS: u64 = 2_000;

fn scripts() -> impl Iterator<Item = Script> {
    (0..SEEDS).map(script)
}

/// The names of `all` that are not in `drawn`.
fn lacking(all: &[&'static str], drawn: &BTreeSet<&'static str>) -> Vec<&'static str> {
    all.iter().copied().filter(|name| !drawn.contains(name)).collect()
}

#[test]
fn every_history_has_its_nodes_its_nodeenis_and_its_disturbances() {
    for script in scripts() {
        let seed = script.seed;
        let (entry, after): (Vec<_>, Vec<_>) = script.events.iter().partition(|event| event.at < ENTERED);
        let joined: BTreeSet<&String> = entry
            .iter()
            .filter_map(|event| if let Operation::Join { node, .. } = &event.operation { Some(node) } else { None })
            .collect();
        let applied: BTreeSet<&String> = entry
            .iter()
            .filter_map(|event| if let Operation::Apply { name, .. } = &event.operation { Some(name) } else { None })
            .collect();
        // A heartbeat is no disturbance.
        let disturbances = after.iter().filter(|event| !matches!(event.operation, Operation::Heartbeat { .. })).count();
        assert!(joined.len() >= 10, "seed {seed}: {} nodes", joined.len());
        assert!(applied.len() >= 2, "seed {seed}: {} NodeENIs", applied.len());
        assert!(disturbances >= MIN_DISTURBANCES, "seed {seed}: {disturbances} disturbances");
    }
}

#[test]
fn the_first_events_are_not_counted_as_disturbances() {
    let last = |seed| {
        let mut rng = Rng::with_seed(seed);
        let entry = Fleet::new(2, 1, true).enter(&mut rng, true);
        entry.iter().map(|event| event.at).max()
    };
    let last = (0..SEEDS).filter_map(last).max();
    assert!(last.is_some_and(|last| last < ENTERED), "{last:?}");
}

#[test]
fn every_operation_is_drawn_as_a_disturbance_by_some_seed() {
    let (mut operations, mut changes) = (BTreeSet::new(), BTreeSet::new());
    for event in scripts().flat_map(|script| script.events).filter(|event| event.at >= ENTERED) {
        operations.insert(operation(&event.operation));
        if let Operation::HandChange { change, .. } = &event.operation {
            changes.insert(hand_change(change));
        }
    }
    assert_eq!(lacking(OPERATIONS, &operations), Vec::<&str>::new());
    assert_eq!(lacking(HAND_CHANGES, &changes), Vec::<&str>::new());
}

#[test]
fn operations_with_two_variants_are_drawn_in_both() {
    let mut outcomes: BTreeMap<&str, BTreeSet<bool>> = BTreeMap::new();
    for script in scripts() {
        let (mut instances, mut removed) = (BTreeMap::new(), BTreeSet::new());
        for Event { at, operation } in script.events {
            let (what, so) = match operation {
                Operation::Join { node, instance, .. } => match instances.insert(node, instance.clone()) {
                    Some(before) => ("a Node comes back on its instance", before == instance),
                    None => ("a Node comes after the entry", at >= ENTERED),
                },
                Operation::Apply { name, .. } => ("a NodeENI comes back", removed.contains(&name)),
                Operation::Leave { terminate, .. } => ("an instance goes with its Node", terminate),
                Operation::Partition { kube, .. } => ("the API server is out of reach", kube),
                Operation::Forbid { reads, .. } => ("reads are forbidden", reads),
                Operation::Upstream { listed, .. } => ("upstream lists its ENI", listed),
                Operation::Quota { room } => ("the quota is used up", room == Some(0)),
                Operation::Remove { name } => {
                    removed.insert(name);
                    continue;
                }
                _ => continue,
            };
            outcomes.entry(what).or_default().insert(so);
        }
    }
    let one_sided: Vec<_> = outcomes.iter().filter(|(_, so)| so.len() < 2).collect();
    assert!(outcomes.len() == 8 && one_sided.is_empty(), "{outcomes:?}");
}

#[test]
fn every_fault_has_a_rate_with_some_seed() {
    let drawn: BTreeSet<&str> = scripts()
        .flat_map(|script| script.trouble.rates)
        .filter(|(_, rate)| *rate > 0)
        .map(|(drawn, _)| fault(&drawn))
        .collect();
    assert_eq!(lacking(FAULTS, &drawn), Vec::<&str>::new());
}
