//! Tests of the ownership of interfaces: `no-leak`, `no-double`, `nothing-foreign`.

use super::*;
use multi_eni_api::names::{UPSTREAM_MANAGER, UPSTREAM_TAG_MANAGED_BY, UPSTREAM_TAG_NODEENI};

/// A second ENIAttachment, and an ENI that a replica creates for some UID with some token.
fn creates(at: Millis, uid: &str, token: String, before: impl FnOnce(&mut World)) -> World {
    let mut world = World::settled();
    world.stores(SETTLED, REPLICA, "eniattachments", attachment_object("e1-2", "attachment-2", 2));
    before(&mut world);
    let eni = Eni { client_token: Some(token), ..made(OTHER, uid) };
    world.has(at, &by(REPLICA, "CreateNetworkInterface"), eni);
    world
}

#[test]
fn an_eniattachment_for_a_node_that_can_never_have_an_eni_is_unasked() {
    let created = |actor: &str, labels: Value| {
        let mut world = World::new(Setting::default());
        world.joined(0);
        world.writes(1, KUBECTL, "nodes", NODE, ["metadata", "labels"], labels);
        world.stores(2, actor, "eniattachments", attachment_object(ATTACHMENT, ATTACHMENT_UID, 1));
        world
    };
    let managed = json!({ "ng": "x", "eks.amazonaws.com/compute-type": "auto" });
    breaks(
        &created(REPLICA, managed.clone()),
        Invariant::NothingUnasked,
        "creates e1-1 for n1, which can never have an ENI",
    );
    holds(&created(KUBECTL, managed));
    holds(&created(REPLICA, json!({ "ng": "x", "eks.amazonaws.com/compute-type": "ec2" })));
}

#[test]
fn an_eniattachment_in_another_vpc_or_on_another_outpost_is_unasked() {
    let created = |actor: &str, of_subnet: Placement, of_instance: Placement| {
        let mut world = World::new(Setting::default());
        world.joined(0);
        world.state.subnets[0].placement = of_subnet;
        world.state.model.placements.insert(INSTANCE.to_owned(), of_instance);
        world.stores(2, actor, "eniattachments", attachment_object(ATTACHMENT, ATTACHMENT_UID, 1));
        world
    };
    let all = [Placement::Region, Placement::Outpost, Placement::SecondVpc];
    for (of_subnet, of_instance) in all.iter().flat_map(|subnet| all.iter().map(|instance| (*subnet, *instance))) {
        if of_subnet == of_instance {
            holds(&created(REPLICA, of_subnet, of_instance));
        } else {
            let world = created(REPLICA, of_subnet, of_instance);
            breaks(&world, Invariant::NothingUnasked, "which is in another VPC or on another Outpost");
        }
    }
    holds(&created(KUBECTL, Placement::SecondVpc, Placement::Region));
}

#[test]
fn an_eni_made_for_nobody_or_under_another_token_is_a_leak() {
    let first = |uid| creates(LATER, uid, client_token(uid, 0), |_| ());
    breaks(&first("nobody"), Invariant::NoLeak, "for ENIAttachment nobody, which does not exist");
    holds(&first("attachment-2"));
    let second = |attempt: i32| {
        creates(LATER, "attachment-2", client_token("attachment-2", 1), |world| {
            world.writes(SETTLED, REPLICA, "eniattachments", "e1-2", ["status", "attempt"], json!(attempt));
        })
    };
    breaks(&second(0), Invariant::NoLeak, "has another ClientToken");
    holds(&second(1));
    // The process that sent the Create may not know that someone removed the ENIAttachment.
    let torn = |at| {
        let token = client_token("attachment-2", 0);
        creates(at, "attachment-2", token, |world| world.lets_go(SETTLED, KUBECTL, "eniattachments", "e1-2"))
    };
    breaks(&torn(LATER + 1), Invariant::NoLeak, "which does not exist");
    holds(&torn(LATER));
}

#[test]
fn an_eni_with_our_tags_that_no_eniattachment_knows_is_a_leak() {
    let appears = |cluster: &str| {
        let mut world = World::settled();
        world.has(LATER, &By::Hand, tagged(bare(OTHER), cluster, "nobody"));
        world
    };
    breaks(&appears(CLUSTER), Invariant::NoLeak, "eni-00000002 belongs to this cluster and has no ENIAttachment");
    holds(&appears("another cluster"));
}

#[test]
fn two_enis_of_one_eniattachment_or_in_one_slot_are_a_double() {
    let second = |uid| creates(LATER, uid, client_token(uid, 0), |_| ());
    breaks(&second(ATTACHMENT_UID), Invariant::NoDouble, "both belong to ENIAttachment attachment-1");
    holds(&second("attachment-2"));
    let beside = |index| {
        let mut world = second("attachment-2");
        let attached = on(world.eni(OTHER), index, AttachmentStatus::Attached);
        world.has(LATER, &by(REPLICA, "AttachNetworkInterface"), attached);
        world
    };
    breaks(&beside(1), Invariant::NoDouble, "are both at i-00000001 card 0 index 1");
    holds(&beside(2));
}

#[test]
fn a_replica_that_changes_what_it_did_not_make_breaks_nothing_foreign() {
    let changes = |id: &str, by: &By| {
        let mut world = World::settled();
        world.has(SETTLED, &By::Hand, bare(OTHER));
        world.has(LATER, by, Eni { description: "changed".to_owned(), ..world.eni(id) });
        world
    };
    let modifies = by(REPLICA, "ModifyNetworkInterfaceAttribute");
    breaks(&changes(OTHER, &modifies), Invariant::NothingForeign, "a1 changes eni-00000002 by Modify");
    holds(&changes(ENI, &modifies));
    holds(&changes(OTHER, &By::Hand));
    let deletes = |id| {
        let mut world = World::settled();
        world.has(SETTLED, &By::Hand, bare(OTHER));
        world.has_no(LATER, &by(REPLICA, "DeleteNetworkInterface"), id);
        world
    };
    breaks(&deletes(OTHER), Invariant::NothingForeign, "by DeleteNetworkInterface, and the ENI does not belong");
}

#[test]
fn an_eni_that_lost_its_tags_long_ago_is_foreign() {
    let changes = |at| {
        let mut world = World::settled();
        world.has(LATER, &By::Hand, Eni { tags: BTreeMap::new(), ..world.eni(ENI) });
        let changed = Eni { description: "changed".to_owned(), ..world.eni(ENI) };
        world.has(at, &by(REPLICA, "ModifyNetworkInterfaceAttribute"), changed);
        world
    };
    breaks(&changes(LATER + MAX_STALENESS + 1), Invariant::NothingForeign, "the ENI does not belong to this cluster");
    holds(&changes(LATER + MAX_STALENESS));
}

#[test]
fn an_eni_of_upstream_is_foreign_until_an_eniattachment_adopts_it() {
    let tags = |adopts: bool, instance: &str| {
        let mut world = World::new(Setting::default());
        world.joined(0);
        let mut eni = on(bare(ENI), 3, AttachmentStatus::Attached);
        eni.tags.insert(UPSTREAM_TAG_MANAGED_BY.to_owned(), UPSTREAM_MANAGER.to_owned());
        eni.tags.insert(UPSTREAM_TAG_NODEENI.to_owned(), NODEENI.to_owned());
        world.has(SETTLED, &By::Hand, eni.clone());
        let mut object = attachment_object(ATTACHMENT, ATTACHMENT_UID, 3);
        object["spec"]["instanceID"] = json!(instance);
        object["spec"]["adoptedENIID"] = if adopts { json!(ENI) } else { Value::Null };
        world.stores(SETTLED, REPLICA, "eniattachments", object);
        world.has(LATER, &by(REPLICA, "CreateTags"), tagged(eni, CLUSTER, ATTACHMENT_UID));
        world
    };
    breaks(&tags(false, INSTANCE), Invariant::NothingForeign, "by CreateTags, and the ENI does not belong");
    breaks(&tags(true, "i-00000002"), Invariant::NothingForeign, "by CreateTags, and the ENI does not belong");
    holds(&tags(true, INSTANCE));
}

#[test]
fn an_eni_is_not_taken_from_one_eniattachment_for_another() {
    let tags = |at, uid: &str, torn: bool| {
        let mut world = World::settled();
        world.stores(SETTLED, REPLICA, "eniattachments", attachment_object("e1-2", "attachment-2", 2));
        if torn {
            world.lets_go(LATER, KUBECTL, "eniattachments", "e1-2");
        }
        world.has(at, &by(REPLICA, "CreateTags"), tagged(world.eni(ENI), CLUSTER, uid));
        world
    };
    let words = "takes eni-00000001 from ENIAttachment attachment-1 by CreateTags";
    breaks(&tags(LATER, "attachment-2", false), Invariant::NothingForeign, words);
    holds(&tags(LATER, ATTACHMENT_UID, false));
    // The process that sent the CreateTags may not know that someone removed the other ENIAttachment.
    breaks(&tags(LATER + MAX_STALENESS + 1, "attachment-2", true), Invariant::NothingForeign, words);
    holds(&tags(LATER + MAX_STALENESS, "attachment-2", true));
}
