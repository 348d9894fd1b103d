//! Adoption by place: an ENI of upstream is adopted only for a place that has no other ENI. A NodeENI with subnetSelectorTerms has one
//! place on a node, whatever subnets the terms select.

use super::*;
use crate::confirmation::CONFIRMED_AFTER;
use crate::ec2_terms::{SubnetTerm, TagTerm};
use crate::lifecycle::tests::{attachment, eni};
use crate::nodeeni::UpstreamEntry;
use crate::observed::{AttachmentState, InstanceLimits, ObservedEni};
use multi_eni_api::DeviceIndexPolicy;
use multi_eni_api::names;

/// An ENI as upstream's controller leaves it.
fn left(n: u32, subnet: &str, index: i32) -> ObservedEni {
    let mut seen = eni(n);
    seen.tags = [(names::UPSTREAM_TAG_MANAGED_BY, names::UPSTREAM_MANAGER), (names::UPSTREAM_TAG_NODEENI, "a")].into();
    seen.subnet = SubnetId::parse(subnet).ok();
    let mut at = attachment(AttachmentState::Attached);
    (at.index, at.id) = (index, format!("eni-attach-{n}"));
    seen.attachment = Some(at);
    seen
}

/// An ENI of this cluster whose ENIAttachment is lost.
fn lost(n: u32, subnet: &str, index: i32) -> ObservedEni {
    let mut seen = left(n, subnet, index);
    seen.tags = [
        (names::TAG_CLUSTER, "cluster"),
        (names::TAG_NODEENI, "a"),
        (names::TAG_NODEENI_UID, "uid-a"),
        (names::TAG_ATTACHMENT_UID, "uid-lost"),
    ]
    .into();
    seen
}

/// A NodeENI with a list or, if it is empty, with the term tier=db, which subnets A and B have.
fn world(subnets: &[&str], policy: DeviceIndexPolicy) -> World {
    let mut a = nodeeni("a", 1, &[SUBNET_A]);
    a.spec = nodeeni("a", 1, if subnets.is_empty() { &[SUBNET_A] } else { subnets }).spec;
    let spec = a.spec.as_mut().unwrap();
    spec.index_policy = policy;
    let tags = TagTerm::read(None, &[("tier".to_owned(), "db".to_owned())].into()).unwrap();
    if subnets.is_empty() {
        spec.subnets.clear();
        spec.subnet_terms = vec![SubnetTerm::Tags(tags.clone())];
    }
    let mut world = World::new(vec![a]);
    world.node.as_mut().unwrap().instance_type = Some("m5.large".into());
    let limits = InstanceLimits { enis: 15, cards: vec![15], ipv4_per_eni: 10, ipv6_per_eni: 10 };
    world.catalog.instance_types.insert("m5.large".into(), Some(limits));
    for subnet in world.catalog.subnets.values_mut() {
        (subnet.tags, subnet.tags_since) = (StringMap::from([("tier", "db")]), Some(at(-180)));
    }
    let selected = [SUBNET_A, SUBNET_B].map(|id| SubnetId::parse(id).unwrap());
    world.catalog.subnets_tagged.insert(tags, selected.into());
    world
}

/// The term selects this subnet no longer, for certain.
fn unselect(world: &mut World, subnet: &str) {
    let id = SubnetId::parse(subnet).unwrap();
    world.catalog.subnets_tagged.values_mut().for_each(|found| found.retain(|other| *other != id));
    let subnet = world.catalog.subnets.get_mut(&id).unwrap();
    (subnet.tags, subnet.tags_since) = (StringMap::default(), Some(subnet.as_of - CONFIRMED_AFTER));
}

fn shows(world: &mut World, enis: Vec<ObservedEni>) {
    world.interfaces.as_mut().unwrap().enis = enis;
}

/// Creates what the plan creates, with ENIs in use.
fn make(world: &mut World) {
    for new in world.assign().create {
        let object = multi_eni_api::ENIAttachment::new(&new.name, new.spec);
        let mut made = Attachment::read(&object);
        (made.has_finalizer, made.uid, made.created) = (true, format!("uid-{}", new.name), world.now);
        let attached = ConditionUpdate::new(types::ATTACHED, true, "Test", "");
        set(&mut made.status.conditions, attached, None, world.now);
        world.attachments.push(made);
    }
}

/// The indexes of what is adopted.
fn adopts(assignment: &Assignment) -> Vec<i32> {
    let adopting = assignment.create.iter().filter(|new| new.adopts.is_some());
    adopting.map(|new| new.spec.request.device_index).collect()
}

fn deletes(assignment: &Assignment) -> Vec<(&str, RemovalReason)> {
    assignment.delete.iter().map(|removal| (removal.name.as_str(), removal.why)).collect()
}

/// Found by a history: the slot of upstream's ENI was free of another NodeENI's ENIAttachment only after ten minutes. The ENI was
/// adopted then, and the NodeENI's own ENI, in another subnet, was removed as surplus.
#[test]
fn an_eni_of_upstream_is_left_alone_if_the_nodeeni_with_terms_has_its_own() {
    for policy in [DeviceIndexPolicy::HighestFree, DeviceIndexPolicy::Exact] {
        let mut world = world(&[], policy);
        make(&mut world);
        assert_eq!(world.attachments[0].request.subnet_id, SUBNET_A);
        shows(&mut world, vec![left(1, SUBNET_B, 4)]);
        let assignment = world.assign();
        assert!(assignment.is_settled() && assignment.adopting.is_empty(), "{policy:?}: {assignment:?}");
        // Its ENI was never attached, or its ENIAttachment is on its way out.
        world.attachments[0].status = Default::default();
        assert!(adopts(&world.assign()).is_empty(), "{policy:?}");
        world.attachments[0].deleting = Some(world.now);
        assert!(adopts(&world.assign()).is_empty(), "{policy:?}");
        world.attachments.clear();
        assert_eq!(adopts(&world.assign()), [4], "{policy:?}: the place is free");
    }
}

/// With a list each subnet is a place.
#[test]
fn an_eni_of_upstream_in_another_listed_subnet_is_adopted() {
    for policy in [DeviceIndexPolicy::HighestFree, DeviceIndexPolicy::Exact] {
        let mut world = world(&[SUBNET_A, SUBNET_B], policy);
        make(&mut world);
        world.attachments.pop();
        shows(&mut world, vec![left(1, SUBNET_A, 5), left(2, SUBNET_B, 4)]);
        assert_eq!(adopts(&world.assign()), [4], "{policy:?}");
        make(&mut world);
        assert!(world.assign().is_settled(), "{policy:?}: {:?}", world.assign());
        // An edit from the list to terms, which ask for one ENI.
        world.nodeenis = self::world(&[], policy).nodeenis;
        let own = world.attachments[1].name.clone();
        assert_eq!(deletes(&world.assign()), [(own.as_str(), RemovalReason::Surplus)], "{policy:?}");
    }
}

#[test]
fn of_several_enis_of_upstream_for_one_place_one_is_adopted() {
    let mut world = world(&[], DeviceIndexPolicy::Exact);
    unselect(&mut world, SUBNET_B);
    shows(&mut world, vec![left(1, SUBNET_B, 2), left(2, SUBNET_A, 4), left(3, "subnet-00000003", 3)]);
    unselect(&mut world, "subnet-00000003");
    assert_eq!(adopts(&world.assign()), [4], "the terms select only its subnet");
    // Upstream's status names the others, and nothing else does: they are adopted, and deleted as surplus.
    let entry = |eni: ObservedEni| UpstreamEntry { instance: InstanceId::parse(INSTANCE).unwrap(), eni: eni.id };
    world.nodeenis[0].upstream = vec![entry(left(1, SUBNET_B, 2)), entry(left(2, SUBNET_A, 4))];
    let mut listed = adopts(&world.assign());
    listed.sort_unstable();
    assert_eq!(listed, [2, 4]);
    make(&mut world);
    assert_eq!(deletes(&world.assign()), [(world.attachments[1].name.as_str(), RemovalReason::Surplus)]);
}

/// The terms select the subnet of the ENI no longer. The ENI of upstream has the place, and the other one is surplus.
#[test]
fn an_eni_in_an_unselected_subnet_holds_no_place() {
    let mut world = world(&[], DeviceIndexPolicy::HighestFree);
    make(&mut world);
    shows(&mut world, vec![left(1, SUBNET_B, 4)]);
    unselect(&mut world, SUBNET_A);
    assert_eq!(adopts(&world.assign()), [4]);
    make(&mut world);
    assert_eq!(deletes(&world.assign()), [(world.attachments[0].name.as_str(), RemovalReason::Surplus)]);
}

/// A listed ENI is adopted beside an own one. The older of two that work stays, at whatever index.
#[test]
fn an_own_eni_that_works_stays_when_a_listed_one_is_adopted_later() {
    let mut world = world(&[], DeviceIndexPolicy::HighestFree);
    make(&mut world);
    let there = left(1, SUBNET_B, 4);
    world.nodeenis[0].upstream =
        vec![UpstreamEntry { instance: InstanceId::parse(INSTANCE).unwrap(), eni: there.id.clone() }];
    shows(&mut world, vec![there]);
    world.now = at(110);
    make(&mut world);
    assert_eq!(world.attachments.len(), 2);
    assert_eq!(deletes(&world.assign()), [(world.attachments[1].name.as_str(), RemovalReason::Surplus)]);
    // An own one that was never attached gives way to the one that works.
    world.attachments[0].status = Default::default();
    assert_eq!(deletes(&world.assign()), [(world.attachments[0].name.as_str(), RemovalReason::Surplus)]);
}

/// The ENIAttachment of the own ENI was lost. The ENI is adopted again, and not that of upstream, which would make it an orphan.
#[test]
fn a_lost_eni_keeps_its_place() {
    for subnets in [&[][..], &[SUBNET_A]] {
        let mut world = world(subnets, DeviceIndexPolicy::Exact);
        let upstreams = left(1, if subnets.is_empty() { SUBNET_B } else { SUBNET_A }, 4);
        shows(&mut world, vec![upstreams.clone(), lost(2, SUBNET_A, 1)]);
        let assignment = world.assign();
        assert_eq!(adopts(&assignment), [1], "{subnets:?}");
        assert!(assignment.create[0].spec.recovered);
        // The spec asks for no ENI in its slot: it is an orphan, and holds no place.
        shows(&mut world, vec![upstreams.clone(), lost(2, SUBNET_A, 9)]);
        assert_eq!(adopts(&world.assign()), [4], "{subnets:?}");
        // An ENI of upstream that was adopted before is adopted again.
        let mut before = left(2, SUBNET_A, 5);
        before.tags.extend(lost(2, SUBNET_A, 5).tags.iter().map(|(key, value)| (key.to_owned(), value.to_owned())));
        shows(&mut world, vec![upstreams, before]);
        assert_eq!(adopts(&world.assign()), [5], "{subnets:?}");
    }
}
