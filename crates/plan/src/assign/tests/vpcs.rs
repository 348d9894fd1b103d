//! A list with subnets of several VPCs: those of the node's VPC get ENIs as if the others had none to give.

use super::*;
use crate::named_groups::NamedGroups;
use crate::observed::InstanceLimits;
use crate::rollout::Turn;
use multi_eni_api::DeviceIndexPolicy;
use multi_eni_api::ids::SecurityGroupId;

const SUBNET_C: &str = "subnet-0cccccccccccccccc";

/// Subnets A and C are in the node's VPC, and B is in another one. Both VPCs have a security group of the same name.
fn world(nodeenis: Vec<NodeEni>) -> World {
    let mut world = World::new(nodeenis);
    let (a, c) = (SubnetId::parse(SUBNET_A).unwrap(), SubnetId::parse(SUBNET_C).unwrap());
    let of_c = ObservedSubnet { id: c.clone(), ..world.catalog.subnets[&a].clone() };
    world.catalog.subnets.insert(c, of_c);
    world.catalog.subnets.get_mut(&SubnetId::parse(SUBNET_B).unwrap()).unwrap().vpc = "vpc-2".into();
    let group = |vpc: &str, id: &str| (vpc.to_owned(), SecurityGroupId::parse(id).unwrap());
    let named = NamedGroups::first([group("vpc-1", "sg-00000001"), group("vpc-2", "sg-00000002")].into());
    world.catalog.groups_named.insert("web".to_owned(), named);
    world
}

fn in_other_vpc() -> UnassignedReason {
    let subnet = (SubnetId::parse(SUBNET_B).unwrap(), "vpc-2".to_owned());
    UnassignedReason::SubnetInOtherVpc { subnet, vpc: "vpc-1".into() }
}

#[test]
fn names_of_groups_are_resolved_in_the_nodes_vpc_whichever_subnet_is_first() {
    let mut list = nodeeni("a", 1, &[SUBNET_B, SUBNET_A]);
    list.spec.as_mut().unwrap().group_names = vec!["web".to_owned()];
    let mut world = world(vec![list]);
    let assignment = world.assign();
    let created = assignment.create.iter().map(|new| &new.spec.request);
    let created: Vec<_> =
        created.map(|new| (new.subnet_id.as_str(), new.device_index, new.security_group_ids.join(","))).collect();
    assert_eq!(created, [(SUBNET_A, 2, "sg-00000001".to_owned())]);
    assert_eq!(assignment.refused.iter().map(|refusal| refusal.why.clone()).collect::<Vec<_>>(), [in_other_vpc()]);
    // Before a lookup shows the node's VPC, the subnets do not tell which VPC counts.
    world.interfaces = None;
    let waits = world.assign();
    assert!(waits.needs.iter().any(|need| matches!(need, Need::LookupInterfaces(_))), "{waits:?}");
    assert!(waits.create.is_empty() && waits.refused[0].why.is_transient(), "{waits:?}");
}

#[test]
fn a_subnet_of_another_vpc_holds_no_slot() {
    let (older, mut younger) = (nodeeni("a", 1, &[SUBNET_B]), nodeeni("b", 1, &[SUBNET_A]));
    younger.created = at(1);
    let mut world = world(vec![older, younger]);
    let assignment = world.assign();
    let created: Vec<_> = assignment.create.iter().map(|new| new.spec.node_eni_name.as_str()).collect();
    assert_eq!(created, ["b"]);
    let refused: Vec<_> =
        assignment.refused.iter().map(|refusal| (&*refusal.nodeeni_uid, refusal.why.clone())).collect();
    assert_eq!(refused, [("uid-a", in_other_vpc())]);
    // Another device index would not help the older one.
    world.apply(&assignment);
    let settled = world.assign();
    assert!(settled.is_settled(), "{settled:?}");
    assert_eq!(settled.refused.iter().map(|refusal| refusal.why.clone()).collect::<Vec<_>>(), [in_other_vpc()]);
}

/// Of four interfaces one is the primary one. A subnet of another VPC takes no index from the others, whichever policy its NodeENI has.
#[test]
fn a_subnet_of_another_vpc_takes_no_free_index() {
    for policy in [DeviceIndexPolicy::HighestFree, DeviceIndexPolicy::Exact] {
        let mut older = nodeeni("a", 2, &[SUBNET_B, SUBNET_A]);
        older.spec.as_mut().unwrap().index_policy = policy;
        let mut second = nodeeni("b", 1, &[SUBNET_A]);
        let mut third = nodeeni("c", 1, &[SUBNET_A]);
        for (younger, second) in [(&mut second, 1), (&mut third, 2)] {
            younger.created = at(second);
            younger.spec.as_mut().unwrap().index_policy = DeviceIndexPolicy::HighestFree;
        }
        let mut world = world(vec![older, second, third]);
        world.node.as_mut().unwrap().instance_type = Some("m5.2xlarge".into());
        let limits = InstanceLimits { enis: 4, cards: vec![4], ipv4_per_eni: 10, ipv6_per_eni: 10 };
        world.catalog.instance_types.insert("m5.2xlarge".into(), Some(limits));
        let assignment = world.assign();
        let mut created: Vec<_> =
            assignment.create.iter().map(|new| (&*new.spec.node_eni_name, new.spec.request.device_index)).collect();
        created.sort_unstable();
        let expected = match policy {
            DeviceIndexPolicy::HighestFree => [("a", 3), ("b", 2), ("c", 1)],
            DeviceIndexPolicy::Exact => [("a", 3), ("b", 1), ("c", 2)],
        };
        assert_eq!(created, expected, "{policy:?}");
        let refused: Vec<_> = assignment.refused.iter().map(|refusal| refusal.why.clone()).collect();
        assert_eq!(refused, [in_other_vpc()], "{policy:?}");
    }
}

/// An instance of a type with four interfaces, with a working ENI in each of these subnets. It is the node's turn to lose ENIs.
fn working(policy: DeviceIndexPolicy, subnets: &[&str]) -> World {
    let mut world = world(vec![list(policy, subnets)]);
    world.node.as_mut().unwrap().instance_type = Some("m5.2xlarge".into());
    let limits = InstanceLimits { enis: 4, cards: vec![4], ipv4_per_eni: 10, ipv6_per_eni: 10 };
    world.catalog.instance_types.insert("m5.2xlarge".into(), Some(limits));
    world.settle();
    world.attached_on_ec2.extend(world.attachments.iter().map(|attachment| attachment.name.clone()));
    assert_eq!(world.attachments.len(), subnets.len());
    world.permits =
        [("uid-a".to_owned(), [("n0".to_owned(), Turn { had: subnets.len(), may_lose: true })].into())].into();
    world
}

fn list(policy: DeviceIndexPolicy, subnets: &[&str]) -> NodeEni {
    let mut list = nodeeni("a", 2, subnets);
    list.spec.as_mut().unwrap().index_policy = policy;
    list
}

fn whys(assignment: &Assignment) -> Vec<UnassignedReason> {
    assignment.refused.iter().map(|refusal| refusal.why.clone()).collect()
}

/// An edit that names a subnet of another VPC must not take the working ENI, which would have no successor.
#[test]
fn an_eni_in_use_stays_while_its_successor_would_be_in_another_vpc() {
    for policy in [DeviceIndexPolicy::Exact, DeviceIndexPolicy::HighestFree] {
        let mut world = working(policy, &[SUBNET_A]);
        world.nodeenis = vec![list(policy, &[SUBNET_B])];
        let kept = world.assign();
        assert!(kept.delete.is_empty() && kept.outdated.is_empty(), "{policy:?}: {kept:?}");
        assert_eq!(whys(&kept), [in_other_vpc()], "{policy:?}");
        // One that carries no traffic goes at once.
        world.attached_on_ec2.clear();
        assert_eq!(world.assign().delete.len(), 1, "{policy:?}");
    }
}

/// The first ENI would move to the second index, from which the second one would have to go.
#[test]
fn no_eni_moves_into_the_place_of_one_that_stays() {
    let mut world = working(DeviceIndexPolicy::Exact, &[SUBNET_A, SUBNET_C]);
    world.nodeenis = vec![list(DeviceIndexPolicy::Exact, &[SUBNET_C, SUBNET_B])];
    let kept = world.assign();
    assert!(kept.delete.is_empty() && kept.create.is_empty() && kept.outdated.is_empty(), "{kept:?}");
    assert!(whys(&kept).iter().all(|why| *why == in_other_vpc()), "{kept:?}");
}

/// The subnet of another VPC leaves room for a second ENI of the same subnet only until the first one is in its place.
#[test]
fn an_eni_whose_successor_is_in_place_goes_in_its_turn_beside_a_subnet_of_another_vpc() {
    let mut world = working(DeviceIndexPolicy::Exact, &[SUBNET_A]);
    world.nodeenis = vec![list(DeviceIndexPolicy::Exact, &[SUBNET_B, SUBNET_A])];
    let permits = std::mem::take(&mut world.permits);
    let both = world.assign();
    assert_eq!((both.create.len(), both.delete.len()), (1, 0), "{both:?}");
    let first = world.attachments[0].name.clone();
    world.apply(&both);
    world.attached_on_ec2.extend(world.attachments.iter().map(|attachment| attachment.name.clone()));
    let waits = world.assign();
    assert!(waits.delete.is_empty() && waits.outdated["uid-a"].contains(&first), "{waits:?}");
    world.permits = permits;
    let replaced = world.assign();
    let deleted: Vec<_> = replaced.delete.iter().map(|removal| (&removal.name, removal.why)).collect();
    assert_eq!(deleted, [(&first, RemovalReason::Replaced)]);
}

/// A subnet of another VPC that comes into the list beside others takes nothing from them.
#[test]
fn a_replacement_goes_on_beside_a_subnet_of_another_vpc() {
    for policy in [DeviceIndexPolicy::Exact, DeviceIndexPolicy::HighestFree] {
        let mut world = working(policy, &[SUBNET_A]);
        world.nodeenis = vec![list(policy, &[SUBNET_C, SUBNET_B])];
        let moved = world.assign();
        assert_eq!(moved.delete.iter().map(|removal| removal.why).collect::<Vec<_>>(), [RemovalReason::Replaced]);
    }
}

/// `highestFree` knows no index on the card to which an edit moves the ENI.
#[test]
fn an_eni_in_use_stays_while_no_index_is_known_for_its_successor() {
    let edit = |world: &mut World| {
        let mut edited = list(DeviceIndexPolicy::HighestFree, &[SUBNET_A]);
        edited.spec.as_mut().unwrap().card = 1;
        world.nodeenis = vec![edited];
    };
    let mut world = working(DeviceIndexPolicy::HighestFree, &[SUBNET_A]);
    edit(&mut world);
    let kept = world.assign();
    assert!(kept.delete.is_empty(), "{kept:?}");
    assert_eq!(whys(&kept), [UnassignedReason::NoSuchCard { kind: "m5.2xlarge".into(), card: 1, cards: 1 }]);
    // A process has just started.
    world.interfaces = None;
    let waits = world.assign();
    assert!(waits.delete.is_empty() && waits.needs.iter().any(|need| matches!(need, Need::LookupInterfaces(_))));
}

/// Until a lookup has shown the instance, the subnets of the list may be in another VPC.
#[test]
fn nothing_in_use_is_replaced_before_a_lookup_has_shown_the_instance() {
    let mut world = working(DeviceIndexPolicy::Exact, &[SUBNET_A]);
    world.nodeenis = vec![list(DeviceIndexPolicy::Exact, &[SUBNET_C])];
    let shown = world.interfaces.take();
    let waits = world.assign();
    assert!(waits.delete.is_empty() && waits.needs.iter().any(|need| matches!(need, Need::LookupInterfaces(_))));
    world.interfaces = shown;
    assert_eq!(world.assign().delete.len(), 1);
}
