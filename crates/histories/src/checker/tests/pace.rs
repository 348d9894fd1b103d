//! How many nodes labels and edits take ENIs from: `removal-pace`.

use super::rollout::fleet;
use super::*;
use multi_eni_api::names::ANNOTATION_ALLOW_REMOVALS;

/// When neither an outdated picture nor what an earlier spec allowed excuses anything.
const LONG_AFTER: Millis = LATER + 160_000;

/// A typo in the selector: no Node has its labels, and no more than so many may lose ENIs within the window.
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
    world.stores(SETTLED + 1, PEOPLE, "nodeenis", object);
    holds(&world);
    world
}

/// Replicas remove what these Nodes have at these times.
fn removes(world: &mut World, nodes: &[(Millis, &str, usize)]) {
    for (after, who, n) in nodes {
        world.deletes(LONG_AFTER + after, who, "eniattachments", &format!("h{n}-1"));
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
        breaks(&world, Promise::RemovalPace, "a1 deletes h3-1: 3 nodes lose ENIs of e1 within 150 s, and 2 may");
    }
    // Whoever leads meanwhile: the status counts what has gone.
    let mut another = mistyped(4, &json!(1));
    removes(&mut another, &[(1_000, REPLICA, 1), (2_000, "b1", 2)]);
    breaks(&another, Promise::RemovalPace, "b1 deletes h2-1: 2 nodes lose ENIs of e1");
    // Without a maximum ten may, and of two hundred twenty.
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
fn what_is_not_paced_breaks_nothing() {
    // Somebody else removed the first.
    let mut by_hand = mistyped(4, &json!(1));
    removes(&mut by_hand, &[(1_000, PEOPLE, 1), (2_000, REPLICA, 2)]);
    holds(&by_hand);

    // The Node is gone, or going.
    let mut gone = mistyped(4, &json!(1));
    gone.lets_go(LATER, PEOPLE, "nodes", "n1");
    gone.deletes(LATER, PEOPLE, "nodes", "n2");
    removes(&mut gone, &[(1_000, REPLICA, 1), (2_000, REPLICA, 2), (3_000, REPLICA, 3)]);
    holds(&gone);
    removes(&mut gone, &[(4_000, REPLICA, 4)]);
    breaks(&gone, Promise::RemovalPace, "2 nodes lose ENIs of e1");

    // The whole NodeENI is deleted.
    let mut all = mistyped(4, &json!(1));
    all.deletes(LATER, PEOPLE, "nodeenis", NODEENI);
    removes(&mut all, &[(1_000, REPLICA, 1), (2_000, REPLICA, 2)]);
    holds(&all);

    // A person lets all go: by the annotation that names this generation, not by another one.
    for (generation, holds_on) in [("2", true), ("1", false)] {
        let mut released = mistyped(4, &json!(1));
        let annotation = json!({ ANNOTATION_ALLOW_REMOVALS: generation });
        released.writes(LATER, PEOPLE, "nodeenis", NODEENI, ["metadata", "annotations"], annotation);
        removes(&mut released, &[(1_000, REPLICA, 1), (2_000, REPLICA, 2)]);
        assert_eq!(released.state.breach.is_none(), holds_on, "generation {generation}");
    }

    // They are replaced: that is the rollout's.
    let mut replaced = fleet(3);
    for n in 1..=3 {
        let said = condition("Attached", "True", "Attached");
        replaced.writes(SETTLED, REPLICA, "eniattachments", &format!("h{n}-1"), ["status", "conditions"], said);
    }
    let mut object = replaced.objects[&("nodeenis", NODEENI.to_owned())].clone();
    object["spec"]["deviceIndex"] = json!(2);
    object["spec"]["rollout"] = json!({ "maxRemovals": 1, "maxUnavailable": 9 });
    replaced.stores(SETTLED + 1, PEOPLE, "nodeenis", object);
    removes(&mut replaced, &[(1_000, REPLICA, 1), (2_000, REPLICA, 2)]);
    holds(&replaced);
}
