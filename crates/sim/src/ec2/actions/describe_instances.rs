//! DescribeInstances, with one reservation per instance.

use super::describe_enis::tag_set;
use super::{Call, Response};
use crate::ec2::api_error::ApiError;
use crate::ec2::filters::Filters;
use crate::ec2::ids::Kind;
use crate::ec2::model::Instance;
use crate::ec2::pages::Page;
use crate::ec2::state::State;
use crate::ec2::xml::Element;

pub(super) const PARAMETERS: &[&str] = &["Filter", "IncludeManagedResources", "InstanceId", "MaxResults", "NextToken"];

const FILTERS: &[&str] =
    &["availability-zone", "instance-id", "instance-state-name", "instance-type", "subnet-id", "tag-key", "vpc-id"];

pub(super) fn describe(state: &mut State, call: &Call) -> Result<Response, ApiError> {
    let filters = Filters::read(&call.params, FILTERS)?;
    let ids = call.params.list("InstanceId");
    ids.iter().try_for_each(|id| Kind::Instance.check(id))?;
    let page = Page::read(&call.params, &ids, (5, 1000), &state.settings, state.now)?;
    if let Some(unknown) = ids.iter().find(|id| !state.instances.contains_key(*id)) {
        return Err(ApiError::no_instance(unknown));
    }
    let managed = call.params.get("IncludeManagedResources") == Some("true");
    let left_out = state.leave_out();
    let all = state.instances.iter().filter(|(id, _)| !left_out.contains(*id));
    let all = all.map(|(id, instance)| (id.as_str(), instance));
    let (items, next) = page.cut(all, |instance: &&Instance| {
        (managed || !instance.managed)
            && (ids.is_empty() || ids.contains(&instance.id))
            && filters.pass(&instance.tags, |name| match name {
                "availability-zone" => vec![instance.zone.clone()],
                "instance-id" => vec![instance.id.clone()],
                "instance-state-name" => vec![instance.state.as_str().to_owned()],
                "instance-type" => vec![instance.instance_type.clone()],
                "subnet-id" => vec![instance.subnet_id.clone()],
                "vpc-id" => vec![instance.vpc_id.clone()],
                _ => Vec::new(),
            })
    });
    let items = items.into_iter().map(|instance| {
        Element::new("item")
            .with("reservationId", instance.id.replacen("i-", "r-", 1))
            .with("ownerId", "123456789012")
            .child(Element::set("instancesSet", [element(instance)]))
    });
    Ok(Response::list("reservationSet", items.collect(), next))
}

fn element(instance: &Instance) -> Element {
    Element::new("item")
        .with("instanceId", &instance.id)
        .with("instanceType", &instance.instance_type)
        .child(Element::new("instanceState").with("code", instance.state.code()).with("name", instance.state.as_str()))
        .with("launchTime", instance.launched.strftime("%Y-%m-%dT%H:%M:%S.000Z"))
        .child(Element::new("placement").with("availabilityZone", &instance.zone))
        .with_some("outpostArn", instance.outpost.as_ref())
        .with("subnetId", &instance.subnet_id)
        .with("vpcId", &instance.vpc_id)
        .child(tag_set(&instance.tags))
}
