//! ENIs that were created and that EC2 refuses to attach.

use super::*;
use crate::ec2_errors::CallError;
use crate::named_groups::NamedGroups;
use multi_eni_api::eniattachment::LastError;

/// The error of an Attach to a slot with a foreign ENI.
fn slot_taken(index: i32) -> LastError {
    LastError {
        action: "AttachNetworkInterface".to_owned(),
        code: "InvalidParameterValue".to_owned(),
        message: format!("Instance '{INSTANCE}' already has an interface attached at device index '{index}'."),
        at: None,
        count: 3,
    }
}

/// The slot has a foreign ENI, and the NodeENI names a group that EC2 does not know.
#[test]
fn an_unattachable_eni_is_deleted_after_a_while_even_if_a_group_is_not_resolved() {
    let mut a = nodeeni("a", 1, &[SUBNET_A]);
    a.spec.as_mut().unwrap().group_names = vec!["no such group".to_owned()];
    let mut world = World::new(vec![a]);
    world.catalog.groups_named.insert("no such group".to_owned(), NamedGroups::default());
    let mut mine = new_attachment("n0", 1, false);
    mine.status.eni_id = Some("eni-0123456789abcdef0".to_owned());
    mine.status.last_error = Some(slot_taken(1));
    world.attachments.push(mine);
    let kept = world.settings.unattachable_kept;
    world.now = at(0) + kept - SignedDuration::from_secs(1);
    assert_eq!(world.assign().delete, []);
    world.now = at(0) + kept;
    let assignment = world.assign();
    assert_eq!(assignment.delete.iter().map(|removal| removal.why).collect::<Vec<_>>(), [RemovalReason::Unattachable]);
    assert!(assignment.create.is_empty(), "{assignment:?}");
    // Before the name is looked up, the status may be older than the state on EC2.
    let asked = std::mem::take(&mut world.catalog.groups_named);
    assert_eq!(world.assign().delete, []);
    world.catalog.groups_named = asked;
    // An attached ENI stays, whatever is not known.
    world.attachments[0].status.attachment_id = Some("eni-attach-1".to_owned());
    assert_eq!(world.assign().delete, []);
}

/// AttachmentLimitExceeded although the limits of the type are not reached, and other errors that last.
#[test]
fn an_eni_that_ec2_refuses_to_attach_is_deleted_and_created_again_only_after_a_change() {
    let refused = |code: &str| {
        let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
        let new = world.assign().create.pop().unwrap();
        let mut mine = new_attachment("n0", 1, false);
        (mine.name, mine.request) = (new.name, new.spec.request.into());
        mine.status.eni_id = Some("eni-0123456789abcdef0".to_owned());
        mine.status.last_error = Some(LastError {
            action: "AttachNetworkInterface".to_owned(),
            code: code.to_owned(),
            message: "Interface count 4 exceeds the limit".to_owned(),
            at: None,
            count: 3,
        });
        world.attachments.push(mine);
        world.now = at(0) + world.settings.unattachable_kept;
        world
    };
    for code in ["UnauthorizedOperation", "ExpiredToken", "RequestLimitExceeded", "InternalError", "IncorrectState"] {
        assert_eq!(refused(code).assign().delete, [], "{code}");
    }
    for code in [
        "AttachmentLimitExceeded",
        "InvalidParameterCombination",
        "InvalidInterface.IpAddressLimitExceeded",
        "UnsupportedOperation",
        "OperationNotPermitted",
        "NeverHeardOf",
    ] {
        let mut world = refused(code);
        let why = world.assign().delete.iter().map(|removal| removal.why).collect::<Vec<_>>();
        assert_eq!(why, [RemovalReason::Unattachable], "{code}");
        let gone = world.attachments.pop().unwrap();
        let error = CallError::Answered { code: code.into(), message: "no".into() };
        let at_refusal = InstanceAtRefusal::after(&error, world.now).unwrap();
        let record = AttachRefusal::of(&gone, world.node.as_ref(), world.interfaces.as_ref(), &at_refusal, world.now);
        world.refused_attach.insert(gone.name.clone(), record);
        if let Some(interfaces) = &mut world.interfaces {
            interfaces.as_of = world.now;
        }
        let assignment = world.assign();
        assert!(assignment.create.is_empty(), "{code}: {assignment:?}");
        assert_eq!(assignment.refused[0].why.reason(), "AttachRefused");
        // The Node of these tests has no label with its type.
        let is_of_a_type = matches!(code, "AttachmentLimitExceeded" | "InvalidInterface.IpAddressLimitExceeded");
        let sentence = assignment.refused[0].why.sentence(world.now);
        assert_eq!(sentence.contains("no label node.kubernetes.io/instance-type"), is_of_a_type, "{code}: {sentence}");
        // The ENIs on the instance change.
        if let Some(interfaces) = &mut world.interfaces {
            interfaces.enis.retain(|_| false);
            let mut other = crate::lifecycle::tests::eni(77);
            other.tags = Default::default();
            interfaces.enis.push(other);
        }
        assert_eq!(world.assign().create.len(), 1, "{code}");
    }
}

#[test]
fn an_interface_that_left_between_the_refusal_and_the_deletion_is_a_change() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    let error = CallError::Answered { code: "AttachmentLimitExceeded".into(), message: "full".into() };
    assert!(
        InstanceAtRefusal::after(&CallError::Unknown("timeout".into()), world.now).is_none(),
        "this error says nothing about the ENI"
    );
    let mut at_refusal = InstanceAtRefusal::after(&error, at(50)).unwrap();
    let mut then = world.interfaces.clone().unwrap();
    (then.as_of, then.enis) = (at(40), vec![]);
    at_refusal.take(&then);
    let mut occupant = crate::lifecycle::tests::eni(7);
    occupant.attachment = Some(crate::lifecycle::tests::attachment(crate::observed::AttachmentState::Attached));
    (then.as_of, then.enis) = (at(51), vec![occupant]);
    at_refusal.take(&then);
    (then.as_of, then.enis) = (at(60), vec![]);
    at_refusal.take(&then);
    // A refusal for a slot that lookups show free is recorded. Otherwise EC2 would refuse a new ENI every ten minutes.
    let mut taken = new_attachment("n0", 1, false);
    taken.status.last_error = Some(slot_taken(1));
    assert!(AttachRefusal::is_of_its_slot(&taken, Some(&at_refusal)) && AttachRefusal::is_of_its_slot(&taken, None));
    let mut unseen = InstanceAtRefusal::after(&error, at(50)).unwrap();
    unseen.take(&then);
    assert!(!AttachRefusal::is_of_its_slot(&taken, Some(&unseen)));
    let new = world.assign().create[0].clone();
    let attachment = Attachment { request: new.spec.request.clone().into(), ..new_attachment("n0", 1, false) };
    let record = AttachRefusal::of(&attachment, world.node.as_ref(), world.interfaces.as_ref(), &at_refusal, world.now);
    world.refused_attach.insert(new.name.clone(), record);
    assert_eq!(
        world.assign().create.len(),
        1,
        "the first lookup after the refusal showed another ENI in the slot, which has been detached since"
    );
    let still = AttachRefusal::of(
        &attachment,
        world.node.as_ref(),
        world.interfaces.as_ref(),
        &InstanceAtRefusal::after(&error, at(50)).unwrap(),
        world.now,
    );
    world.refused_attach.insert(new.name, still);
    assert!(world.assign().create.is_empty(), "nothing has changed");
    for (hours, made) in [(5, 0), (6, 1)] {
        world.now = at(100 + hours * 3600);
        world.interfaces.as_mut().unwrap().as_of = world.now;
        assert_eq!(world.assign().create.len(), made, "after {hours} hours: volumes count toward the limit, too");
    }
}

/// The adopted ENI was detached by hand, a foreign ENI took its slot, and the spec asks for a network card that the type does not
/// have.
#[test]
fn an_unattachable_eni_is_deleted_although_its_replacement_cannot_be_attached() {
    let mut a = nodeeni("a", 4, &[SUBNET_B]);
    a.spec.as_mut().unwrap().card = 1;
    let mut world = World::new(vec![a]);
    let cards = crate::observed::InstanceLimits { enis: 4, cards: vec![4], ipv4_per_eni: 10, ipv6_per_eni: 10 };
    world.node.as_mut().unwrap().instance_type = Some("t3.small".into());
    world.catalog.instance_types.insert("t3.small".into(), Some(cards));
    let mut mine = new_attachment("n0", 6, false);
    mine.adopted = EniId::parse("eni-0123456789abcdef0").ok();
    mine.status.eni_id = Some("eni-0123456789abcdef0".to_owned());
    mine.status.last_error = Some(slot_taken(6));
    world.attachments.push(mine);
    let kept = world.settings.unattachable_kept;
    world.now = at(0) + kept - SignedDuration::from_secs(1);
    assert_eq!(world.assign().delete, []);
    world.now = at(0) + kept;
    assert_eq!(
        world.assign().delete.iter().map(|removal| removal.why).collect::<Vec<_>>(),
        [RemovalReason::Unattachable]
    );
}
