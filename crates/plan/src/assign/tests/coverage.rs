//! Nodes that a NodeENI does not serve: joining nodes, zones without a subnet, nodes that can have no ENI, and entries of the list
//! that EC2 does not know.

use super::*;
use crate::nodeeni::SubnetRef;
use crate::observed::{InstanceLimits, NotOnEc2, Unattachable};
use serde_json::json;

const OTHER_ZONE: &str = "subnet-00000003";
const MISSING: &str = "subnet-0000dead";

fn missing_too(world: &mut World) {
    world.catalog.missing_subnets.insert(SubnetId::parse(MISSING).unwrap(), at(0));
}

fn reason(assignment: &Assignment) -> &UnassignedReason {
    &assignment.refused[0].why
}

#[test]
fn a_node_without_a_provider_id_is_joining_for_five_minutes_or_while_its_taint_stands() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    let node = world.node.as_mut().unwrap();
    (node.instance, node.zone) = (Err(NotOnEc2::NoProviderId), None);
    world.now = at(299);
    let joining = world.assign();
    assert_eq!((reason(&joining), joining.recheck), (&UnassignedReason::Joining("its providerID"), Some(at(300))));
    assert!(reason(&joining).is_transient());
    assert!(!joining.is_coming("uid-a", &[]), "it holds no rollout: its first ENI comes when it has joined");
    world.now = at(300);
    let assignment = world.assign();
    assert_eq!(reason(&assignment), &UnassignedReason::NoProviderId);
    assert!(!reason(&assignment).is_transient());
    world.node.as_mut().unwrap().uninitialized = true;
    assert_eq!(reason(&world.assign()), &UnassignedReason::Joining("its providerID"));
}

#[test]
fn a_node_whose_zone_no_source_names_is_joining_for_five_minutes_or_while_its_taint_stands() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.node.as_mut().unwrap().zone = None;
    assert_eq!(world.node.as_ref().unwrap().zone_by_label(), None);
    assert_eq!(world.interfaces.as_ref().unwrap().zone, None, "the lookup shows no zone");
    world.now = at(299);
    let joining = world.assign();
    assert_eq!((reason(&joining), joining.recheck), (&UnassignedReason::Joining("its zone"), Some(at(300))));
    assert!(reason(&joining).is_transient() && joining.create.is_empty());
    world.now = at(300);
    let assignment = world.assign();
    assert_eq!(reason(&assignment), &UnassignedReason::NoZone);
    assert!(!reason(&assignment).is_transient() && assignment.create.is_empty());
    world.node.as_mut().unwrap().uninitialized = true;
    assert_eq!(reason(&world.assign()), &UnassignedReason::Joining("its zone"));
    // Before the first lookup, it may still show the zone.
    world.interfaces = None;
    assert!(matches!(reason(&world.assign()), UnassignedReason::LookupPending(_)));
}

#[test]
fn a_missing_subnet_name_and_terms_without_a_subnet_mention_shared_subnets() {
    let why = [
        UnassignedReason::SubnetMissing(SubnetRef::Name("storage".into())),
        UnassignedReason::NoSubnetMatches("tag Name=storage".into()),
    ];
    for why in why {
        assert!(why.sentence(at(100)).contains("shows none of its owner's tags"), "{why:?}");
    }
}

/// The sentence names a term that excludes such Nodes.
#[test]
fn each_kind_of_node_without_enis_can_be_excluded_by_its_label() {
    for (what, key, value) in [
        (Unattachable::Fargate, "eks.amazonaws.com/compute-type", "fargate"),
        (Unattachable::Hybrid, "eks.amazonaws.com/compute-type", "hybrid"),
        (Unattachable::HyperPod, "sagemaker.amazonaws.com/compute-type", "hyperpod"),
    ] {
        let sentence = UnassignedReason::Unsupported(what.clone()).sentence(at(0));
        let term = format!("nodeSelectorTerms with key {key}, operator NotIn, values [{value}]");
        assert!(sentence.ends_with(&term), "{sentence}");
        let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
        world.node.as_mut().unwrap().instance = Err(NotOnEc2::Never(what));
        world.node.as_mut().unwrap().labels = [("ng", "multi-eni"), (key, value)].into();
        assert_eq!(world.assign().refused.len(), 1, "selected by its label ng");
        let not = json!({ "matchExpressions": [{ "key": key, "operator": "NotIn", "values": [value] }] });
        let spec = json!({
            "nodeSelector": { "ng": "multi-eni" }, "nodeSelectorTerms": [not], "subnetIDs": [SUBNET_A], "deviceIndex": 1,
        });
        let mut object = NodeENI::new("a", serde_json::from_value(spec).unwrap());
        object.metadata.uid = Some("uid-a".to_owned());
        world.nodeenis = vec![NodeEni::read(&object)];
        assert_eq!(world.assign().refused, [], "{key}");
    }
    let other = UnassignedReason::Unsupported(Unattachable::OtherProvider("gce://a/b/c".into())).sentence(at(0));
    assert!(other.ends_with("exclude it by its labels"), "{other}");
    let auto = UnassignedReason::ManagedInstance { operator: None }.sentence(at(0));
    assert!(auto.ends_with("key eks.amazonaws.com/compute-type, operator NotIn, values [auto]"), "{auto}");
}

#[test]
fn a_node_that_can_have_no_eni_is_not_covered_and_no_failure() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.node.as_mut().unwrap().instance = Err(NotOnEc2::Never(Unattachable::Fargate));
    let assignment = world.assign();
    assert_eq!(reason(&assignment), &UnassignedReason::Unsupported(Unattachable::Fargate));
    assert!(reason(&assignment).is_not_covered() && assignment.needs.is_empty());
    assert_eq!(assignment.desired, [("uid-a".to_owned(), 0)]);
}

#[test]
fn nothing_is_created_on_an_instance_that_a_service_manages_and_what_is_there_stays() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    let by_label = |world: &mut World, value: &'static str| {
        let labels = [("ng", "multi-eni"), ("eks.amazonaws.com/compute-type", value)];
        world.node.as_mut().unwrap().labels = labels.into();
    };
    by_label(&mut world, "auto");
    let assignment = world.assign();
    assert_eq!(reason(&assignment), &UnassignedReason::ManagedInstance { operator: None });
    assert!(assignment.create.is_empty() && assignment.needs.is_empty(), "no Create, no lookup");
    by_label(&mut world, "ec2");
    world.interfaces.as_mut().unwrap().operator = Some("eks.amazonaws.com".into());
    assert!(reason(&world.assign()).sentence(at(100)).starts_with("eks.amazonaws.com manages the instance"));
    // A person may set the label on a node that has its ENI.
    world.interfaces.as_mut().unwrap().operator = None;
    world.settle();
    by_label(&mut world, "auto");
    let assignment = world.assign();
    assert!(assignment.is_settled() && assignment.delete.is_empty(), "{assignment:?}");
}

#[test]
fn an_unknown_entry_of_the_list_stops_only_the_nodes_that_it_concerns() {
    let mut world = World::new(vec![nodeeni("a", 1, &[MISSING, SUBNET_A])]);
    missing_too(&mut world);
    let assignment = world.assign();
    assert_eq!((assignment.create.len(), assignment.refused.len()), (1, 0));
    let (uid, problem) = &assignment.problems[0];
    assert_eq!((uid.as_str(), problem.reason), ("uid-a", "SubnetNotFound"));
    let message = "EC2 knows no subnet subnet-0000dead, an entry of the NodeENI's list, in this account and Region: correct the \
                   NodeENI or create the subnet";
    assert_eq!((problem.message.as_str(), problem.node.as_deref()), (message, None), "the node has its ENI");
    // In another zone the unknown entry may be the one that counts.
    world.nodeenis = vec![nodeeni("a", 1, &[OTHER_ZONE, MISSING])];
    let id = SubnetId::parse(MISSING).unwrap();
    let concerned = world.assign();
    assert_eq!(reason(&concerned), &UnassignedReason::SubnetMissing(SubnetRef::Id(id)));
    assert!(concerned.create.is_empty());
}

#[test]
fn an_entry_that_ec2_does_not_know_any_more_takes_no_eni_and_moves_none() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A, SUBNET_B])]);
    world.settle();
    let before = world.indexes();
    // The first subnet vanishes: its ENI stays, and the second one's does not move to the first index.
    let id = SubnetId::parse(SUBNET_A).unwrap();
    world.catalog.subnets.remove(&id);
    world.catalog.missing_subnets.insert(id.clone(), at(90));
    let assignment = world.assign();
    assert_eq!(reason(&assignment), &UnassignedReason::SubnetMissing(SubnetRef::Id(id)));
    assert!(assignment.is_settled() && assignment.outdated.is_empty(), "{assignment:?}");
    assert_eq!(world.indexes(), before);
}

#[test]
fn a_device_index_beyond_its_network_card_is_refused_before_anything_is_made() {
    let mut world = World::new(vec![nodeeni("a", 15, &[SUBNET_A])]);
    world.node.as_mut().unwrap().instance_type = Some("p4d.24xlarge".into());
    let limits = InstanceLimits { enis: 60, cards: vec![15; 4], ipv4_per_eni: 50, ipv6_per_eni: 50 };
    world.catalog.instance_types.insert("p4d.24xlarge".into(), Some(limits));
    let refused = world.assign();
    let why = UnassignedReason::IndexBeyondCard { kind: "p4d.24xlarge".into(), slot: (0, 15), most: 15 };
    assert_eq!((reason(&refused), refused.create.len()), (&why, 0));
    // Index 0 of another card is free.
    world.nodeenis = vec![nodeeni("a", 0, &[SUBNET_A])];
    assert!(world.nodeenis[0].spec.is_err(), "index 0 of card 0 is the primary interface");
    let mut object = NodeENI::new("a", NodeEniSpec { device_index: 0, network_card_index: Some(1), ..spec_of_a() });
    object.metadata.uid = Some("uid-a".to_owned());
    object.metadata.finalizers = Some(vec![multi_eni_api::names::NODEENI_FINALIZER.to_owned()]);
    world.nodeenis = vec![NodeEni::read(&object)];
    let made = world.assign();
    assert_eq!(made.refused, []);
    assert_eq!(made.create[0].spec.request.network_card_index, 1);
    assert_eq!(made.create[0].spec.request.device_index, 0);
}

fn spec_of_a() -> NodeEniSpec {
    NodeEniSpec {
        node_selector: BTreeMap::from([("ng".to_owned(), "multi-eni".to_owned())]),
        subnet_ids: Some(vec![SUBNET_A.to_owned()]),
        ..Default::default()
    }
}
