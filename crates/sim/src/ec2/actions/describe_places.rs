//! DescribeSubnets and DescribeSecurityGroups.

use super::describe_enis::tag_set;
use super::{Call, Done};
use crate::ec2::filters::Filters;
use crate::ec2::ids::Kind;
use crate::ec2::model::{SecurityGroup, Subnet};
use crate::ec2::pages::Page;
use crate::ec2::refusal::Refusal;
use crate::ec2::state::State;
use crate::ec2::xml::Element;

pub(super) const SUBNET_PARAMETERS: &[&str] = &["Filter", "MaxResults", "NextToken", "SubnetId"];
pub(super) const GROUP_PARAMETERS: &[&str] = &["Filter", "GroupId", "GroupName", "MaxResults", "NextToken"];

const SUBNET_FILTERS: &[&str] =
    &["availability-zone", "availabilityZone", "cidr-block", "state", "subnet-id", "tag-key", "vpc-id"];
const GROUP_FILTERS: &[&str] = &["description", "group-id", "group-name", "tag-key", "vpc-id"];

pub(super) fn subnets(state: &mut State, call: &Call) -> Result<Done, Refusal> {
    let filters = Filters::read(&call.params, SUBNET_FILTERS)?;
    let ids = call.params.list("SubnetId");
    ids.iter().try_for_each(|id| Kind::Subnet.check(id))?;
    let page = Page::read(&call.params, &ids, (5, 1000), &state.settings, state.now)?;
    if let Some(unknown) = ids.iter().find(|id| !state.subnets.contains_key(*id)) {
        return Err(Refusal::no_subnet(unknown));
    }
    let all = state.subnets.iter().map(|(id, entry)| (id.as_str(), entry.shown()));
    let (items, next) = page.cut(all, |subnet: &Subnet| {
        (ids.is_empty() || ids.contains(&subnet.id))
            && filters.pass(&subnet.tags, |name| match name {
                "availability-zone" | "availabilityZone" => vec![subnet.zone.clone()],
                "cidr-block" => vec![subnet.cidr.clone()],
                "state" => vec!["available".to_owned()],
                "subnet-id" => vec![subnet.id.clone()],
                "vpc-id" => vec![subnet.vpc_id.clone()],
                _ => Vec::new(),
            })
    });
    Ok(Done::list("subnetSet", items.iter().map(subnet_element).collect(), next))
}

fn subnet_element(subnet: &Subnet) -> Element {
    let ipv6 = subnet.ipv6_cidr.iter().map(|cidr| {
        Element::new("item")
            .with("ipv6CidrBlock", cidr)
            .child(Element::new("ipv6CidrBlockState").with("state", "associated"))
    });
    Element::new("item")
        .with("subnetId", &subnet.id)
        .with("state", "available")
        .with("vpcId", &subnet.vpc_id)
        .with("cidrBlock", &subnet.cidr)
        .child(Element::set("ipv6CidrBlockAssociationSet", ipv6))
        .with("availableIpAddressCount", subnet.available_addresses)
        .with("availabilityZone", &subnet.zone)
        .with("ownerId", "123456789012")
        .child(tag_set(&subnet.tags))
}

pub(super) fn groups(state: &mut State, call: &Call) -> Result<Done, Refusal> {
    let filters = Filters::read(&call.params, GROUP_FILTERS)?;
    let ids = call.params.list("GroupId");
    if call.params.mentions("GroupName") {
        // "GroupNames: default VPC only"; the simulated account has none.
        return Err(Refusal::new("VPCIdNotSpecified", "No default VPC for this user"));
    }
    ids.iter().try_for_each(|id| Kind::Group.check(id))?;
    let page = Page::read(&call.params, &ids, (5, 1000), &state.settings, state.now)?;
    if let Some(unknown) = ids.iter().find(|id| !state.groups.contains_key(*id)) {
        return Err(Refusal::no_group(unknown));
    }
    let all = state.groups.iter().map(|(id, group)| (id.as_str(), group));
    let (items, next) = page.cut(all, |group: &&SecurityGroup| {
        (ids.is_empty() || ids.contains(&group.id))
            && filters.pass(&group.tags, |name| match name {
                "group-id" => vec![group.id.clone()],
                "group-name" | "description" => vec![group.name.clone()],
                "vpc-id" => vec![group.vpc_id.clone()],
                _ => Vec::new(),
            })
    });
    let items = items.into_iter().map(|group| {
        Element::new("item")
            .with("groupId", &group.id)
            .with("groupName", &group.name)
            .with("groupDescription", &group.name)
            .with("vpcId", &group.vpc_id)
            .with("ownerId", "123456789012")
            .child(tag_set(&group.tags))
    });
    Ok(Done::list("securityGroupInfo", items.collect(), next))
}
