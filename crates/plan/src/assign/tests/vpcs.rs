//! A list with subnets of several VPCs: those of the node's VPC get ENIs as if the others had none to give.

use super::*;
use crate::named_groups::NamedGroups;
use crate::observed::InstanceLimits;
use multi_eni_api::DeviceIndexPolicy;
use multi_eni_api::ids::SecurityGroupId;

/// Subnet A is in the node's VPC, and B is in another one. Both VPCs have a security group of the same name.
fn world(nodeenis: Vec<NodeEni>) -> World {
    let mut world = World::new(nodeenis);
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
