//! Tests of what replicas take away: `finalizers-hold`, `nothing-unasked`, `orphans-wait`, `force-waits`.

use super::requests::process;
use super::*;
use crate::environment::POD_ANNOTATION;
use multi_eni_api::names::ANNOTATION_DESELECTED_SINCE;
use multi_eni_sim::kube::RequestInfo;

/// Changes nothing.
fn nothing(_: &mut World) {}

/// Detaches and deletes the ENI, as a replica should.
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
        world.deletes(LATER, KUBECTL, "eniattachments", ATTACHMENT);
        before(&mut world);
        world.lets_go(at, actor, "eniattachments", ATTACHMENT);
        world
    };
    let words = "a1 removes the finalizer of e1-1, and its eni-00000001 still exists";
    breaks(&lets_go(LATER, REPLICA, nothing), Invariant::FinalizersHold, words);
    holds(&lets_go(LATER, KUBECTL, nothing));
    holds(&lets_go(LATER, REPLICA, clears));
    // No lookup shows what someone hid, nor at once what they put back.
    holds(&lets_go(LATER, REPLICA, untags));
    let shows: fn(&mut World) = |world| {
        untags(world);
        world.has(LATER, &By::Hand, tagged(world.eni(ENI), CLUSTER, ATTACHMENT_UID));
    };
    holds(&lets_go(LATER + 60_000, REPLICA, shows));
    breaks(&lets_go(LATER + 60_001, REPLICA, shows), Invariant::FinalizersHold, words);
}

#[test]
fn a_finalizer_counts_though_the_object_stays() {
    let strips = |finalizers: Value| {
        let mut world = World::settled();
        world.writes(LATER, REPLICA, "eniattachments", ATTACHMENT, ["metadata", "finalizers"], finalizers);
        world
    };
    breaks(&strips(json!(["example.com/another"])), Invariant::FinalizersHold, "still exists");
    holds(&strips(json!(["example.com/another", ENIATTACHMENT_FINALIZER])));
}

#[test]
fn a_nodeeni_that_goes_before_its_eniattachment_breaks_finalizers_hold() {
    let lets_go = |actor, cleared: bool| {
        let mut world = World::settled();
        world.deletes(LATER, KUBECTL, "nodeenis", NODEENI);
        if cleared {
            world.deletes(LATER, REPLICA, "eniattachments", ATTACHMENT);
            clears(&mut world);
            world.lets_go(LATER, REPLICA, "eniattachments", ATTACHMENT);
        }
        world.lets_go(LATER, actor, "nodeenis", NODEENI);
        world
    };
    let words = "finalizer of NodeENI e1, and its ENIAttachment e1-1 still exists";
    breaks(&lets_go(REPLICA, false), Invariant::FinalizersHold, words);
    holds(&lets_go(KUBECTL, false));
    holds(&lets_go(REPLICA, true));
}

#[test]
fn an_eniattachment_that_appears_after_its_nodeeni_was_released_breaks_nothing() {
    let comes = |at: Millis| {
        let mut world = World::settled();
        world.deletes(LATER, KUBECTL, "nodeenis", NODEENI);
        world.deletes(LATER, REPLICA, "eniattachments", ATTACHMENT);
        clears(&mut world);
        let object = world.objects[&("eniattachments", ATTACHMENT.to_owned())].clone();
        world.lets_go(LATER, REPLICA, "eniattachments", ATTACHMENT);
        let patch = RequestInfo {
            verb: "patch".to_owned(),
            group: GROUP.to_owned(),
            resource: "nodeenis".to_owned(),
            name: NODEENI.to_owned(),
            ..RequestInfo::default()
        };
        world.state.write_begins(LATER, &process(1), &patch, b"{}");
        world.stores(at, REPLICA, "eniattachments", object);
        world.lets_go(LATER + 1_000, REPLICA, "nodeenis", NODEENI);
        world
    };
    holds(&comes(LATER));
    breaks(
        &comes(LATER - 1),
        Invariant::FinalizersHold,
        "finalizer of NodeENI e1, and its ENIAttachment e1-1 still exists",
    );
}

/// Changes that make it right to take the ENI away.
const REASONS: [fn(&mut World); 6] = [
    |world| world.writes(SETTLED, KUBECTL, "nodes", NODE, ["metadata", "labels"], json!({ "ng": "y" })),
    |world| world.writes(SETTLED, KUBECTL, "nodeenis", NODEENI, ["spec", "deviceIndex"], json!(2)),
    |world| world.writes(SETTLED, KUBECTL, "nodeenis", NODEENI, ["spec", "privateIPCount"], json!(3)),
    |world| world.deletes(SETTLED, KUBECTL, "nodeenis", NODEENI),
    |world| world.lets_go(SETTLED, KUBECTL, "nodes", NODE),
    // A replica may see an ENI otherwise that someone has just touched, though the ENI is as it was before.
    |world| world.has(LATER, &By::Hand, Eni { description: "touched".to_owned(), ..world.eni(ENI) }),
];

#[test]
fn a_working_eni_that_is_asked_for_must_not_be_detached() {
    let detaches = |at, before: fn(&mut World)| {
        let mut world = World::settled();
        before(&mut world);
        world.detaches(at);
        world
    };
    breaks(&detaches(LATER, nothing), Invariant::NothingUnasked, "of eni-00000001, which works and fits its NodeENI");
    holds(&detaches(LATER - 1, nothing));
    holds(&detaches(LATER, |world| world.deletes(SETTLED, KUBECTL, "eniattachments", ATTACHMENT)));
    for reason in REASONS {
        holds(&detaches(LATER + 1, reason));
    }
}

#[test]
fn an_eniattachment_whose_eni_works_and_is_asked_for_must_not_be_deleted() {
    let deletes = |at, actor, before: fn(&mut World)| {
        let mut world = World::settled();
        before(&mut world);
        world.deletes(at, actor, "eniattachments", ATTACHMENT);
        world
    };
    breaks(
        &deletes(LATER, REPLICA, nothing),
        Invariant::NothingUnasked,
        "a1 deletes e1-1, whose ENI works and fits its NodeENI",
    );
    holds(&deletes(LATER, KUBECTL, nothing));
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
        world.writes(SETTLED, REPLICA, "eniattachments", ATTACHMENT, ["status", "conditions"], attached);
        world.writes(SETTLED, KUBECTL, "nodes", NODE, ["metadata", "labels"], json!({ "ng": "y" }));
        let since = json!({ ANNOTATION_DESELECTED_SINCE: "2026-01-01T00:00:00Z" });
        world.writes(SETTLED, REPLICA, "eniattachments", ATTACHMENT, ["metadata", "annotations"], since);
        let metadata = json!({ "name": "p1", "annotations": { POD_ANNOTATION: NODEENI } });
        world.stores(started, KUBECTL, "pods", json!({ "metadata": metadata, "spec": { "nodeName": NODE } }));
        before(&mut world);
        world.deletes(LATER, REPLICA, "eniattachments", ATTACHMENT);
        world
    };
    let long_ago = LATER - 100_001;
    breaks(&deletes(long_ago, true, nothing), Invariant::NothingUnasked, "a1 deletes e1-1, which Pod p1 uses");
    holds(&deletes(long_ago, false, nothing));
    holds(&deletes(long_ago + 1, true, nothing));
    holds(&deletes(long_ago, true, |world| world.lets_go(LATER, KUBECTL, "pods", "p1")));
    holds(&deletes(long_ago, true, |world| world.deletes(LATER, KUBECTL, "nodeenis", NODEENI)));
    holds(&deletes(long_ago, true, |world| world.lets_go(LATER, KUBECTL, "nodes", NODE)));
}

#[test]
fn an_orphan_is_left_alone_for_the_time_of_two_resyncs() {
    let orphaned = |leaving: bool| {
        let mut world = World::settled();
        if leaving {
            world.deletes(LATER, KUBECTL, "eniattachments", ATTACHMENT);
        }
        world.lets_go(LATER, KUBECTL, "eniattachments", ATTACHMENT);
        world
    };
    let detaches = |after, leaving| {
        let mut world = orphaned(leaving);
        world.detaches(LATER + after);
        world
    };
    breaks(&detaches(169_999, false), Invariant::OrphansWait, "which lost its ENIAttachment only at 204000 ms");
    holds(&detaches(170_000, false));
    // A replica that was already deleting it continues.
    holds(&detaches(0, true));
    let deletes = |after, actor: &By| {
        let mut world = orphaned(false);
        world.has(LATER, &By::Hand, Eni { attachment: None, ..world.eni(ENI) });
        world.has_no(LATER + after, actor, ENI);
        world
    };
    let replica = by(REPLICA, "DeleteNetworkInterface");
    breaks(&deletes(169_999, &replica), Invariant::OrphansWait, "a1: DeleteNetworkInterface of eni-00000001");
    holds(&deletes(170_000, &replica));
    holds(&deletes(0, &By::Hand));
}

#[test]
fn nothing_is_detached_by_force_before_its_grace_is_over() {
    let forces = |after, force: bool, skew: i64| {
        let mut world = World::settled_in(Setting { clock_skew: vec![skew], ..Setting::default() });
        world.deletes(LATER, KUBECTL, "eniattachments", ATTACHMENT);
        world.detaches(LATER);
        let forced = By::Call(Box::new(CallRecord { force, ..call(REPLICA, "DetachNetworkInterface") }));
        world.has(LATER + after, &forced, Eni { attachment: None, ..world.eni(ENI) });
        world
    };
    // 900 s, minus 2 s and the possible difference of clocks.
    breaks(
        &forces(897_999, true, 0),
        Invariant::ForceWaits,
        "a1 detaches eni-00000001 by force, 897 s after the detach began",
    );
    holds(&forces(898_000, true, 0));
    holds(&forces(897_999, false, 0));
    breaks(&forces(797_999, true, -100_000), Invariant::ForceWaits, "by force");
    holds(&forces(798_000, true, -100_000));
}

/// The controller was stopped for hours, or was not allowed to detach.
#[test]
fn the_age_of_a_deletion_is_no_reason_for_force() {
    let forces = |plain: bool, returns: bool, after| {
        let mut world = World::settled();
        world.deletes(SETTLED, KUBECTL, "eniattachments", ATTACHMENT);
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
    breaks(&forces(false, false, 10_000_000), Invariant::ForceWaits, "and no plain Detach came first");
    holds(&forces(true, false, 898_000));
    // The attachment came back: the time counts from the first plain Detach.
    breaks(&forces(true, true, 897_999), Invariant::ForceWaits, "897 s after the detach began");
    holds(&forces(true, true, 898_000));
}
