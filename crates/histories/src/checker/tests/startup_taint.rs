//! Tests of `startup-taint`, and of `status-true` with the node agent.

use super::*;
use multi_eni_api::names::STARTUP_TAINT;

/// When the Node of these tests gets the taint. The NodeENI exists since 0.
const TAINTED: Millis = MAX_STALENESS + 1_000;

/// Sets the taint of the Node, or removes it.
fn taints(world: &mut World, at: Millis, actor: &str, has: bool) {
    let taints = if has { json!([{ "key": STARTUP_TAINT, "effect": "NoSchedule" }]) } else { json!([]) };
    world.writes(at, actor, "nodes", NODE, ["spec", "taints"], taints);
}

/// The Node gets the taint after `before`, and this actor removes it a moment later.
fn removed(actor: &str, before: fn(&mut World)) -> World {
    let mut world = World::new(Setting::default());
    world.joined(0);
    before(&mut world);
    taints(&mut world, TAINTED, KUBECTL, true);
    taints(&mut world, TAINTED + 1_000, actor, false);
    world
}

/// An ENIAttachment that is Ready, or not, since then.
fn exists(world: &mut World, at: Millis, ready: &str) {
    let mut object = attachment_object(ATTACHMENT, ATTACHMENT_UID, 1);
    object["status"]["conditions"] = condition("Ready", ready, "Test");
    world.stores(at, REPLICA, "eniattachments", object);
}

#[test]
fn a_taint_that_goes_before_the_enis_are_ready_breaks_startup_taint() {
    let words = "a1 removes the startup taint of n1, and no ENIAttachment is at 0/1";
    breaks(&removed(REPLICA, |_| ()), Invariant::StartupTaint, words);
    holds(&removed(KUBECTL, |_| ()));
    breaks(&removed(REPLICA, |world| exists(world, 0, "False")), Invariant::StartupTaint, "e1-1 is not Ready");
    let allowed: [fn(&mut World); 6] = [
        |world| exists(world, 0, "True"),
        // An older view may show it Ready.
        |world| exists(world, 2_000, "False"),
        // The NodeENI is new, is gone, or does not select the Node.
        |world| world.writes(2_000, KUBECTL, "nodeenis", NODEENI, ["spec", "deviceIndex"], json!(2)),
        |world| world.deletes(0, KUBECTL, "nodeenis", NODEENI),
        |world| world.writes(0, KUBECTL, "nodes", NODE, ["metadata", "labels"], json!({})),
        // Its ENIAttachment was there a moment ago.
        |world| {
            exists(world, 0, "True");
            world.lets_go(TAINTED - 1, REPLICA, "eniattachments", ATTACHMENT);
        },
    ];
    for before in allowed {
        holds(&removed(REPLICA, before));
    }
}

#[test]
fn a_taint_that_goes_after_the_labels_changed_is_excused() {
    let mut world = World::new(Setting::default());
    world.joined(0);
    world.writes(0, KUBECTL, "nodes", NODE, ["metadata", "labels"], json!({}));
    taints(&mut world, TAINTED, KUBECTL, true);
    let labels = json!({ "ng": "x", "topology.kubernetes.io/zone": zone("a") });
    world.writes(TAINTED + 500, KUBECTL, "nodes", NODE, ["metadata", "labels"], labels);
    taints(&mut world, TAINTED + 1_000, REPLICA, false);
    holds(&world);
}

/// A replica says that the ENI is Ready, with this report of the agent.
fn says_ready(node_agent: bool, report: &Value, mac: &str) -> World {
    let mut world = World::settled_in(Setting { node_agent, ..Setting::default() });
    let mut object = world.objects[&("eniattachments", ATTACHMENT.to_owned())].clone();
    let ready = condition("Ready", "True", "Ready");
    object["status"] = json!({ "conditions": [ready[0], report[0]], "macAddress": "02:00:00:00:00:01",
        "node": { "macAddress": mac } });
    world.stores(LATER, REPLICA, "eniattachments", object);
    world
}

#[test]
fn ready_without_the_report_of_the_node_agent_breaks_status_true() {
    let words = "is Ready, and the node agent has not configured this ENI";
    let (mac, other) = ("02:00:00:00:00:01", "02:00:00:00:00:02");
    let configured = condition("Configured", "True", "Configured");
    holds(&says_ready(true, &configured, mac));
    breaks(&says_ready(true, &configured, other), Invariant::StatusTrue, words);
    breaks(&says_ready(true, &condition("Configured", "False", "LinkAbsent"), mac), Invariant::StatusTrue, words);
    breaks(&says_ready(true, &condition("Created", "True", "Created"), mac), Invariant::StatusTrue, words);
    holds(&says_ready(false, &condition("Configured", "False", "LinkAbsent"), mac));
}

#[test]
fn an_eni_that_the_node_agent_lost_may_lose_ready() {
    let loses = |status: &str| {
        let mut world = says_ready(true, &condition("Configured", "True", "Configured"), "02:00:00:00:00:01");
        let mut object = world.objects[&("eniattachments", ATTACHMENT.to_owned())].clone();
        object["status"]["conditions"][0] = condition("Ready", "False", "Test")[0].clone();
        object["status"]["conditions"][1] = condition("Configured", status, "Test")[0].clone();
        world.stores(LATER + MAX_STALENESS, REPLICA, "eniattachments", object);
        world
    };
    holds(&loses("False"));
    breaks(&loses("True"), Invariant::StatusTrue, "is not Ready, and its ENI works and fits its NodeENI");
}
