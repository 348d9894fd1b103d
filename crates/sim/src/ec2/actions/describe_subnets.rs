//! DescribeSubnets, with the number of free addresses.

use super::describe_enis::tag_set;
use super::{Call, Response};
use crate::ec2::api_error::ApiError;
use crate::ec2::filters::Filters;
use crate::ec2::ids::Kind;
use crate::ec2::model::Subnet;
use crate::ec2::pages::Page;
use crate::ec2::state::State;
use crate::ec2::xml::Element;

pub(super) const PARAMETERS: &[&str] = &["Filter", "MaxResults", "NextToken", "SubnetId"];

const FILTERS: &[&str] =
    &["availability-zone", "availabilityZone", "cidr-block", "state", "subnet-id", "tag-key", "vpc-id"];

pub(super) fn describe(state: &mut State, call: &Call) -> Result<Response, ApiError> {
    let filters = Filters::read(&call.params, FILTERS)?;
    let ids = call.params.list("SubnetId");
    ids.iter().try_for_each(|id| Kind::Subnet.check(id))?;
    let page = Page::read(&call.params, &ids, (5, 1000), &state.settings, state.now)?;
    if let Some(unknown) = ids.iter().find(|id| !state.subnets.contains_key(*id)) {
        return Err(ApiError::no_subnet(unknown));
    }
    let all = state.subnets.iter().map(|(id, entry)| (id.as_str(), visible(entry.shown())));
    let (items, next) = page.cut(all, |subnet: &Subnet| {
        (ids.is_empty() || ids.contains(&subnet.id))
            && filters.pass(&subnet.tags, |name| match name {
                "availability-zone" | "availabilityZone" => vec![subnet.zone.clone()],
                "cidr-block" => Some(subnet.cidr.clone()).filter(|cidr| !cidr.is_empty()).into_iter().collect(),
                "state" => vec!["available".to_owned()],
                "subnet-id" => vec![subnet.id.clone()],
                "vpc-id" => vec![subnet.vpc_id.clone()],
                _ => Vec::new(),
            })
    });
    Ok(Response::list("subnetSet", items.iter().map(element).collect(), next))
}

/// What this account sees of a subnet. A participant of a shared subnet does not see the tags of its owner (AWS VPC user guide,
/// "Responsibilities and permissions for owners and participants").
fn visible(mut subnet: Subnet) -> Subnet {
    if subnet.shared_by.is_some() {
        subnet.tags.clear();
    }
    subnet
}

fn element(subnet: &Subnet) -> Element {
    let ipv6 = subnet.ipv6_cidr.iter().map(|cidr| {
        Element::new("item")
            .with("ipv6CidrBlock", cidr)
            .child(Element::new("ipv6CidrBlockState").with("state", "associated"))
    });
    Element::new("item")
        .with("subnetId", &subnet.id)
        .with("state", "available")
        .with("vpcId", &subnet.vpc_id)
        .with_some("cidrBlock", Some(&subnet.cidr).filter(|cidr| !cidr.is_empty()))
        .with("ipv6Native", subnet.cidr.is_empty())
        .child(Element::set("ipv6CidrBlockAssociationSet", ipv6))
        .with("availableIpAddressCount", subnet.available_addresses)
        .with("availabilityZone", &subnet.zone)
        .with_some("outpostArn", subnet.outpost.as_ref())
        .with("ownerId", subnet.shared_by.as_deref().unwrap_or("123456789012"))
        .child(tag_set(&subnet.tags))
}
