//! What is taken away: `finalizers-hold`, `nothing-unasked`, `orphans-wait`, `force-waits`.

use super::requests::life;
use super::*;
use crate::environment::POD_ANNOTATION;
use multi_eni_sim::kube::RequestInfo;

/// What somebody changed on the way; nothing by default.
fn nothing(_: &mut World) {}

/// Our ENI is detached and deleted, as it should be.
fn clears(world: &mut World) {
    world.detaches(LATER);
    world.has(LATER, &By::Time, Eni { attachment: None, ..world.eni(ENI) });
    world.has_no(LATER, &by(REPLICA, "DeleteNetworkInterface"), ENI);
}

fn untags(world: &mut World) {
    world.has(LATER, &By::Hand, Eni { tags: BTreeMap::new(), ..world.eni(ENI) });
}

#[test]
fn an_eniattachment_that_goes_before_its_eni_breaks_finalizers_hold() {
    let lets_go = |at, actor, before: fn(&mut World)| {
        let mut world = World::settled();
        world.deletes(LATER, PEOPLE, "eniattachments", HELD);
        before(&mut world);
        world.lets_go(at, actor, "eniattachments", HELD);
        world
    };
    let words = "a1 lets e1-1 go, and its eni-00000001 is still there";
    breaks(&lets_go(LATER, REPLICA, nothing), Promise::FinalizersHold, words);
    holds(&lets_go(LATER, PEOPLE, nothing));
    holds(&lets_go(LATER, REPLICA, clears));
    // No look shows what somebody hid, nor at once what they show again.
    holds(&lets_go(LATER, REPLICA, untags));
    let shows: fn(&mut World) = |world| {
        untags(world);
        world.has(LATER, &By::Hand, tagged(world.eni(ENI), CLUSTER, HELD_UID));
    };
    holds(&lets_go(LATER + 60_000, REPLICA, shows));
    breaks(&lets_go(LATER + 60_001, REPLICA, shows), Promise::FinalizersHold, words);
}

#[test]
fn a_finalizer_counts_though_the_object_stays() {
    let strips = |finalizers: Value| {
        let mut world = World::settled();
        world.writes(LATER, REPLICA, "eniattachments", HELD, ["metadata", "finalizers"], finalizers);
        world
    };
    breaks(&strips(json!(["example.com/another"])), Promise::FinalizersHold, "is still there");
    holds(&strips(json!(["example.com/another", ENIATTACHMENT_FINALIZER])));
}

#[test]
fn a_nodeeni_that_goes_before_its_eniattachment_breaks_finalizers_hold() {
    let lets_go = |actor, cleared: bool| {
        let mut world = World::settled();
        world.deletes(LATER, PEOPLE, "nodeenis", NODEENI);
        if cleared {
            world.deletes(LATER, REPLICA, "eniattachments", HELD);
            clears(&mut world);
            world.lets_go(LATER, REPLICA, "eniattachments", HELD);
        }
        world.lets_go(LATER, actor, "nodeenis", NODEENI);
        world
    };
    breaks(&lets_go(REPLICA, false), Promise::FinalizersHold, "NodeENI e1 go, and its ENIAttachment e1-1 is there");
    holds(&lets_go(PEOPLE, false));
    holds(&lets_go(REPLICA, true));
}

#[test]
fn an_eniattachment_that_comes_when_its_nodeeni_was_already_let_go_breaks_nothing() {
    let comes = |at: Millis| {
        let mut world = World::settled();
        world.deletes(LATER, PEOPLE, "nodeenis", NODEENI);
        world.deletes(LATER, REPLICA, "eniattachments", HELD);
        clears(&mut world);
        let object = world.objects[&("eniattachments", HELD.to_owned())].clone();
        world.lets_go(LATER, REPLICA, "eniattachments", HELD);
        let patch = RequestInfo {
            verb: "patch".to_owned(),
            group: GROUP.to_owned(),
            resource: "nodeenis".to_owned(),
            name: NODEENI.to_owned(),
            ..RequestInfo::default()
        };
        world.state.asks(LATER, &life(1), &patch, b"{}");
        world.stores(at, REPLICA, "eniattachments", object);
        world.lets_go(LATER + 1_000, REPLICA, "nodeenis", NODEENI);
        world
    };
    holds(&comes(LATER));
    breaks(&comes(LATER - 1), Promise::FinalizersHold, "lets NodeENI e1 go, and its ENIAttachment e1-1 is there");
}

/// Changes that make it right to take the ENI away: nothing is unasked after any of them.
const REASONS: [fn(&mut World); 6] = [
    |world| world.writes(SETTLED, PEOPLE, "nodes", NODE, ["metadata", "labels"], json!({ "ng": "y" })),
    |world| world.writes(SETTLED, PEOPLE, "nodeenis", NODEENI, ["spec", "deviceIndex"], json!(2)),
    |world| world.writes(SETTLED, PEOPLE, "nodeenis", NODEENI, ["spec", "privateIPCount"], json!(3)),
    |world| world.deletes(SETTLED, PEOPLE, "nodeenis", NODEENI),
    |world| world.lets_go(SETTLED, PEOPLE, "nodes", NODE),
    // What somebody has just touched, though as it was before, a replica may see otherwise.
    |world| world.has(LATER, &By::Hand, Eni { description: "touched".to_owned(), ..world.eni(ENI) }),
];

#[test]
fn an_eni_that_is_wanted_and_well_is_not_detached() {
    let detaches = |at, before: fn(&mut World)| {
        let mut world = World::settled();
        before(&mut world);
        world.detaches(at);
        world
    };
    breaks(&detaches(LATER, nothing), Promise::NothingUnasked, "of eni-00000001, which is wanted and well");
    holds(&detaches(LATER - 1, nothing));
    holds(&detaches(LATER, |world| world.deletes(SETTLED, PEOPLE, "eniattachments", HELD)));
    for reason in REASONS {
        holds(&detaches(LATER + 1, reason));
    }
}

#[test]
fn an_eniattachment_whose_eni_is_wanted_and_well_is_not_deleted() {
    let deletes = |at, actor, before: fn(&mut World)| {
        let mut world = World::settled();
        before(&mut world);
        world.deletes(at, actor, "eniattachments", HELD);
        world
    };
    breaks(&deletes(LATER, REPLICA, nothing), Promise::NothingUnasked, "a1 deletes e1-1, whose ENI is wanted and well");
    holds(&deletes(LATER, PEOPLE, nothing));
    holds(&deletes(LATER - 1, REPLICA, nothing));
    for reason in REASONS {
        holds(&deletes(LATER + 1, REPLICA, reason));
    }
}

#[test]
fn an_eniattachment_that_a_pod_uses_is_not_deleted_for_its_nodes_labels() {
    let deletes = |started: Millis, waits_for_pods: bool, before: fn(&mut World)| {
        let mut world = World::settled_in(Setting { waits_for_pods, ..Setting::default() });
        let attached = condition("Attached", "True", "Attached");
        world.writes(SETTLED, REPLICA, "eniattachments", HELD, ["status", "conditions"], attached);
        world.writes(SETTLED, PEOPLE, "nodes", NODE, ["metadata", "labels"], json!({ "ng": "y" }));
        let since = json!("2026-01-01T00:00:00Z");
        world.writes(SETTLED, REPLICA, "eniattachments", HELD, ["spec", "deselectedSince"], since);
        let metadata = json!({ "name": "p1", "annotations": { POD_ANNOTATION: NODEENI } });
        world.stores(started, PEOPLE, "pods", json!({ "metadata": metadata, "spec": { "nodeName": NODE } }));
        before(&mut world);
        world.deletes(LATER, REPLICA, "eniattachments", HELD);
        world
    };
    let long_ago = LATER - 100_001;
    breaks(&deletes(long_ago, true, nothing), Promise::NothingUnasked, "a1 deletes e1-1, which Pod p1 uses");
    holds(&deletes(long_ago, false, nothing));
    holds(&deletes(long_ago + 1, true, nothing));
    holds(&deletes(long_ago, true, |world| world.lets_go(LATER, PEOPLE, "pods", "p1")));
    holds(&deletes(long_ago, true, |world| world.deletes(LATER, PEOPLE, "nodeenis", NODEENI)));
    holds(&deletes(long_ago, true, |world| world.lets_go(LATER, PEOPLE, "nodes", NODE)));
}

#[test]
fn an_orphan_is_let_be_for_the_time_of_two_sweeps() {
    let orphaned = |leaving: bool| {
        let mut world = World::settled();
        if leaving {
            world.deletes(LATER, PEOPLE, "eniattachments", HELD);
        }
        world.lets_go(LATER, PEOPLE, "eniattachments", HELD);
        world
    };
    let detaches = |after, leaving| {
        let mut world = orphaned(leaving);
        world.detaches(LATER + after);
        world
    };
    breaks(&detaches(169_999, false), Promise::OrphansWait, "which has had no ENIAttachment since 204000 ms only");
    holds(&detaches(170_000, false));
    // Who was taking it away already goes on.
    holds(&detaches(0, true));
    let deletes = |after, who: &By| {
        let mut world = orphaned(false);
        world.has(LATER, &By::Hand, Eni { attachment: None, ..world.eni(ENI) });
        world.has_no(LATER + after, who, ENI);
        world
    };
    let replica = by(REPLICA, "DeleteNetworkInterface");
    breaks(&deletes(169_999, &replica), Promise::OrphansWait, "a1: DeleteNetworkInterface of eni-00000001");
    holds(&deletes(170_000, &replica));
    holds(&deletes(0, &By::Hand));
}

#[test]
fn nothing_is_detached_by_force_before_its_grace_is_over() {
    let forces = |after, force: bool, skew: i64| {
        let mut world = World::settled_in(Setting { clock_skew: vec![skew], ..Setting::default() });
        world.deletes(LATER, PEOPLE, "eniattachments", HELD);
        world.detaches(LATER);
        let forced = By::Call(Box::new(CallRecord { force, ..call(REPLICA, "DetachNetworkInterface") }));
        world.has(LATER + after, &forced, Eni { attachment: None, ..world.eni(ENI) });
        world
    };
    // 900 s, less 2 s and what clocks may differ.
    breaks(&forces(897_999, true, 0), Promise::ForceWaits, "a1 detaches eni-00000001 by force, 897 s after it began");
    holds(&forces(898_000, true, 0));
    holds(&forces(897_999, false, 0));
    breaks(&forces(797_999, true, -100_000), Promise::ForceWaits, "by force");
    holds(&forces(798_000, true, -100_000));
}

/// The controller was away for hours, or was not allowed to detach.
#[test]
fn the_age_of_a_deletion_is_no_reason_for_force() {
    let forces = |plain: bool, returns: bool, after| {
        let mut world = World::settled();
        world.deletes(SETTLED, PEOPLE, "eniattachments", HELD);
        if plain {
            world.detaches(LATER);
        }
        if returns {
            world.has(LATER + 100_000, &By::Time, on(world.eni(ENI), 1, AttachmentStatus::Attached));
        }
        let forced = By::Call(Box::new(CallRecord { force: true, ..call(REPLICA, "DetachNetworkInterface") }));
        world.has(LATER + after, &forced, Eni { attachment: None, ..world.eni(ENI) });
        world
    };
    breaks(&forces(false, false, 10_000_000), Promise::ForceWaits, "and no plain Detach came first");
    holds(&forces(true, false, 898_000));
    // It came back: the first plain one counts.
    breaks(&forces(true, true, 897_999), Promise::ForceWaits, "897 s after it began");
    holds(&forces(true, true, 898_000));
}
