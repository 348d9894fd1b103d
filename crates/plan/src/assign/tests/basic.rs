//! The basic rules: slots, subnets, labels, Nodes that leave, and lookups before a Create.

use super::*;

#[test]
fn two_nodeenis_give_two_enis_at_their_indexes_and_planning_again_gives_nothing() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A]), nodeeni("b", 2, &[SUBNET_B])]);
    world.settle();
    assert_eq!(world.indexes(), [(SUBNET_A.to_owned(), 1), (SUBNET_B.to_owned(), 2)]);
}

#[test]
fn subnets_of_the_zone_get_device_indexes_in_list_order() {
    let mut world = World::new(vec![nodeeni("a", 3, &[SUBNET_B, "subnet-00000003", SUBNET_A])]);
    world.settle();
    assert_eq!(world.indexes(), [(SUBNET_A.to_owned(), 4), (SUBNET_B.to_owned(), 3)]);
}

#[test]
fn a_subnet_that_is_listed_twice_gets_one_eni_in_its_first_place() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_B, SUBNET_A, SUBNET_B])]);
    let named = crate::nodeeni::SubnetRef::Name("storage".to_owned());
    world.nodeenis[0].spec.as_mut().unwrap().subnets.push(named);
    world.catalog.subnets_named.insert("storage".to_owned(), [SubnetId::parse(SUBNET_A).unwrap()].into());
    world.settle();
    assert_eq!(world.indexes(), [(SUBNET_A.to_owned(), 2), (SUBNET_B.to_owned(), 1)]);
}

#[test]
fn without_a_subnet_in_the_zone_there_is_a_reason_and_no_attachment() {
    let world = World::new(vec![nodeeni("a", 1, &["subnet-00000003"])]);
    let assignment = world.assign();
    assert!(assignment.create.is_empty());
    assert_eq!(
        assignment.refused[0].why,
        UnassignedReason::NoSubnetInZone { node: Location::in_region("z1"), subnets: vec![Location::in_region("z2")] }
    );
}

#[test]
fn an_unlabelled_node_keeps_its_enis_for_the_grace_period_and_a_label_flap_removes_nothing() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.settle();
    world.node.as_mut().unwrap().labels = StringMap::default();
    let first = world.assign();
    assert_eq!((first.deselect.len(), first.delete.len()), (1, 0));
    world.apply(&first);
    world.now = at(105);
    assert!(world.assign().is_settled() && world.assign().recheck == Some(at(110)));

    let mut back = World { attachments: world.attachments.clone(), ..World::new(world.nodeenis.clone()) };
    back.now = at(106);
    assert_eq!(back.assign().reselect.len(), 1);
    assert!(back.assign().delete.is_empty() && back.assign().create.is_empty());

    world.now = at(110);
    assert_eq!(world.assign().delete[0].why, RemovalReason::Deselected);
}

#[test]
fn a_node_being_deleted_loses_nothing_and_gets_nothing() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.node.as_mut().unwrap().deleting = true;
    assert!(world.assign().create.is_empty());
    world.node.as_mut().unwrap().deleting = false;
    world.settle();
    let node = world.node.as_mut().unwrap();
    node.deleting = true;
    node.labels = StringMap::default();
    assert!(world.assign().is_settled());
}

#[test]
fn a_gone_node_is_cleaned_up_at_once_if_its_instance_is_gone_and_after_the_grace_if_it_runs() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.settle();
    world.node = None;
    world.settle();
    assert!(world.assign().needs.contains(&Need::InstanceState(InstanceId::parse(INSTANCE).unwrap())));
    let lookup = |state, seconds| Some(InstanceObservation::first(state, at(seconds)));
    world.state = lookup(InstanceState::Terminated, 101);
    world.now = at(102);
    assert_eq!(world.assign().delete[0].why, RemovalReason::NodeGone);
    world.state = lookup(InstanceState::Running, 101);
    assert!(world.assign().delete.is_empty());
    assert_eq!(world.assign().recheck, Some(at(400)));
    world.now = at(401);
    assert_eq!(world.assign().needs.len(), 1, "one more lookup before the ENI is deleted");
    world.state = lookup(InstanceState::Running, 401);
    assert_eq!(world.assign().delete[0].why, RemovalReason::NodeGone);
}

#[test]
fn the_same_name_on_another_instance_is_another_node() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.settle();
    let old = world.attachments[0].name.clone();
    world.node.as_mut().unwrap().instance = Ok(InstanceId::parse("i-0fedcba9876543210").unwrap());
    let assignment = world.assign();
    assert_eq!(assignment.deselect, [old]);
    assert_eq!(assignment.create.len(), 1, "the new instance does not wait for the old one");
}

#[test]
fn the_oldest_nodeeni_gets_a_free_slot_and_a_holder_keeps_its_slot() {
    let mut younger = nodeeni("y", 1, &[SUBNET_B]);
    younger.created = at(5);
    let mut world = World::new(vec![younger.clone(), nodeeni("a", 1, &[SUBNET_A])]);
    let assignment = world.assign();
    assert_eq!(assignment.create[0].spec.node_eni_name, "a");
    assert_eq!(
        assignment.refused[0].why,
        UnassignedReason::SlotHeld {
            slot: (0, 1),
            holder: "a".into(),
            leaving: false,
            policies: SlotPolicies::default()
        }
    );

    world.nodeenis = vec![younger];
    world.settle();
    world.nodeenis.push(nodeeni("a", 1, &[SUBNET_A]));
    let assignment = world.assign();
    assert!(assignment.is_settled(), "an older NodeENI takes no slot that another one occupies");
}

#[test]
fn a_changed_subnet_replaces_the_eni_only_with_a_permit_and_deletes_the_old_one_first() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.settle();
    world.nodeenis = vec![nodeeni("a", 1, &[SUBNET_B])];
    assert!(world.assign().is_settled());
    assert_eq!(world.assign().refused[0].why, UnassignedReason::AwaitingRollout);
    world.permits = Permits::from([(
        "uid-a".to_owned(),
        [("n0".to_owned(), crate::rollout::Turn { had: 1, may_lose: true })].into(),
    )]);
    let assignment = world.assign();
    assert_eq!(assignment.delete[0].why, RemovalReason::Replaced);
    assert!(assignment.create.is_empty());
    let attachments: Vec<&Attachment> = world.attachments.iter().collect();
    assert!(
        assignment.is_coming("uid-a", &attachments),
        "the replacement is coming, although no ENIAttachment shows it yet"
    );
    assert!(!assignment.is_coming("uid-b", &[]));
    // An earlier process may have deleted the old ENIAttachment. The new one is created once the lookup that fails now succeeds.
    let mut unknown = World::new(vec![nodeeni("a", 1, &[SUBNET_B])]);
    unknown.node.as_mut().unwrap().instance_type = Some("t3.small".into());
    let lookup = CatalogLookup::InstanceTypes;
    let expired = CallError::Answered { code: "ExpiredToken".into(), message: "expired".into() };
    let failure = LookupFailure::next(None, lookup.action(), &expired, unknown.now);
    unknown.catalog.failures.insert(lookup, failure.clone());
    assert!(
        matches!(unknown.assign().refused[0].why, UnassignedReason::LookupPending(_)),
        "a single failure is not reported"
    );
    assert_eq!(unknown.assign().recheck, Some(failure.report_at()));
    unknown.now = failure.report_at();
    assert!(matches!(unknown.assign().refused[0].why, UnassignedReason::LookupFailed(_)));
    assert!(unknown.assign().is_coming("uid-a", &[]));
    world.attachments[0].deleting = Some(at(100));
    assert!(world.assign().create.is_empty(), "the old ENIAttachment still exists");
    world.attachments.clear();
    world.settle();
    assert_eq!(world.indexes(), [(SUBNET_B.to_owned(), 1)]);
}

#[test]
fn a_deleted_or_vanished_nodeeni_loses_its_enis_and_an_unreadable_one_keeps_them() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.settle();
    world.nodeenis[0].deleting = true;
    assert_eq!(world.assign().delete[0].why, RemovalReason::NodeEniDeleted);
    world.nodeenis[0].deleting = false;
    world.nodeenis[0].spec = Err(crate::nodeeni::Unreadable::NoSubnet);
    assert!(world.assign().is_settled());
    // A NodeENI that is not shown, though its finalizer should keep it, may be shown again.
    let vanished = std::mem::take(&mut world.nodeenis);
    assert_eq!((world.assign().delete.len(), world.assign().deselect.len()), (0, 1));
    world.attachments[0].deselected_since = Some(world.now);
    world.now += world.settings.node_gone_grace - SignedDuration::from_secs(1);
    assert!(world.assign().delete.is_empty());
    world.nodeenis = vanished;
    world.nodeenis[0].spec = nodeeni("a", 1, &[SUBNET_A]).spec;
    assert_eq!((world.assign().delete.len(), world.assign().reselect.len()), (0, 1));
    world.nodeenis.clear();
    world.now += SignedDuration::from_secs(1);
    assert_eq!(world.assign().delete[0].why, RemovalReason::NodeEniDeleted);
}

#[test]
fn a_slot_with_a_foreign_eni_is_a_reason_and_nothing_is_created() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    let mut eni = crate::lifecycle::tests::eni(1);
    eni.tags = StringMap::default();
    eni.attachment = Some(crate::lifecycle::tests::attachment(crate::observed::AttachmentState::Attached));
    world.interfaces.as_mut().unwrap().enis.push(eni);
    let assignment = world.assign();
    assert!(assignment.create.is_empty());
    assert!(matches!(assignment.refused[0].why, UnassignedReason::SlotTaken { slot: (0, 1), .. }), "{assignment:?}");
    // The user may have freed the slot before creating a NodeENI after this lookup.
    world.nodeenis[0].created = at(110);
    world.now = at(111);
    let assignment = world.assign();
    assert!(matches!(assignment.refused[0].why, UnassignedReason::LookupPending(_)), "{assignment:?}");
    assert_eq!((assignment.needs.len(), assignment.recheck), (1, None));
}

/// A recheck that is due at once would be repeated without end, before any lookup could end.
#[test]
fn an_expired_lookup_is_repeated_before_an_eni_is_created() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.now = at(100 + 61);
    let assignment = world.assign();
    assert!(assignment.create.is_empty());
    assert!(matches!(assignment.refused[0].why, UnassignedReason::LookupPending(_)), "{assignment:?}");
    assert_eq!((assignment.needs.len(), assignment.recheck), (1, None));
    world.interfaces.as_mut().unwrap().as_of = world.now;
    assert_eq!(world.assign().create.len(), 1);
}

#[test]
fn nothing_is_created_before_the_lookup_and_before_the_finalizer() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.interfaces = None;
    assert!(world.assign().create.is_empty() && world.assign().needs.len() == 1);
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.nodeenis[0].has_finalizer = false;
    assert!(world.assign().create.is_empty());
}

/// The deletion names the version of the object, which another write would change.
#[test]
fn an_eniattachment_that_is_deleted_gets_no_other_write() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A, SUBNET_B])]);
    world.settle();
    let mut edited = nodeeni("a", 1, &[SUBNET_A]);
    edited.spec.as_mut().unwrap().node_settings.mtu = Some(9001);
    world.nodeenis = vec![edited];
    let plan = world.assign();
    let deleted: Vec<&str> = plan.delete.iter().map(|removal| &*removal.name).collect();
    let configured: Vec<&str> = plan.reconfigure.iter().map(|(name, _)| &**name).collect();
    assert_eq!((deleted.len(), configured.len()), (1, 1), "{plan:?}");
    assert_ne!(deleted, configured);
}

#[test]
fn settings_for_the_node_agent_follow_the_nodeeni_without_a_new_eni() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.settle();
    let spec = world.nodeenis[0].spec.as_mut().unwrap();
    (spec.node_settings.mtu, spec.node_settings.dpdk_driver) = (Some(9001), Some("vfio-pci".into()));
    let next = world.assign();
    assert_eq!(next.reconfigure.len(), 1, "{next:?}");
    assert_eq!(next.reconfigure[0].1.mtu, Some(9001));
    assert!(next.create.is_empty() && next.delete.is_empty() && next.outdated.is_empty());
    world.attachments[0].node_settings = next.reconfigure[0].1.clone().into();
    assert!(world.assign().is_settled());
}
