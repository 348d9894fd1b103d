//! An ENIAttachment that is stored and cannot be read holds its slot. Nothing else is known about it.

use super::*;
use multi_eni_api::ENIAttachment;
use multi_eni_api::names::attachment_name;

fn remains(nodeeni: &NodeEni, index: i32) -> Attachment {
    let mut object = ENIAttachment::new("", Default::default());
    let name = attachment_name(&nodeeni.name, &nodeeni.uid, INSTANCE, 0, index);
    object.metadata.name = Some(name);
    object.metadata.uid = Some("uid-remains".into());
    object.metadata.labels = Some([(multi_eni_api::names::LABEL_NODEENI_UID.to_owned(), nodeeni.uid.clone())].into());
    object.metadata.finalizers = Some(vec![multi_eni_api::names::ENIATTACHMENT_FINALIZER.to_owned()]);
    Attachment::read_remains(&object, "missing field `nodeUID`")
}

fn world() -> World {
    let nodeeni = nodeeni("a", 1, &[SUBNET_A]);
    let attachment = remains(&nodeeni, 1);
    World { attachments: vec![attachment], ..World::new(vec![nodeeni]) }
}

#[test]
fn the_name_and_the_label_of_an_unreadable_eniattachment_name_its_slot_and_nodeeni() {
    let attachment = &world().attachments[0];
    assert_eq!(attachment.instance.as_ref().map(InstanceId::as_str), Some(INSTANCE));
    assert_eq!((attachment.slot(), attachment.nodeeni_uid.as_str()), ((0, 1), "uid-a"));
    assert!(!attachment.awaits_its_eni() && !attachment.is_torn());
}

#[test]
fn an_unreadable_eniattachment_is_neither_replaced_nor_removed() {
    let mut gone_node = world();
    gone_node.node = None;
    let mut unlabelled = world();
    unlabelled.node.as_mut().unwrap().labels = StringMap::default();
    let mut deleted = world();
    deleted.nodeenis[0].deleting = true;
    let vanished = World { nodeenis: vec![], ..world() };
    let moved = World { nodeenis: vec![nodeeni("a", 1, &[SUBNET_B])], ..world() };
    for (what, mut world) in [
        ("wanted", world()),
        ("gone", gone_node),
        ("unlabelled", unlabelled),
        ("deleted", deleted),
        ("vanished", vanished),
        ("moved", moved),
    ] {
        for later in [0, 30, 4000] {
            world.now = at(later);
            let assignment = world.assign();
            assert!(assignment.is_settled() && assignment.create.is_empty(), "{what} at {later}: {assignment:#?}");
        }
    }
}

#[test]
fn another_nodeeni_does_not_get_the_slot_of_an_unreadable_eniattachment() {
    let mut world = world();
    world.nodeenis.push(nodeeni("b", 1, &[SUBNET_A]));
    let assignment = world.assign();
    assert!(assignment.create.is_empty(), "{assignment:#?}");
    let why: Vec<&str> = assignment.refused.iter().map(|refusal| refusal.why.reason()).collect();
    assert_eq!(why, ["DeviceIndexConflict"]);
}
