//! DescribeSecurityGroups, by ID or filter.

use super::describe_enis::tag_set;
use super::{Call, Response};
use crate::ec2::api_error::ApiError;
use crate::ec2::filters::Filters;
use crate::ec2::ids::Kind;
use crate::ec2::model::SecurityGroup;
use crate::ec2::pages::Page;
use crate::ec2::state::State;
use crate::ec2::xml::Element;

pub(super) const PARAMETERS: &[&str] = &["Filter", "GroupId", "GroupName", "MaxResults", "NextToken"];

const FILTERS: &[&str] = &["description", "group-id", "group-name", "tag-key", "vpc-id"];

pub(super) fn describe(state: &mut State, call: &Call) -> Result<Response, ApiError> {
    let filters = Filters::read(&call.params, FILTERS)?;
    let ids = call.params.list("GroupId");
    if call.params.mentions("GroupName") {
        // EC2 finds groups by name in the default VPC only. The simulated account has no default VPC.
        return Err(ApiError::new("VPCIdNotSpecified", "No default VPC for this user"));
    }
    ids.iter().try_for_each(|id| Kind::Group.check(id))?;
    let page = Page::read(&call.params, &ids, (5, 1000), &state.settings, state.now)?;
    if let Some(unknown) = ids.iter().find(|id| !state.groups.contains_key(*id)) {
        return Err(ApiError::no_group(unknown));
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
    Ok(Response::list("securityGroupInfo", items.collect(), next))
}
