//! That the generator draws all that it promises: a history that lacks something tests nothing of it.

use super::fleet::Fleet;
use super::{LEAST_ACTS, script};
use crate::script::{Event, Fault, HandChange, Operation, Script};
use fastrand::Rng;
use std::collections::{BTreeMap, BTreeSet};

/// Every variant of an enum by name. The match makes the compiler ask for a new one, and the list the tests.
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
    ACTS, act, Operation:
    Join, Leave, Terminate, Twin, ZoneLabel, LeftOut, Halt, Boot, Label, Drain, Drained, Heartbeat,
    Apply, Remove, DeleteAttachment, StripAttachment, Annotate,
    HandDetach, HandDelete, HandMove, HandChange, CniAttach, OtherCluster, Upstream, PodStarts, PodEnds, CniRelease,
    CniGrows, CniShrinks,
    Quota, Crowd, Uncrowd, RemakeGroup, RenameSubnet, Deny, Allow, RefuseCalls,
    Kill, Stop, Elsewhere, RoleSwap, Pause, ClockStep, Partition, StaleWatch,
    BreakWatches, Compact, RestartApi, Forbid, Refuse,
);

variants!(
    HAND_CHANGES, hand_change, HandChange:
    Untag, UntagCluster, UntagAttachment, Rename, Describe, Groups, SourceDestCheck, DeleteOnTermination,
);

variants!(
    FAULTS, fault, Fault:
    CrashBefore, CrashInside, Throttle, ServerError, Unavailable, Unreachable, LoseAnswer, Hang, Garble, Late,
    SlowAnswer, StuckUntilDetached, StuckUntilForced, SlowTransition, StaleRead, ExpiredPage, ExpiredCredentials,
    Unauthorized, Interfere, Gone,
);

/// When the entry is over: `Fleet::enter` says everything before 15 s or at it, and disturbances begin after 20 s.
const ENTERED: u64 = 20_000;

/// Enough that what is rare is in some.
const SEEDS: u64 = 2_000;

fn scripts() -> impl Iterator<Item = Script> {
    (0..SEEDS).map(script)
}

/// What is in the one and not in the other.
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
            .filter_map(|event| if let Operation::Join { node, .. } = &event.act { Some(node) } else { None })
            .collect();
        let applied: BTreeSet<&String> = entry
            .iter()
            .filter_map(|event| if let Operation::Apply { name, .. } = &event.act { Some(name) } else { None })
            .collect();
        // A kubelet's heartbeat disturbs nobody.
        let disturbances = after.iter().filter(|event| !matches!(event.act, Operation::Heartbeat { .. })).count();
        assert!(joined.len() >= 10, "seed {seed}: {} nodes", joined.len());
        assert!(applied.len() >= 2, "seed {seed}: {} NodeENIs", applied.len());
        assert!(disturbances >= LEAST_ACTS, "seed {seed}: {disturbances} disturbances");
    }
}

#[test]
fn nothing_of_the_entry_is_counted_as_a_disturbance() {
    let last = |seed| {
        let mut rng = Rng::with_seed(seed);
        let entry = Fleet::new(2, 1).enter(&mut rng, true);
        entry.iter().map(|event| event.at).max()
    };
    let last = (0..SEEDS).filter_map(last).max();
    assert!(last.is_some_and(|last| last < ENTERED), "{last:?}");
}

#[test]
fn every_act_is_drawn_as_a_disturbance_by_some_seed() {
    let (mut acts, mut changes) = (BTreeSet::new(), BTreeSet::new());
    for event in scripts().flat_map(|script| script.events).filter(|event| event.at >= ENTERED) {
        acts.insert(act(&event.act));
        if let Operation::HandChange { change, .. } = &event.act {
            changes.insert(hand_change(change));
        }
    }
    assert_eq!(lacking(ACTS, &acts), Vec::<&str>::new());
    assert_eq!(lacking(HAND_CHANGES, &changes), Vec::<&str>::new());
}

#[test]
fn acts_that_can_be_two_things_are_both() {
    let mut seen: BTreeMap<&str, BTreeSet<bool>> = BTreeMap::new();
    for script in scripts() {
        let (mut instances, mut removed) = (BTreeMap::new(), BTreeSet::new());
        for Event { at, act } in script.events {
            let (what, so) = match act {
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
            seen.entry(what).or_default().insert(so);
        }
    }
    let one_sided: Vec<_> = seen.iter().filter(|(_, so)| so.len() < 2).collect();
    assert!(seen.len() == 8 && one_sided.is_empty(), "{seen:?}");
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
