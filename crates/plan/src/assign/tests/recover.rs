//! ENIs of this cluster whose ENIAttachment is lost.

use super::*;
use crate::lifecycle::tests::{attachment, eni};
use crate::observed::{AttachmentState, ObservedEni};
use multi_eni_api::names;

/// An ENI of this cluster that is attached in slot 1 and has no ENIAttachment.
fn lost() -> ObservedEni {
    let mut seen = eni(1);
    seen.tags = [
        (names::TAG_CLUSTER, "cluster"),
        (names::TAG_NODEENI, "a"),
        (names::TAG_NODEENI_UID, "uid-a"),
        (names::TAG_ATTACHMENT_UID, "uid-lost"),
    ]
    .into();
    seen.subnet = SubnetId::parse(SUBNET_A).ok();
    seen.attachment = Some(attachment(AttachmentState::Attached));
    seen
}

fn world(change: impl FnOnce(&mut ObservedEni)) -> World {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    let mut there = lost();
    change(&mut there);
    world.interfaces.as_mut().unwrap().enis = vec![there];
    world
}

fn adopted(assignment: &Assignment) -> Vec<&str> {
    assignment
        .create
        .iter()
        .filter(|new| new.spec.recovered)
        .filter_map(|new| new.spec.adopted_eni_id.as_deref())
        .collect()
}

#[test]
fn a_lost_eni_in_a_desired_slot_is_adopted_in_place_and_then_settled() {
    let mut world = world(|_| ());
    let assignment = world.assign();
    let [new] = assignment.create.as_slice() else { panic!("{assignment:?}") };
    assert_eq!((adopted(&assignment), assignment.delete.len()), (vec![lost().id.as_str()], 0));
    assert!(assignment.adopting.is_empty(), "its status is not upstream's");
    let mut eni_attachment = Attachment::read(&multi_eni_api::ENIAttachment::new(&new.name, new.spec.clone()));
    (eni_attachment.has_finalizer, eni_attachment.uid) = (true, "uid-new".to_owned());
    world.attachments.push(eni_attachment);
    assert!(world.assign().is_settled(), "{:?}", world.assign());
    // From then on the ENI is like any other: another device index replaces it.
    world.nodeenis = vec![nodeeni("a", 2, &[SUBNET_A])];
    let moved = world.assign();
    assert_eq!((moved.outdated["uid-a"].len(), moved.pinned.len()), (1, 0));
}

#[test]
fn a_lost_eni_in_another_subnet_is_adopted_and_replaced_in_its_turn() {
    let mut world = world(|eni| eni.subnet = SubnetId::parse(SUBNET_B).ok());
    let assignment = world.assign();
    assert_eq!(assignment.create[0].spec.request.subnet_id, SUBNET_B);
    let mut eni_attachment = Attachment::read(&multi_eni_api::ENIAttachment::new(
        &assignment.create[0].name,
        assignment.create[0].spec.clone(),
    ));
    (eni_attachment.has_finalizer, eni_attachment.uid) = (true, "uid-new".to_owned());
    world.attachments.push(eni_attachment);
    let next = world.assign();
    assert_eq!((next.delete.len(), next.outdated["uid-a"].len()), (0, 1), "the replacement waits for the rollout");
}

#[test]
fn a_nodeeni_that_was_created_again_adopts_by_its_name() {
    let again = world(|eni| {
        eni.tags.insert(names::TAG_NODEENI_UID, "uid-before");
    });
    assert_eq!(adopted(&again.assign()).len(), 1);
}

#[test]
fn no_other_eni_is_adopted() {
    type Change = fn(&mut ObservedEni);
    let cases: [(&str, Change); 5] = [
        ("another cluster's", |eni| eni.tags.insert(names::TAG_CLUSTER, "another")),
        ("another NodeENI's", |eni| eni.tags.extend([(names::TAG_NODEENI_UID, "uid-b"), (names::TAG_NODEENI, "b")])),
        ("without a NodeENI's UID", |eni| eni.tags = [(names::TAG_CLUSTER, "cluster")].into()),
        ("being detached", |eni| eni.attachment.as_mut().unwrap().state = AttachmentState::Detaching),
        ("in another slot", |eni| eni.attachment.as_mut().unwrap().index = 7),
    ];
    for (what, change) in cases {
        assert!(adopted(&world(change).assign()).is_empty(), "{what}");
    }
    let mut eni_attachment = world(|_| ());
    eni_attachment.held_elsewhere = Some(lost().id);
    assert!(eni_attachment.assign().create.is_empty(), "another ENIAttachment has it");
    let mut old = world(|_| ());
    old.now = at(100 + 61);
    assert!(old.assign().create.is_empty() && !old.assign().needs.is_empty(), "an expired lookup is repeated first");
    let mut without_finalizer = world(|_| ());
    without_finalizer.nodeenis[0].has_finalizer = false;
    assert!(without_finalizer.assign().create.is_empty());
}

#[test]
fn an_eni_that_may_be_adopted_is_no_orphan() {
    let world = world(|_| ());
    let (node, there) = (world.node.clone().unwrap(), lost());
    let nodeenis: Vec<&NodeEni> = world.nodeenis.iter().collect();
    assert!(may_be_adopted(&there, &node, &nodeenis, |_| true));
    assert!(!may_be_adopted(&there, &node, &nodeenis, |_| false), "the decision is known: the ENI is not needed");
    let other = ObservedNode { labels: StringMap::default(), ..node.clone() };
    assert!(!may_be_adopted(&there, &other, &nodeenis, |_| true), "the Node is not selected");
    let mut elsewhere = lost();
    elsewhere.attachment.as_mut().unwrap().index = 9;
    assert!(!may_be_adopted(&elsewhere, &node, &nodeenis, |_| true), "no such slot is asked for");
}

#[test]
fn the_nodeeni_whose_lost_eni_is_in_the_slot_holds_it_before_an_older_nodeeni() {
    let mut world = world(|_| ());
    world.nodeenis.insert(0, nodeeni("0", 1, &[SUBNET_A]));
    let assignment = world.assign();
    assert_eq!(adopted(&assignment), [lost().id.as_str()]);
    let refused = assignment.refused.iter().find(|refusal| refusal.nodeeni_uid == "uid-0").map(|refusal| &refusal.why);
    assert!(matches!(refused, Some(UnassignedReason::SlotHeld { holder, .. }) if holder == "a"), "{refused:?}");
    // An expired lookup, which is renewed at a long interval, gives the same reason.
    world.now = at(400);
    let later = world.assign();
    let refused = later.refused.iter().find(|refusal| refusal.nodeeni_uid == "uid-0").map(|refusal| &refusal.why);
    assert!(matches!(refused, Some(UnassignedReason::SlotHeld { leaving: false, .. })), "{refused:?}");
    world.now = at(100);
    // If its NodeENI asks for another slot by now, the lost ENI is not adopted, and the other NodeENI waits until it is removed.
    world.nodeenis[1] = nodeeni("a", 5, &[SUBNET_A]);
    assert!(adopted(&world.assign()).is_empty());
}

#[test]
fn an_eniattachment_restored_without_its_status_gives_way_to_the_eni_in_its_slot() {
    let mut world = world(|_| ());
    let new = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]).assign().create.remove(0);
    let mut restored = Attachment::read(&multi_eni_api::ENIAttachment::new(&new.name, new.spec));
    (restored.has_finalizer, restored.uid) = (true, "uid-restored".to_owned());
    world.attachments.push(restored.clone());
    let assignment = world.assign();
    assert_eq!((assignment.delete.len(), assignment.create.len()), (1, 0), "{assignment:?}");
    assert!(assignment.of_nodeeni("uid-a").is_open_at((0, 1)), "the ENI in the slot is no orphan meanwhile");
    assert!(!assignment.of_nodeeni("uid-a").is_open_at((0, 2)), "the NodeENI asks for no ENI in any other slot");
    // A new process has not looked up the instance yet. It asks for the lookup, whatever else holds the Create back.
    let interfaces = world.interfaces.take();
    let blind = world.assign();
    assert!(blind.needs.contains(&Need::LookupInterfaces(restored.instance.clone().unwrap())), "{blind:?}");
    world.interfaces = interfaces;
    // The restored ENIAttachment may have created another ENI in the meantime, which cannot be attached. An ENIAttachment whose
    // ENI is attached never gives way.
    world.attachments[0].status.eni_id = Some("eni-00000009".to_owned());
    assert_eq!(world.assign().delete.len(), 1);
    world.attachments[0].status.attachment_id = Some("eni-attach-1".to_owned());
    assert_eq!(world.assign().delete.len(), 0);
    // No ENI of this cluster is in the slot: the ENIAttachment gets an ENI like any other.
    world.attachments = vec![restored];
    world.interfaces.as_mut().unwrap().enis.clear();
    assert_eq!(world.assign().delete.len(), 0);
}
