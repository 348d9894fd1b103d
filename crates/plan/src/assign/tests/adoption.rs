//! Adoption of the ENIs that upstream's controller left.

use super::*;
use crate::lifecycle::tests::{attachment, eni};
use crate::nodeeni::UpstreamEntry;
use crate::observed::{AttachmentState, ObservedEni};
use multi_eni_api::ids::EniId;
use multi_eni_api::names;

/// An ENI as upstream's controller leaves it.
fn left(n: u32, nodeeni: &str, subnet: &str, index: i32) -> ObservedEni {
    let mut seen = eni(n);
    seen.tags =
        [(names::UPSTREAM_TAG_MANAGED_BY, names::UPSTREAM_MANAGER), (names::UPSTREAM_TAG_NODEENI, nodeeni)].into();
    seen.subnet = Some(SubnetId::parse(subnet).unwrap());
    let mut at = attachment(AttachmentState::Attached);
    (at.index, at.id) = (index, format!("eni-attach-{n}"));
    seen.attachment = Some(at);
    seen
}

fn listed(eni: &ObservedEni) -> UpstreamEntry {
    UpstreamEntry { instance: InstanceId::parse(INSTANCE).unwrap(), eni: eni.id.clone() }
}

fn adopts(assignment: &Assignment) -> Vec<(EniId, i32)> {
    let create = assignment.create.iter();
    create.map(|new| (new.adopts.as_ref().unwrap().id.clone(), new.spec.request.device_index)).collect()
}

/// Creates the ENIAttachments of the plan as the controller would.
fn made(world: &mut World) {
    for new in world.assign().create {
        let object = multi_eni_api::ENIAttachment::new(&new.name, new.spec);
        let mut made = Attachment::read(&object);
        (made.has_finalizer, made.uid) = (true, format!("uid-{}", new.name));
        world.attachments.push(made);
    }
}

#[test]
fn an_eni_of_upstream_is_adopted_in_place_and_keeps_its_index() {
    let mut world = World::new(vec![nodeeni("a", 1, &["subnet-00000003", SUBNET_A])]);
    let there = left(1, "a", SUBNET_A, 4);
    world.nodeenis[0].upstream = vec![listed(&there)];
    let interfaces = world.interfaces.take();
    let first = world.assign();
    assert!(first.create.is_empty() && first.adopting.contains("uid-a"), "nothing is created before a lookup");
    assert!(first.needs.contains(&Need::LookupInterfaces(InstanceId::parse(INSTANCE).unwrap())));

    world.interfaces = interfaces;
    world.interfaces.as_mut().unwrap().enis = vec![there.clone()];
    assert_eq!(adopts(&world.assign()), [(there.id.clone(), 4)]);
    assert!(world.assign().adopting.contains("uid-a"), "until its ENIAttachment exists");
    made(&mut world);
    let settled = world.assign();
    assert!(settled.is_settled() && settled.adopting.is_empty(), "{settled:?}");
    let [pinned] = settled.pinned.as_slice() else { panic!("{:?}", settled.pinned) };
    assert_eq!((pinned.index, pinned.asked), (4, 1));
    // Another subnet is another ENI, created at the index that the spec asks for. The adopted ENI is outdated like any other.
    world.nodeenis = vec![nodeeni("a", 1, &[SUBNET_B])];
    assert_eq!(world.assign().outdated["uid-a"].len(), 1);
}

#[test]
fn of_two_enis_in_one_subnet_only_the_listed_one_is_adopted() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    let (double, there) = (left(1, "a", SUBNET_A, 1), left(2, "a", SUBNET_A, 2));
    let (nobodys, mut anothers, mut going) =
        (left(3, "b", SUBNET_B, 3), left(4, "a", SUBNET_B, 5), left(5, "a", SUBNET_B, 6));
    anothers.tags.insert(names::TAG_CLUSTER, "another");
    going.attachment.as_mut().unwrap().state = AttachmentState::Detaching;
    world.nodeenis[0].upstream = vec![listed(&there)];
    world.interfaces.as_mut().unwrap().enis = vec![double, there.clone(), nobodys, anothers, going];
    assert_eq!(adopts(&world.assign()), [(there.id.clone(), 2)]);
    made(&mut world);
    assert!(world.assign().is_settled());
}

#[test]
fn a_nodeeni_being_deleted_adopts_the_listed_enis_and_then_deletes_them() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    let there = left(1, "a", SUBNET_A, 1);
    world.nodeenis[0].upstream = vec![listed(&there)];
    world.nodeenis[0].deleting = true;
    world.interfaces.as_mut().unwrap().enis = vec![there.clone()];
    assert_eq!(adopts(&world.assign()), [(there.id, 1)]);
    made(&mut world);
    let next = world.assign();
    assert_eq!(next.delete.iter().map(|removal| removal.why).collect::<Vec<_>>(), [RemovalReason::NodeEniDeleted]);
    // Nothing is created for a NodeENI without its finalizer.
    world.attachments.clear();
    world.nodeenis[0].has_finalizer = false;
    assert!(world.assign().create.is_empty());
    // Of several ENIs only the one in upstream's status is adopted.
    world.nodeenis[0].has_finalizer = true;
    world.interfaces.as_mut().unwrap().enis.push(left(2, "a", SUBNET_B, 2));
    assert_eq!(adopts(&world.assign()).len(), 1);
    // Nothing is adopted once the status is replaced: the NodeENI may be gone while the ENIAttachment is being created.
    world.nodeenis[0].has_finalizer = true;
    world.nodeenis[0].upstream.clear();
    assert!(world.assign().create.is_empty());
}

/// Found by the property tests: both ENIAttachments would have the same name, and the controller would repeat its Create without
/// end.
#[test]
fn an_eni_in_a_slot_of_an_eniattachment_is_not_adopted_before_that_one_is_gone() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.attachments = vec![new_attachment("n0", 1, false)];
    world.interfaces.as_mut().unwrap().enis = vec![left(1, "a", SUBNET_B, 1)];
    assert!(world.assign().create.is_empty(), "{:?}", world.assign().create);
    world.attachments.clear();
    assert_eq!(adopts(&world.assign()).len(), 1);
}

#[test]
fn a_listed_eni_on_a_node_that_no_longer_matches_is_adopted_and_deleted_after_the_grace_period() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.node.as_mut().unwrap().labels = StringMap::default();
    let there = left(1, "a", SUBNET_A, 1);
    world.nodeenis[0].upstream = vec![listed(&there)];
    let interfaces = world.interfaces.take();
    assert!(world.assign().needs.iter().any(|need| matches!(need, Need::LookupInterfaces(_))));
    world.interfaces = interfaces;
    world.interfaces.as_mut().unwrap().enis = vec![there.clone()];
    assert_eq!(adopts(&world.assign()), [(there.id, 1)]);
    made(&mut world);
    assert_eq!(world.assign().deselect.len(), 1);
    world.attachments[0].deselected_since = Some(world.now);
    world.now = at(110);
    assert_eq!(
        world.assign().delete.iter().map(|removal| removal.why).collect::<Vec<_>>(),
        [RemovalReason::Deselected]
    );
}

/// In either order of the subnets, the adopted ENI stays, and the other subnet has a reason.
#[test]
fn an_adopted_eni_at_the_index_of_another_subnet_keeps_it_and_the_other_subnet_has_a_reason() {
    for subnets in [[SUBNET_A, SUBNET_B], [SUBNET_B, SUBNET_A]] {
        let mut world = World::new(vec![nodeeni("a", 1, &subnets)]);
        let index = if subnets[0] == SUBNET_A { 2 } else { 1 };
        let there = left(1, "a", SUBNET_A, index);
        world.nodeenis[0].upstream = vec![listed(&there)];
        world.interfaces.as_mut().unwrap().enis = vec![there];
        made(&mut world);
        let assignment = world.assign();
        assert!(assignment.is_settled() && assignment.outdated.is_empty(), "{assignment:?}");
        let name = world.attachments[0].name.clone();
        assert_eq!(assignment.refused[0].why, UnassignedReason::SlotPinned { slot: (0, index), name });
        assert_eq!(assignment.desired, [("uid-a".to_owned(), 2)]);
        assert_eq!(
            assignment.of_nodeeni("uid-a").awaited(),
            1,
            "the rollout does not wait for an ENI that cannot be created"
        );
    }
}

/// Lookups of instances are kept as long as their Nodes exist, so they may be old.
#[test]
fn nothing_is_adopted_by_an_expired_lookup() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.interfaces.as_mut().unwrap().enis = vec![left(1, "a", SUBNET_A, 4)];
    world.now = at(161);
    assert!(world.assign().create.iter().all(|new| new.adopts.is_none()));
    world.now = at(160);
    assert_eq!(adopts(&world.assign()).len(), 1);
}

#[test]
fn an_eni_that_another_eniattachment_has_is_not_adopted_after_a_move_by_hand() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    let there = left(1, "a", SUBNET_A, 4);
    world.interfaces.as_mut().unwrap().enis = vec![there.clone()];
    assert_eq!(adopts(&world.assign()), [(there.id.clone(), 4)]);
    world.held_elsewhere = Some(there.id);
    let assignment = world.assign();
    assert!(assignment.create.iter().all(|new| new.adopts.is_none()) && assignment.adopting.is_empty());
}

/// Upstream was still attaching ENIs when the instance was looked up for another reason.
#[test]
fn an_older_lookup_that_does_not_show_a_listed_eni_does_not_count() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.nodeenis[0].upstream = vec![listed(&left(1, "a", SUBNET_A, 4))];
    let interfaces = world.interfaces.as_mut().unwrap();
    (interfaces.enis, interfaces.as_of) = (vec![], world.now - SignedDuration::from_secs(26));
    let assignment = world.assign();
    assert!(assignment.adopting.contains("uid-a") && assignment.create.is_empty(), "{assignment:?}");
    assert!(assignment.needs.contains(&Need::LookupInterfaces(InstanceId::parse(INSTANCE).unwrap())));
    world.interfaces.as_mut().unwrap().as_of = world.now;
    assert!(world.assign().adopting.is_empty(), "the ENI is gone: a new one is created");
}

/// After a crash during adoption, the status still has what upstream wrote.
#[test]
fn an_adopting_status_still_lists_the_enis_of_upstream() {
    let mut object = NodeENI::new("a", NodeEniSpec::default());
    let there = left(1, "a", SUBNET_A, 1);
    let entry = multi_eni_api::nodeeni_status::AttachmentEntry {
        instance_id: INSTANCE.to_owned(),
        eni_id: there.id.to_string(),
        ..Default::default()
    };
    object.status = Some(multi_eni_api::NodeEniStatus { attachments: vec![entry], ..Default::default() });
    let nodeeni = NodeEni::read(&object);
    assert_eq!(nodeeni.upstream, [listed(&there)]);
    let status = crate::status::adopting(&nodeeni, &object.status.unwrap_or_default(), &["n0"], at(0));
    assert!(status.conditions.iter().any(|c| c.type_ == types::READY && c.reason == "Adopting" && c.status == "False"));
    object.status = Some(status);
    assert_eq!(NodeEni::read(&object).upstream, [listed(&there)]);
    // A status with observedGeneration was written by this controller.
    object.status.as_mut().unwrap().observed_generation = Some(1);
    assert!(NodeEni::read(&object).upstream.is_empty());
}
