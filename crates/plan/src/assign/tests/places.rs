//! The Availability Zone of a node, by EC2, the providerID and the label.

use super::*;

const SUBNET_FAR: &str = "subnet-00000003";

/// Each ENIAttachment reports its ENI as attached.
fn attach_all(world: &mut World) {
    for attachment in &mut world.attachments {
        set(
            &mut attachment.status.conditions,
            ConditionUpdate::new(types::ATTACHED, true, "Attached", ""),
            None,
            at(0),
        );
        attachment.status.eni_id = Some("eni-00000001".into());
        attachment.status.attachment_id = Some("eni-attach-1".into());
    }
}

/// A settled node with its ENI attached. The last lookup of its instance shows no zone.
fn settled() -> World {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A, SUBNET_FAR])]);
    world.settle();
    attach_all(&mut world);
    world
}

fn label(world: &mut World, zone: &str) {
    world.node.as_mut().unwrap().labels.insert(crate::observed::ZONE_LABEL, zone);
}

/// Asserts that nothing is created or removed; returns the reasons that are reported.
fn reported_reasons(world: &World) -> Vec<&'static str> {
    let next = world.assign();
    assert!(next.create.is_empty() && next.delete.is_empty() && next.outdated.is_empty(), "{next:?}");
    assert!(next.deselect.is_empty(), "{next:?}");
    let refused = next.refused.iter().map(|refusal| refusal.why.reason());
    next.problems.iter().map(|(_, problem)| problem.reason).chain(refused).collect()
}

#[test]
fn a_changed_label_or_provider_id_removes_nothing_and_is_reported() {
    for interfaces in [settled().interfaces, None] {
        let mut world = settled();
        world.interfaces = interfaces;
        assert_eq!(reported_reasons(&world), [""; 0]);
        // z2 is the zone of the other listed subnet. No subnet is in z9.
        for zone in ["z2", "z9"] {
            label(&mut world, zone);
            assert_eq!(reported_reasons(&world), [ZONE_CONTRADICTION], "{zone}");
            world.node.as_mut().unwrap().zone = Some(zone.into());
            assert_eq!(reported_reasons(&world), [ZONE_CONTRADICTION], "{zone}, and the providerID too");
            world.node.as_mut().unwrap().zone = None;
            assert_eq!(reported_reasons(&world), [ZONE_CONTRADICTION], "{zone}, and no providerID");
            world.node.as_mut().unwrap().zone = Some("z1".into());
        }
        // The instance type limits new ENIs, and never removes one.
        label(&mut world, "z1");
        world.node.as_mut().unwrap().instance_type = Some("t3.nano".into());
        world.catalog.instance_types.insert("t3.nano".into(), None);
        assert_eq!(reported_reasons(&world), [""; 0]);
    }
}

#[test]
fn contradicting_zones_of_ec2_create_nothing_and_remove_nothing() {
    let mut world = settled();
    world.interfaces = Some(InstanceInterfaces { zone: Some("z2".into()), ..world.interfaces.clone().unwrap() });
    assert_eq!(reported_reasons(&world), [ZONE_CONTRADICTION]);
}

#[test]
fn on_a_contradiction_the_instance_is_looked_up_before_an_eni_is_created() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A, SUBNET_FAR])]);
    world.interfaces = None;
    label(&mut world, "z2");
    let next = world.assign();
    assert!(
        next.create.is_empty() && next.needs.iter().any(|need| matches!(need, Need::LookupInterfaces(_))),
        "{next:?}"
    );
    world.interfaces = Some(InstanceInterfaces {
        as_of: at(100),
        vpc: Some("vpc-1".into()),
        zone: Some("z1".into()),
        ..Default::default()
    });
    let next = world.assign();
    assert_eq!(next.create[0].spec.request.subnet_id, SUBNET_A);
    let message = &next.problems[0].1.message;
    assert!(!message.contains("n0") && message.contains("z1") && message.contains("z2"), "{message}");
}

#[test]
fn an_eni_whose_subnet_left_the_list_is_deleted_and_one_in_a_listed_subnet_stays() {
    let mut world = settled();
    world.nodeenis = vec![nodeeni("a", 1, &[SUBNET_FAR])];
    let next = world.assign();
    assert_eq!(next.delete.len(), 1, "its subnet was removed from the list: {next:?}");
    // The subnet is listed, and the providerID names a zone without a listed subnet.
    let mut world = settled();
    set(
        &mut world.attachments[0].status.conditions,
        ConditionUpdate::new(types::ATTACHED, false, "TagsRemoved", ""),
        None,
        at(0),
    );
    world.node.as_mut().unwrap().zone = Some("z9".into());
    assert_eq!(reported_reasons(&world), [ZONE_CONTRADICTION]);
}

#[test]
fn a_node_of_another_region_is_not_looked_up_and_only_its_region_is_reported() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.region = Some("us-east-1".to_owned());
    world.node.as_mut().unwrap().zone = Some("ap-southeast-2c".to_owned());
    world.interfaces = None;
    let (zone, region) = ("ap-southeast-2c".to_owned(), "us-east-1".to_owned());
    let refused = world.assign();
    assert_eq!(refused.refused[0].why, UnassignedReason::OtherRegion { zone, region });
    assert!(refused.create.is_empty() && refused.needs.is_empty() && refused.recheck.is_none(), "{refused:?}");
    // The same for an instance that lookups have missed.
    let gone = InstanceObservation::first(InstanceState::Missing, at(10)).then(InstanceState::Missing, at(90));
    world.state = Some(gone);
    assert_eq!(world.assign().refused[0].why.reason(), "NodeInOtherRegion");
    // A Local Zone belongs to the Region in its name.
    world.node.as_mut().unwrap().zone = Some("us-east-1-bos-1a".to_owned());
    assert_ne!(world.assign().refused[0].why.reason(), "NodeInOtherRegion");
}

/// The tag Name moves from one subnet to another: the old subnet loses it before the new one has it (cilium/cilium#32346).
#[test]
fn an_eni_in_use_stays_for_a_while_when_the_name_stands_for_no_subnet_of_the_zone() {
    let mut world = World::new(vec![named("storage")]);
    let far = SubnetId::parse(SUBNET_FAR).unwrap();
    let stands_for = |world: &mut World, zone_one: Option<&str>| {
        let here = zone_one.map(|id| SubnetId::parse(id).unwrap());
        world.catalog.subnets_named.insert("storage".into(), here.iter().cloned().chain([far.clone()]).collect());
        world.catalog.subnets_named_since.insert("storage".into(), world.now);
        for subnet in world.catalog.subnets.values_mut() {
            subnet.name = (subnet.id == far || here.as_ref() == Some(&subnet.id)).then(|| "storage".to_owned());
        }
    };
    stands_for(&mut world, Some(SUBNET_A));
    world.settle();
    attach_all(&mut world);
    world.now = at(1_000);
    stands_for(&mut world, None);
    let until = world.now.saturating_add(crate::assign::listed_subnets::NAME_STANDS).unwrap();
    assert_eq!(reported_reasons(&world), ["SubnetNameMoved"]);
    assert_eq!(world.assign().recheck, Some(until));

    // The new subnet has the name: the nodes are replaced one at a time.
    let mut moved = World { attachments: world.attachments.clone(), ..World::new(vec![named("storage")]) };
    moved.now = at(1_060);
    stands_for(&mut moved, Some(SUBNET_B));
    let next = moved.assign();
    assert!(next.delete.is_empty() && next.outdated.len() == 1, "{next:?}");

    // No subnet got the name in time: the ENI is deleted.
    world.now = until;
    if let Some(interfaces) = &mut world.interfaces {
        interfaces.as_of = until;
    }
    assert_eq!(world.assign().delete.len(), 1, "{:?}", world.assign());
}

fn named(name: &str) -> NodeEni {
    let spec = NodeEniSpec {
        node_selector: BTreeMap::from([("ng".to_owned(), "multi-eni".to_owned())]),
        subnet_name: Some(name.to_owned()),
        device_index: 1,
        ..Default::default()
    };
    let mut object = NodeENI::new("a", spec);
    object.metadata.uid = Some("uid-a".to_owned());
    object.metadata.creation_timestamp = Some(Time(at(0)));
    object.metadata.finalizers = Some(vec![multi_eni_api::names::NODEENI_FINALIZER.to_owned()]);
    NodeEni::read(&object)
}
