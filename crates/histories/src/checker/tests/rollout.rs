//! Tests of `max-unavailable`, and of `nothing-unasked` for an ENI that has lost its ENIAttachment and is wanted where it is.

use super::*;
use crate::checker::unavailable_nodes::Rollouts;
use crate::script::{Event, Operation};
use multi_eni_api::names::TAG_NODEENI_UID;

const OTHER_SUBNET: &str = "subnet-00000002";

/// So many Nodes with a ready ENI each. Their NodeENI now asks for another index.
fn outdated(nodes: usize) -> World {
    let mut world = fleet(nodes);
    world.writes(LATER, KUBECTL, "nodeenis", NODEENI, ["spec", "deviceIndex"], json!(2));
    holds(&world);
    world
}

/// So many Nodes with a ready ENI each.
pub(super) fn fleet(nodes: usize) -> World {
    let mut world = World::new(Setting::default());
    world.joined(0);
    for n in 1..=nodes {
        let mut node = world.objects[&("nodes", NODE.to_owned())].clone();
        node["metadata"]["name"] = json!(format!("n{n}"));
        node["spec"]["providerID"] = json!(format!("aws:///{}/i-0000000{n}", zone("a")));
        world.stores(0, KUBECTL, "nodes", node);
        world.stores(1_000, REPLICA, "eniattachments", on_node(n, 1));
        in_place(&mut world, 2_000, n, 1);
        ready(&mut world, 3_000, n);
    }
    holds(&world);
    world
}

fn on_node(n: usize, index: u32) -> Value {
    let mut object = attachment_object(&format!("h{n}-{index}"), &format!("uid-{n}-{index}"), index);
    object["spec"]["nodeName"] = json!(format!("n{n}"));
    object["spec"]["instanceID"] = json!(format!("i-0000000{n}"));
    object
}

/// Creates and attaches the ENI of an ENIAttachment.
fn in_place(world: &mut World, at: Millis, n: usize, index: u32) {
    let eni = made(&format!("eni-000000{n}{index}"), &format!("uid-{n}-{index}"));
    world.has(at, &by(REPLICA, "CreateNetworkInterface"), eni.clone());
    let mut attached = on(eni, index, AttachmentStatus::Attached);
    if let Some(attachment) = &mut attached.attachment {
        attachment.instance_id = format!("i-0000000{n}");
    }
    world.has(at + 1, &By::Time, attached);
}

fn ready(world: &mut World, at: Millis, n: usize) {
    let said = condition("Ready", "True", "Attached");
    world.writes(at, REPLICA, "eniattachments", &format!("h{n}-1"), ["status", "conditions"], said);
}

/// Replicas replace these nodes' ENIs at these times.
fn replaces(world: &mut World, nodes: &[(Millis, &str, usize)]) {
    for (after, actor, n) in nodes {
        world.deletes(LATER + after, actor, "eniattachments", &format!("h{n}-1"));
    }
}

/// A replica replaces the first node's ENI, and the new ENI is in place.
fn replaced(world: &mut World) {
    replaces(world, &[(1_000, REPLICA, 1)]);
    world.has_no(LATER + 1_500, &by(REPLICA, "DeleteNetworkInterface"), "eni-00000011");
    world.lets_go(LATER + 1_600, REPLICA, "eniattachments", "h1-1");
    world.stores(LATER + 1_700, REPLICA, "eniattachments", on_node(1, 2));
    in_place(world, LATER + 1_800, 1, 2);
}

#[test]
fn more_unavailable_nodes_than_allowed_break_max_unavailable() {
    let mut world = outdated(3);
    replaces(&mut world, &[(1_000, REPLICA, 1), (2_000, REPLICA, 2)]);
    breaks(
        &world,
        Invariant::MaxUnavailable,
        "a1 deletes h2-1 to replace its ENI, while n1 of e1 wait for replacements: at most 1 at a time",
    );

    let mut one = outdated(3);
    replaces(&mut one, &[(1_000, REPLICA, 1)]);
    holds(&one);

    let mut allowed = outdated(3);
    allowed.writes(LATER, KUBECTL, "nodeenis", NODEENI, ["spec", "rollout"], json!({ "maxUnavailable": 2 }));
    replaces(&mut allowed, &[(1_000, REPLICA, 1), (2_000, REPLICA, 2)]);
    holds(&allowed);
    replaces(&mut allowed, &[(3_000, REPLICA, 3)]);
    breaks(&allowed, Invariant::MaxUnavailable, "while n1, n2 of e1 wait");
}

#[test]
fn a_percentage_of_the_matched_nodes_is_rounded_up() {
    // 34 % of 3 nodes are 1.02 nodes.
    let mut two = outdated(3);
    two.writes(LATER, KUBECTL, "nodeenis", NODEENI, ["spec", "rollout"], json!({ "maxUnavailable": "34%" }));
    replaces(&mut two, &[(1_000, REPLICA, 1), (2_000, REPLICA, 2)]);
    holds(&two);
    replaces(&mut two, &[(3_000, REPLICA, 3)]);
    breaks(&two, Invariant::MaxUnavailable, "while n1, n2 of e1 wait for replacements: at most 2 at a time");

    // A Node without the labels does not count: 33 % of 3 nodes are 0.99 nodes, and of 4 nodes 1.32.
    let mut one = outdated(3);
    let mut other = one.objects[&("nodes", NODE.to_owned())].clone();
    other["metadata"] = json!({ "name": "n4", "labels": { "ng": "y" } });
    other["spec"]["providerID"] = json!(format!("aws:///{}/i-00000004", zone("a")));
    one.stores(LATER, KUBECTL, "nodes", other.clone());
    one.writes(LATER, KUBECTL, "nodeenis", NODEENI, ["spec", "rollout"], json!({ "maxUnavailable": "33%" }));
    replaces(&mut one, &[(1_000, REPLICA, 1), (2_000, REPLICA, 2)]);
    breaks(&one, Invariant::MaxUnavailable, "while n1 of e1 wait for replacements: at most 1 at a time");

    // A replica may not know yet that a Node has lost its labels, so the Node counts.
    let mut late = outdated(3);
    other["metadata"]["labels"] = json!({ "ng": "x" });
    late.stores(LATER, KUBECTL, "nodes", other.clone());
    late.writes(LATER, KUBECTL, "nodeenis", NODEENI, ["spec", "rollout"], json!({ "maxUnavailable": "33%" }));
    late.writes(LATER + 1, KUBECTL, "nodes", "n4", ["metadata", "labels"], json!({ "ng": "y" }));
    replaces(&mut late, &[(1_000, REPLICA, 1), (2_000, REPLICA, 2)]);
    holds(&late);
}

#[test]
fn an_edit_that_a_stale_watch_may_hide_excuses_the_replica() {
    let stale = Operation::StaleWatch { replica: 0, lasts: 60_000 };
    let events = vec![Event { at: LATER, operation: stale }];
    let script = Script { events, ..World::script(Setting::default()) };
    let replaced = |edited: Millis| {
        let mut world = fleet(3);
        world.state.rollouts = Rollouts::of(&script);
        world.writes(edited, KUBECTL, "nodeenis", NODEENI, ["spec", "deviceIndex"], json!(2));
        replaces(&mut world, &[(1_000, REPLICA, 1), (2_000, REPLICA, 2)]);
        world
    };
    holds(&replaced(LATER));
    breaks(&replaced(LATER - MAX_STALENESS), Invariant::MaxUnavailable, "while n1 of e1 wait");
}

#[test]
fn nodes_that_are_available_again_or_disturbed_or_outside_a_rollout_do_not_count() {
    // The first is available again.
    let mut world = outdated(2);
    replaced(&mut world);
    replaces(&mut world, &[(2_000, REPLICA, 2)]);
    holds(&world);

    // Someone else deleted it.
    let mut by_hand = outdated(2);
    replaces(&mut by_hand, &[(1_000, KUBECTL, 1), (2_000, REPLICA, 2)]);
    holds(&by_hand);

    // Another process may not know of it yet, but only for a limited time.
    let mut another = outdated(2);
    replaces(&mut another, &[(1_000, REPLICA, 1), (1_000 + MAX_STALENESS, "b1", 2)]);
    holds(&another);
    let mut later = outdated(2);
    replaces(&mut later, &[(1_000, REPLICA, 1), (1_001 + MAX_STALENESS, "b1", 2)]);
    breaks(&later, Invariant::MaxUnavailable, "b1 deletes h2-1");

    // Its labels were changed meanwhile.
    let mut disturbed = outdated(2);
    replaces(&mut disturbed, &[(1_000, REPLICA, 1)]);
    disturbed.writes(LATER + 1_500, KUBECTL, "nodes", "n1", ["metadata", "labels"], json!({ "ng": "x", "more": "1" }));
    replaces(&mut disturbed, &[(2_000, REPLICA, 2)]);
    holds(&disturbed);

    // No ENI follows, so this is no rollout.
    let mut removed = outdated(2);
    let elsewhere = json!({ "nodeSelector": { "ng": "y" }, "subnetID": OTHER_SUBNET, "deviceIndex": 1 });
    let mut object = removed.objects[&("nodeenis", NODEENI.to_owned())].clone();
    object["spec"] = elsewhere;
    removed.stores(LATER + 1, KUBECTL, "nodeenis", object);
    replaces(&mut removed, &[(1_000, REPLICA, 1), (2_000, REPLICA, 2)]);
    holds(&removed);
}

#[test]
fn a_surplus_eni_goes_without_a_rollout_and_does_not_excuse_the_next_removal() {
    let mut world = outdated(2);
    for n in 1..=2 {
        world.stores(LATER + 1, REPLICA, "eniattachments", on_node(n, 5));
        in_place(&mut world, LATER + 2, n, 5);
        let said = condition("Ready", "True", "Attached");
        world.writes(LATER + 4, REPLICA, "eniattachments", &format!("h{n}-5"), ["status", "conditions"], said);
    }
    for n in 1..=2 {
        world.deletes(LATER + 10, REPLICA, "eniattachments", &format!("h{n}-5"));
    }
    holds(&world);
    replaces(&mut world, &[(1_000, REPLICA, 1)]);
    holds(&world);
    replaces(&mut world, &[(2_000, REPLICA, 2)]);
    breaks(&world, Invariant::MaxUnavailable, "a1 deletes h2-1 to replace its ENI, while n1 of e1 wait");
}

#[test]
fn an_eni_that_a_node_never_had_does_not_make_it_unavailable() {
    let mut world = outdated(2);
    world.state.subnets.push(subnet_place(OTHER_SUBNET));
    let mut object = world.objects[&("nodeenis", NODEENI.to_owned())].clone();
    object["spec"] = json!({ "nodeSelector": { "ng": "x" }, "subnetIDs": [SUBNET, OTHER_SUBNET], "deviceIndex": 2 });
    world.stores(LATER + 1, KUBECTL, "nodeenis", object);
    // The node had one ENI and has one again. The other one may be impossible.
    replaced(&mut world);
    replaces(&mut world, &[(2_000, REPLICA, 2)]);
    holds(&world);
}

#[test]
fn an_eni_asked_for_beyond_its_network_card_does_not_make_a_node_unavailable() {
    let at_index_3 = |cards: &[u32]| {
        let mut world = outdated(2);
        world.state.cards = cards.to_vec();
        let mut object = world.objects[&("nodeenis", NODEENI.to_owned())].clone();
        object["spec"] = json!({ "nodeSelector": { "ng": "x" }, "subnetID": SUBNET, "deviceIndex": 3 });
        world.stores(LATER + 1, KUBECTL, "nodeenis", object);
        replaces(&mut world, &[(1_000, REPLICA, 1), (2_000, REPLICA, 2)]);
        world
    };
    // A card with 15 interfaces has the index, so the ENI of the first node is still to come.
    breaks(
        &at_index_3(&[15, 15]),
        Invariant::MaxUnavailable,
        "a1 deletes h2-1 to replace its ENI, while n1 of e1 wait",
    );
    holds(&at_index_3(&[3, 3]));
}

/// An ENI that has worked for long loses its ENIAttachment. A replica detaches it much later.
fn torn(uid: &str, before: fn(&mut World), later: Millis) -> World {
    let mut world = World::settled();
    let mut eni = world.eni(ENI);
    eni.tags.insert(TAG_NODEENI_UID.to_owned(), uid.to_owned());
    eni.private_ips = vec![std::net::Ipv4Addr::LOCALHOST];
    world.has(SETTLED, &by(REPLICA, "CreateTags"), eni);
    world.lets_go(LATER, KUBECTL, "eniattachments", ATTACHMENT);
    before(&mut world);
    world.detaches(LATER + later);
    world
}

#[test]
fn an_eni_without_its_eniattachment_that_is_asked_for_in_its_place_must_not_be_detached() {
    let words = "has no ENIAttachment, and its NodeENI asks for it in its slot";
    breaks(&torn(NODEENI_UID, |_| (), 300_000), Invariant::NothingUnasked, words);
    holds(&torn("another NodeENI", |_| (), 300_000));
    holds(&torn(NODEENI_UID, |world| world.deletes(LATER, KUBECTL, "nodeenis", NODEENI), 300_000));
    // Another ENI has its place, or the NodeENI does not ask for the place any more.
    holds(&torn(
        NODEENI_UID,
        |world| world.stores(LATER, REPLICA, "eniattachments", attachment_object("e1-2", "attachment-2", 1)),
        300_000,
    ));
    let moved: fn(&mut World) =
        |world| world.writes(LATER, KUBECTL, "nodeenis", NODEENI, ["spec", "deviceIndex"], json!(2));
    holds(&torn(NODEENI_UID, moved, 300_000));
}
