//! Tests of what a replica writes to statuses: `taken-over`, `status-true`.

use super::*;

/// An ENI of upstream, upstream's status, and then another status by this actor.
fn replaces(at: Millis, actor: &str, lag: Millis, before: fn(&mut World)) -> World {
    let mut world = World::new(Setting { lag, ..Setting::default() });
    world.joined(0);
    world.has(SETTLED, &By::Hand, on(bare(ENI), 3, AttachmentStatus::Attached));
    let entry = json!({ "nodeID": NODE, "instanceID": INSTANCE, "eniID": ENI });
    world.writes(SETTLED, "upstream", "nodeenis", NODEENI, ["status", "attachments"], json!([entry]));
    before(&mut world);
    let mut object = world.objects[&("nodeenis", NODEENI.to_owned())].clone();
    object["status"] = json!({ "observedGeneration": 1, "attachments": [] });
    world.stores(at, actor, "nodeenis", object);
    world
}

#[test]
fn upstreams_list_replaced_before_its_enis_are_taken_over_breaks_taken_over() {
    let words = "a1 replaces upstream's status of e1, and has not adopted eni-00000001";
    // A lookup may be 35 s old, and EC2's lag comes on top.
    let known = SETTLED + 35_000;
    breaks(&replaces(known + 1, REPLICA, 0, |_| ()), Invariant::TakenOver, words);
    holds(&replaces(known, REPLICA, 0, |_| ()));
    breaks(&replaces(known + 10_001, REPLICA, 10_000, |_| ()), Invariant::TakenOver, words);
    holds(&replaces(known + 10_000, REPLICA, 10_000, |_| ()));
    holds(&replaces(known + 1, KUBECTL, 0, |_| ()));
    let allowed: [fn(&mut World); 6] = [
        // The ENI is adopted, or another one of the same subnet is; or its slot is held.
        |world| world.stores(SETTLED, REPLICA, "eniattachments", attachment_object(ATTACHMENT, ATTACHMENT_UID, 5)),
        |world| {
            let mut object = attachment_object(ATTACHMENT, ATTACHMENT_UID, 3);
            object["spec"]["nodeENIUID"] = json!("nodeeni-2");
            world.stores(SETTLED, REPLICA, "eniattachments", object);
        },
        |world| world.deletes(SETTLED, KUBECTL, "nodeenis", NODEENI),
        // No replica can know an instance whose Node was created only later.
        |world| {
            let node = world.objects[&("nodes", NODE.to_owned())].clone();
            world.lets_go(SETTLED + 1, KUBECTL, "nodes", NODE);
            world.stores(SETTLED + 1, KUBECTL, "nodes", node);
        },
        |world| world.has(SETTLED, &By::Hand, bare(ENI)),
        |world| world.writes(SETTLED, KUBECTL, "nodeenis", NODEENI, ["status", "observedGeneration"], json!(1)),
    ];
    for before in allowed {
        holds(&replaces(known + 1, REPLICA, 0, before));
    }
}

/// Writes the condition Ready of the ENIAttachment.
fn says(world: &mut World, at: Millis, actor: &str, status: &str, reason: &str) {
    let ready = condition("Ready", status, reason);
    world.writes(at, actor, "eniattachments", ATTACHMENT, ["status", "conditions"], ready);
}

#[test]
fn an_eniattachment_said_not_to_be_ready_though_it_is_well_breaks_status_true() {
    let loses = |at, actor, reason| {
        let mut world = World::settled();
        says(&mut world, SETTLED, REPLICA, "True", "Ready");
        says(&mut world, at, actor, "False", reason);
        world
    };
    let words = "a1 says that e1-1 is not Ready, and its ENI works and fits its NodeENI";
    breaks(&loses(LATER, REPLICA, "Attaching"), Invariant::StatusTrue, words);
    holds(&loses(LATER - 1, REPLICA, "Attaching"));
    holds(&loses(LATER, REPLICA, "TagsRemoved"));
    holds(&loses(LATER, KUBECTL, "Attaching"));
}

#[test]
fn an_eniattachment_said_to_be_ready_though_its_eni_is_elsewhere_breaks_status_true() {
    let says_ready = |after, index: u32| {
        let mut world = World::settled();
        world.has(LATER, &By::Hand, on(world.eni(ENI), index, AttachmentStatus::Attached));
        says(&mut world, LATER + after, REPLICA, "True", "Ready");
        world
    };
    let words = "a1 says that e1-1 is Ready, and its ENI has long been elsewhere";
    breaks(&says_ready(MAX_STALENESS + 1, 5), Invariant::StatusTrue, words);
    holds(&says_ready(MAX_STALENESS, 5));
    holds(&says_ready(MAX_STALENESS + 1, 1));
}

#[test]
fn a_nodeeni_said_to_be_ready_with_too_few_enis_breaks_status_true() {
    let says = |actor, ready: u32, status| {
        let mut world = World::settled();
        let mut object = world.objects[&("nodeenis", NODEENI.to_owned())].clone();
        let conditions = condition("Ready", status, "Ready");
        object["status"] = json!({ "desired": 2, "ready": ready, "conditions": conditions });
        world.stores(LATER, actor, "nodeenis", object);
        world
    };
    breaks(&says(REPLICA, 1, "True"), Invariant::StatusTrue, "a1 says that NodeENI e1 is Ready, with 1 of 2 ENIs");
    holds(&says(REPLICA, 2, "True"));
    holds(&says(REPLICA, 1, "False"));
    holds(&says(KUBECTL, 1, "True"));
}
