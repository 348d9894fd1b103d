//! The generation that conditions observe.

use super::*;

fn problem() -> Problem {
    Problem { reason: "WrongPlace", message: "this is another account".into(), node: None }
}

#[track_caller]
fn all_observe(status: &NodeEniStatus, generation: i64, types: &[&str]) {
    let mut found: Vec<&str> = status.conditions.iter().map(|condition| condition.type_.as_str()).collect();
    let mut expected = types.to_vec();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    for condition in &status.conditions {
        assert_eq!(condition.observed_generation, Some(generation), "{}", condition.type_);
    }
}

/// `kubectl wait` compares the generations.
#[test]
fn every_condition_of_a_nodeeni_has_its_generation() {
    let mut edited = nodeeni("a", 1, &["subnet-00000001"]);
    edited.generation = 7;
    let far = refused("far", no_subnet_in_zone("z9", "z1"));
    let hybrid = refused("hybrid", UnassignedReason::Unsupported(crate::observed::Unattachable::Hybrid));
    let pinned = Pinned { nodeeni_uid: "uid-a".into(), node: "n0".into(), name: "n0-1".into(), index: 3, asked: 1 };
    let waits = WaitsForPods { nodeeni_uid: "uid-a".into(), node: "n1".into(), name: "n1-1".into(), pods: None };
    let removals = RemovalPace {
        waiting: BTreeMap::from([("n2".to_owned(), crate::removals::Cause::Deselected)]),
        ..RemovalPace::default()
    };
    let occasional = [
        types::INDEX_PINNED,
        types::WAITING_FOR_PODS,
        types::REMOVAL_PACED,
        types::ZONES_COVERED,
        types::NODES_SUPPORTED,
    ];
    let always = [types::READY, types::PROGRESSING, types::DEGRADED];
    let of = |nodeeni: &NodeEni, previous: &NodeEniStatus, is_so: bool| {
        let attachment = ready("n0");
        let number = if is_so { 2 } else { 0 };
        let none = RemovalPace::default();
        nodeeni_status(Input {
            nodeeni,
            previous,
            attachments: &[&attachment],
            matched: &BTreeSet::from(["n0", "far", "hybrid"]),
            former: &BTreeMap::new(),
            desired: &BTreeMap::from([("n0", 1)]),
            outdated: 0,
            losing: 0,
            undecided: 0,
            refused: &[&far, &hybrid][..number],
            pinned: &[&pinned][..number / 2],
            waiting: &[&waits][..number / 2],
            groups_waits: &[],
            removals: if is_so { &removals } else { &none },
            problems: &[],
            expected: None,
            has_current_report: &|_| true,
            mtu: None,
            now: at(0),
        })
    };
    let status = of(&edited, &NodeEniStatus::default(), true);
    all_observe(&status, 7, &[always.as_slice(), &occasional].concat());
    // After an edit, conditions that are no longer so, and conditions whose text is the same, have the new generation.
    edited.generation = 8;
    all_observe(&of(&edited, &status, false), 8, &[always.as_slice(), &occasional].concat());
    all_observe(&of(&edited, &status, true), 8, &[always.as_slice(), &occasional].concat());
}

#[test]
fn the_conditions_while_nothing_is_decided_have_the_generation() {
    let mut edited = nodeeni("a", 1, &["subnet-00000001"]);
    edited.generation = 7;
    let before = NodeEniStatus::default();
    all_observe(&adopting(&edited, &before, &["n0"], at(0)), 7, &[types::READY, types::PROGRESSING]);
    all_observe(&halted(&edited, &before, &problem(), at(0)), 7, &[types::READY, types::DEGRADED]);
}
