//! Tests of `removal-pace`: how many nodes lose ENIs by labels and edits.

use super::rollout::fleet;
use super::*;
use multi_eni_api::names::ANNOTATION_ALLOW_REMOVALS;

/// The time at which neither an outdated view nor an earlier spec excuses anything.
const LONG_AFTER: Millis = LATER + 160_000;

/// A typo in the selector: no Node has its labels. Only so many Nodes may lose ENIs within the window.
fn mistyped(nodes: usize, max_removals: &Value) -> World {
    let mut world = fleet(nodes);
    for n in 1..=nodes {
        let said = condition("Attached", "True", "Attached");
        world.writes(SETTLED, REPLICA, "eniattachments", &format!("h{n}-1"), ["status", "conditions"], said);
    }
    let mut object = world.objects[&("nodeenis", NODEENI.to_owned())].clone();
    object["metadata"]["generation"] = json!(2);
    object["spec"]["nodeSelector"] = json!({ "ng": "z" });
    object["spec"]["rollout"] = json!({ "maxRemovals": max_removals });
    world.stores(SETTLED + 1, KUBECTL, "nodeenis", object);
    holds(&world);
    world
}

/// Replicas remove the ENIs of these Nodes at these times.
fn removes(world: &mut World, nodes: &[(Millis, &str, usize)]) {
    for (after, actor, n) in nodes {
        world.deletes(LONG_AFTER + after, actor, "eniattachments", &format!("h{n}-1"));
    }
}

#[test]
fn more_nodes_within_the_window_than_allowed_break_removal_pace() {
    let two = [(1_000, REPLICA, 1), (2_000, REPLICA, 2)];
    for most in [json!(2), json!("40%"), json!("59%")] {
        let mut world = mistyped(4, &most);
        removes(&mut world, &two);
        holds(&world);
        removes(&mut world, &[(3_000, REPLICA, 3)]);
        breaks(
            &world,
            Invariant::RemovalPace,
            "a1 deletes h3-1: 3 nodes lose ENIs of e1 within 150 s, and at most 2 may",
        );
    }
    // Removals of all leaders count, because the status counts them.
    let mut another = mistyped(4, &json!(1));
    removes(&mut another, &[(1_000, REPLICA, 1), (2_000, "b1", 2)]);
    breaks(&another, Invariant::RemovalPace, "b1 deletes h2-1: 2 nodes lose ENIs of e1");
    // Without a maximum ten nodes may lose ENIs, and of two hundred twenty.
    let mut few = mistyped(4, &Value::Null);
    removes(&mut few, &[(1, REPLICA, 1), (2, REPLICA, 2), (3, REPLICA, 3), (4, REPLICA, 4)]);
    holds(&few);

    // The window is over.
    let mut later = mistyped(4, &json!(2));
    removes(&mut later, &two);
    removes(&mut later, &[(300_000, REPLICA, 3), (300_001, REPLICA, 4)]);
    holds(&later);
}

#[test]
fn removals_that_are_not_paced_break_nothing() {
    // Someone else removed the first.
    let mut by_hand = mistyped(4, &json!(1));
    removes(&mut by_hand, &[(1_000, KUBECTL, 1), (2_000, REPLICA, 2)]);
    holds(&by_hand);

    // The Node is gone, or being deleted.
    let mut gone = mistyped(4, &json!(1));
    gone.lets_go(LATER, KUBECTL, "nodes", "n1");
    gone.deletes(LATER, KUBECTL, "nodes", "n2");
    removes(&mut gone, &[(1_000, REPLICA, 1), (2_000, REPLICA, 2), (3_000, REPLICA, 3)]);
    holds(&gone);
    removes(&mut gone, &[(4_000, REPLICA, 4)]);
    breaks(&gone, Invariant::RemovalPace, "2 nodes lose ENIs of e1");

    // The whole NodeENI is deleted.
    let mut all = mistyped(4, &json!(1));
    all.deletes(LATER, KUBECTL, "nodeenis", NODEENI);
    removes(&mut all, &[(1_000, REPLICA, 1), (2_000, REPLICA, 2)]);
    holds(&all);

    // Someone allows all removals, by an annotation that must name the current generation.
    for (generation, holds_on) in [("2", true), ("1", false)] {
        let mut released = mistyped(4, &json!(1));
        let annotation = json!({ ANNOTATION_ALLOW_REMOVALS: generation });
        released.writes(LATER, KUBECTL, "nodeenis", NODEENI, ["metadata", "annotations"], annotation);
        removes(&mut released, &[(1_000, REPLICA, 1), (2_000, REPLICA, 2)]);
        assert_eq!(released.state.breach.is_none(), holds_on, "generation {generation}");
    }

    // They are replaced, which `max-unavailable` judges.
    let mut replaced = fleet(3);
    for n in 1..=3 {
        let said = condition("Attached", "True", "Attached");
        replaced.writes(SETTLED, REPLICA, "eniattachments", &format!("h{n}-1"), ["status", "conditions"], said);
    }
    let mut object = replaced.objects[&("nodeenis", NODEENI.to_owned())].clone();
    object["spec"]["deviceIndex"] = json!(2);
    object["spec"]["rollout"] = json!({ "maxRemovals": 1, "maxUnavailable": 9 });
    replaced.stores(SETTLED + 1, KUBECTL, "nodeenis", object);
    removes(&mut replaced, &[(1_000, REPLICA, 1), (2_000, REPLICA, 2)]);
    holds(&replaced);
}
