//! Nodes and subnets on Outposts: an ENI of a subnet is attached only on the subnet's Outpost.

use super::*;
use crate::ec2_terms::{SubnetTerm, TagTerm};
use crate::lifecycle::tests::{attachment, eni};
use crate::observed::{AttachmentState, ObservedEni};
use multi_eni_api::names;

const OUTPOST: &str = "arn:aws:outposts:eu-west-1:111122223333:outpost/op-0ab23c4567890de1f";
const OTHER: &str = "arn:aws:outposts:eu-west-1:111122223333:outpost/op-0ffffffffffffffff";

/// Subnets A and B are in the node's zone, and B is on an Outpost with more free addresses.
fn world(nodeenis: Vec<NodeEni>, node: Option<&str>) -> World {
    let mut world = World::new(nodeenis);
    world.interfaces.as_mut().unwrap().outpost = node.map(Box::from);
    let on_outpost = world.catalog.subnets.get_mut(&id(SUBNET_B)).unwrap();
    (on_outpost.outpost, on_outpost.free_addresses) = (Some(OUTPOST.into()), 1000);
    world
}

fn id(text: &str) -> SubnetId {
    SubnetId::parse(text).unwrap()
}

/// A NodeENI whose only term is tier=db, which both subnets have.
fn by_terms(world: &mut World) -> NodeEni {
    let term = TagTerm::read(None, &[("tier".to_owned(), "db".to_owned())].into()).unwrap();
    for subnet in world.catalog.subnets.values_mut() {
        subnet.tags = StringMap::from([("tier", "db")]);
        subnet.tags_since = Some(at(-180));
    }
    world.catalog.subnets_tagged.insert(term.clone(), [id(SUBNET_A), id(SUBNET_B)].into());
    let mut nodeeni = nodeeni("a", 1, &[SUBNET_A]);
    let spec = nodeeni.spec.as_mut().unwrap();
    spec.subnets.clear();
    spec.subnet_terms = vec![SubnetTerm::Tags(term)];
    nodeeni
}

/// The subnets and indexes of the ENIs that are created, and the reasons for none.
fn outcome(world: &World) -> (Vec<(String, i32)>, Vec<UnassignedReason>) {
    let assignment = world.assign();
    let created = assignment.create.iter().map(|new| {
        let request = &new.spec.request;
        (request.subnet_id.clone(), request.device_index)
    });
    (created.collect(), assignment.refused.iter().map(|refusal| refusal.why.clone()).collect())
}

/// The ENIAttachment of the node reports its ENI as attached.
fn attach(world: &mut World) {
    let status = &mut world.attachments[0].status;
    set(&mut status.conditions, ConditionUpdate::new(types::ATTACHED, true, "Attached", ""), None, at(0));
    (status.eni_id, status.attachment_id) = (Some("eni-00000001".into()), Some("eni-attach-1".into()));
}

#[test]
fn a_node_takes_the_listed_subnets_of_its_own_outpost_or_of_the_region() {
    let list = || vec![nodeeni("a", 1, &[SUBNET_B, SUBNET_A])];
    assert_eq!(outcome(&world(list(), None)), (vec![(SUBNET_A.to_owned(), 1)], vec![]));
    assert_eq!(outcome(&world(list(), Some(OUTPOST))), (vec![(SUBNET_B.to_owned(), 1)], vec![]));
    let (created, reasons) = outcome(&world(list(), Some(OTHER)));
    let places = [Location::in_region("z1"), Location { zone: "z1".into(), outpost: Some(OUTPOST.into()) }];
    let node = Location { zone: "z1".into(), outpost: Some(OTHER.into()) };
    let why = UnassignedReason::NoSubnetInZone { node, subnets: places.into() };
    assert_eq!((created, reasons), (vec![], vec![why.clone()]));
    assert!(why.is_not_covered(), "counted in nodesWithoutSubnet");
    let sentence = "no subnet of the NodeENI is in the node's zone z1 on Outpost op-0ffffffffffffffff (its subnets are in z1, z1 on \
                    Outpost op-0ab23c4567890de1f): add a subnet of that zone. EC2 attaches an ENI only to an instance on the Outpost of its \
                    subnet";
    assert_eq!(why.sentence(at(100)), sentence);
    // A node of the Region, and a list of Outpost subnets only; and the reverse.
    for (subnet, node) in [(SUBNET_B, None), (SUBNET_A, Some(OUTPOST))] {
        let (created, reasons) = outcome(&world(vec![nodeeni("a", 1, &[subnet])], node));
        assert!(created.is_empty() && matches!(reasons[..], [UnassignedReason::NoSubnetInZone { .. }]), "{reasons:?}");
    }
}

#[test]
fn a_name_is_not_ambiguous_between_an_outpost_and_its_region() {
    let mut world = world(vec![], Some(OUTPOST));
    let named = NodeEniSpec {
        node_selector: BTreeMap::from([("ng".to_owned(), "multi-eni".to_owned())]),
        subnet_name: Some("storage".to_owned()),
        device_index: 1,
        ..Default::default()
    };
    let mut by_name = nodeeni("a", 1, &[SUBNET_A]);
    by_name.spec = NodeEni::read(&NodeENI::new("a", named)).spec;
    world.nodeenis = vec![by_name];
    world.catalog.subnets_named.insert("storage".to_owned(), [id(SUBNET_A), id(SUBNET_B)].into());
    assert_eq!(outcome(&world), (vec![(SUBNET_B.to_owned(), 1)], vec![]));
}

#[test]
fn the_outpost_of_a_node_is_looked_up_only_to_choose_among_subnets_on_outposts() {
    let asks = |world: &World| {
        let assignment = world.assign();
        assert!(assignment.create.is_empty() && assignment.delete.is_empty() && assignment.outdated.is_empty());
        assignment.needs.iter().any(|need| matches!(need, Need::LookupInterfaces(_)))
    };
    for (node, subnet) in [(None, SUBNET_A), (Some(OUTPOST), SUBNET_B)] {
        let mut settled = world(vec![nodeeni("a", 1, &[SUBNET_B, SUBNET_A])], node);
        settled.settle();
        assert_eq!(settled.indexes(), [(subnet.to_owned(), 1)]);
        // A new process has looked up no instance. An attached ENI shows the Outpost.
        settled.interfaces = None;
        settled.attachments[0].status.eni_id = Some("eni-00000001".into());
        assert!(asks(&settled), "{subnet}");
        attach(&mut settled);
        assert!(!asks(&settled), "{subnet}");
        settled.settle();
    }
    let mut in_region = world(vec![nodeeni("a", 1, &[SUBNET_A])], None);
    in_region.settle();
    in_region.interfaces = None;
    in_region.attachments[0].status.eni_id = Some("eni-00000001".into());
    assert!(!asks(&in_region), "no subnet of the list is on an Outpost");
}

#[test]
fn an_attached_eni_that_contradicts_the_outpost_stays() {
    for terms in [false, true] {
        let mut kept = world(vec![nodeeni("a", 1, &[SUBNET_B, SUBNET_A])], Some(OUTPOST));
        if terms {
            kept.nodeenis = vec![by_terms(&mut kept)];
        }
        kept.settle();
        assert_eq!(kept.indexes(), [(SUBNET_B.to_owned(), 1)]);
        attach(&mut kept);
        kept.interfaces.as_mut().unwrap().outpost = None;
        let stays = kept.assign();
        assert!(stays.is_settled() && stays.outdated.is_empty(), "{stays:?}");
        let sentence = stays.refused[0].why.sentence(at(100));
        assert_eq!(stays.refused[0].why.reason(), ZONE_CONTRADICTION);
        let places = "the node is in zone z1 according to EC2 (its primary interface), and in zone z1 on Outpost \
                      op-0ab23c4567890de1f according to EC2 (the attached ENI of ENIAttachment";
        assert!(sentence.contains(places), "{sentence}");
    }
}

/// An ENI of this cluster that is attached in slot 1 and has no ENIAttachment.
fn lost(subnet: &str) -> ObservedEni {
    let mut seen = eni(1);
    let tags = [(names::TAG_CLUSTER, "cluster"), (names::TAG_NODEENI, "a"), (names::TAG_NODEENI_UID, "uid-a")];
    seen.tags = tags.into_iter().chain([(names::TAG_ATTACHMENT_UID, "uid-lost")]).collect();
    (seen.subnet, seen.attachment) = (SubnetId::parse(subnet).ok(), Some(attachment(AttachmentState::Attached)));
    seen
}

#[test]
fn a_lost_eni_that_contradicts_the_outpost_is_no_orphan() {
    // EC2 shows no Outpost on the primary interface, and the only subnet is on one.
    let mut world = world(vec![nodeeni("a", 1, &[SUBNET_B])], None);
    world.interfaces.as_mut().unwrap().enis = vec![lost(SUBNET_B)];
    let stays = world.assign();
    assert!(stays.is_settled() && stays.refused.len() == 1, "{stays:?}");
    let why = &stays.refused[0].why;
    assert!(why.reason() == ZONE_CONTRADICTION && !why.is_not_covered(), "{why:?}");
    let sentence = "the node is in zone z1 according to EC2 (its primary interface), and in zone z1 on Outpost op-0ab23c4567890de1f \
                    according to EC2 (the attached ENI eni-00000000000000001). An instance never changes its Outpost, so no ENI is \
                    removed, and no ENI is created until the sources agree";
    assert_eq!(why.sentence(at(100)), sentence);
    let (node, nodeenis) = (world.node.as_ref().unwrap(), [&world.nodeenis[0]]);
    let is_open = |nodeeni: &NodeEni| stays.of_nodeeni(&nodeeni.uid).is_open_at((0, 1));
    assert!(may_be_adopted(&lost(SUBNET_B), node, &nodeenis, is_open));
    // The ENI of another cluster, and one that is being detached, contradict nothing.
    let mut foreign = lost(SUBNET_B);
    foreign.tags.insert(names::TAG_CLUSTER, "other");
    let mut detaching = lost(SUBNET_B);
    detaching.attachment = Some(attachment(AttachmentState::Detaching));
    for eni in [foreign, detaching] {
        world.interfaces.as_mut().unwrap().enis = vec![eni];
        let (_, reasons) = outcome(&world);
        assert!(matches!(reasons[..], [UnassignedReason::NoSubnetInZone { .. }]), "{reasons:?}");
    }
}

#[test]
fn terms_select_a_subnet_of_the_nodes_outpost_whatever_its_free_addresses() {
    let mut region = world(vec![], None);
    region.nodeenis = vec![by_terms(&mut region)];
    assert_eq!(outcome(&region), (vec![(SUBNET_A.to_owned(), 1)], vec![]), "B has more free addresses");
    region.interfaces.as_mut().unwrap().outpost = Some(OUTPOST.into());
    assert_eq!(outcome(&region), (vec![(SUBNET_B.to_owned(), 1)], vec![]));
    region.interfaces.as_mut().unwrap().outpost = Some(OTHER.into());
    let (created, reasons) = outcome(&region);
    assert!(created.is_empty() && matches!(reasons[..], [UnassignedReason::NoSubnetInZone { .. }]), "{reasons:?}");
    // An ENIAttachment that was made before, and whose ENI EC2 could never attach.
    region.interfaces.as_mut().unwrap().outpost = Some(OUTPOST.into());
    region.settle();
    assert_eq!(region.indexes(), [(SUBNET_B.to_owned(), 1)]);
    region.interfaces.as_mut().unwrap().outpost = None;
    region.interfaces.as_mut().unwrap().zone = Some("z1".into());
    let next = region.assign();
    assert!(next.outdated.contains_key("uid-a") && next.slots_of("uid-a") == Some([(0, 1)].as_slice()), "{next:?}");
}
