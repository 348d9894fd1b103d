//! DescribeNetworkInterfaces, and the XML of an interface.

use std::collections::BTreeMap;

use super::{Call, Response, connection_tracking};
use crate::ec2::api_error::ApiError;
use crate::ec2::faults::Fault;
use crate::ec2::filters::{Filters, is_unfiltered};
use crate::ec2::ids::Kind;
use crate::ec2::list_order::ListOrder;
use crate::ec2::model::{Attachment, Eni, SecurityGroup};
use crate::ec2::pages::Page;
use crate::ec2::state::State;
use crate::ec2::xml::Element;

pub(super) const PARAMETERS: &[&str] =
    &["Filter", "IncludeManagedResources", "MaxResults", "NetworkInterfaceId", "NextToken"];

const FILTERS: &[&str] = &[
    "attachment.attachment-id",
    "attachment.delete-on-termination",
    "attachment.device-index",
    "attachment.instance-id",
    "attachment.status",
    "availability-zone",
    "description",
    "group-id",
    "group-name",
    "interface-type",
    "mac-address",
    "network-interface-id",
    "private-ip-address",
    "requester-managed",
    "source-dest-check",
    "status",
    "subnet-id",
    "tag-key",
    "vpc-id",
];

pub(super) fn describe(state: &mut State, call: &Call) -> Result<Response, ApiError> {
    let params = &call.params;
    let filters = Filters::read(params, FILTERS)?;
    let ids = params.list("NetworkInterfaceId");
    ids.iter().try_for_each(|id| Kind::Eni.check(id))?;
    let page = Page::read(params, &ids, (5, 1000), &state.settings, state.now)?;
    if is_unfiltered("DescribeNetworkInterfaces", params) && state.eni_count() > state.settings.unpaginated_limit {
        let message = "This account has too many network interfaces to list them unpaginated.";
        return Err(ApiError::new("OperationNotPermitted", message));
    }
    let stale = match call.fault {
        Some(Fault::StaleRead(ago)) => Some(ago),
        _ => None,
    };
    let mut order = state.list_order();
    let lagging = state.lagging(stale);
    let managed = params.get("IncludeManagedResources") == Some("true");
    let is_shown = |(_, eni): &(&str, &Eni)| managed || !eni.managed;
    // A shortcut: it spares the other comparisons for all ENIs of other instances.
    let instances = filters.exact("attachment.instance-id");
    let is_on = |eni: &Eni, ids: &[String]| eni.attachment.as_ref().is_some_and(|at| ids.contains(&at.instance_id));
    let passes = |eni: &&Eni| {
        instances.is_none_or(|ids| is_on(eni, ids))
            && (filters.is_empty() || filters.pass(&eni.tags, |name| values(eni, name, &state.groups)))
    };
    // A shortcut: with short pages, the ENIs that do not match count too.
    let filtered = filters.exact("network-interface-id").filter(|_| !state.settings.short_pages);
    let (items, next) = if let (Some(filtered), true) = (filtered, ids.is_empty()) {
        let found = filtered.iter().filter_map(|id| Some((id.as_str(), state.shown_eni(id, &lagging)?)));
        page.cut(found.collect::<BTreeMap<_, _>>().into_iter().filter(is_shown), passes)
    } else if ids.is_empty() {
        page.cut(state.shown_enis(&lagging, page.after()).filter(is_shown), passes)
    } else {
        let shown = |id: &String| state.shown_eni(id, &lagging).ok_or_else(|| ApiError::no_eni(id));
        let requested = ids.iter().map(|id| shown(id).map(|eni| (id.as_str(), eni)));
        page.cut(requested.collect::<Result<BTreeMap<_, _>, _>>()?.into_iter().filter(is_shown), passes)
    };
    let items = order.of(items);
    let mut elements = EniElements { groups: &state.groups, order };
    let items = items.into_iter().map(|eni| elements.element("item", eni, eni.status())).collect();
    Ok(Response::list("networkInterfaceSet", items, next))
}

/// The values of an interface for a filter.
fn values(eni: &Eni, name: &str, groups: &BTreeMap<String, SecurityGroup>) -> Vec<String> {
    let attached = |value: fn(&Attachment) -> String| eni.attachment.iter().map(value).collect();
    match name {
        "attachment.attachment-id" => attached(|attachment| attachment.id.clone()),
        "attachment.delete-on-termination" => attached(|attachment| attachment.delete_on_termination.to_string()),
        "attachment.device-index" => attached(|attachment| attachment.device_index.to_string()),
        "attachment.instance-id" => attached(|attachment| attachment.instance_id.clone()),
        "attachment.status" => attached(|attachment| attachment.status.as_str().to_owned()),
        "availability-zone" => vec![eni.zone.clone()],
        "description" => vec![eni.description.clone()],
        "group-id" => eni.groups.clone(),
        "group-name" => eni.groups.iter().filter_map(|id| Some(groups.get(id)?.name.clone())).collect(),
        "interface-type" => vec![eni.interface_type.clone()],
        "mac-address" => vec![eni.mac_address.clone()],
        "network-interface-id" => vec![eni.id.clone()],
        "private-ip-address" => eni.private_ips.first().map(ToString::to_string).into_iter().collect(),
        "requester-managed" => vec![eni.requester_managed.to_string()],
        "source-dest-check" => vec![eni.source_dest_check.to_string()],
        "status" => vec![eni.status().to_owned()],
        "subnet-id" => vec![eni.subnet_id.clone()],
        "vpc-id" => vec![eni.vpc_id.clone()],
        _ => Vec::new(),
    }
}

/// Makes the elements of interfaces in one answer.
pub(super) struct EniElements<'a> {
    groups: &'a BTreeMap<String, SecurityGroup>,
    order: ListOrder,
}

impl<'a> EniElements<'a> {
    /// With all lists as they are stored.
    pub fn as_stored(groups: &'a BTreeMap<String, SecurityGroup>) -> Self {
        Self { groups, order: ListOrder::as_stored() }
    }

    /// An interface in the answer of Create or Describe.
    pub fn element(&mut self, name: &'static str, eni: &Eni, status: &str) -> Element {
        let (groups, order) = (self.groups, &mut self.order);
        let primary = eni.private_ips.first();
        let addresses = order
            .after_first(&eni.private_ips)
            .into_iter()
            .map(|ip| Element::new("item").with("privateIpAddress", ip).with("primary", Some(ip) == primary));
        let group_items = order.of(&eni.groups).into_iter().map(|id| {
            let name = groups.get(id).map(|group| group.name.as_str()).unwrap_or_default();
            Element::new("item").with("groupId", id).with("groupName", name)
        });
        let shape = &eni.shape;
        let prefixes = order
            .of(&eni.ipv4_prefixes)
            .into_iter()
            .map(|ip| Element::new("item").with("ipv4Prefix", format_args!("{ip}/28")));
        let ipv6_prefixes = order
            .of(&eni.ipv6_prefixes)
            .into_iter()
            .map(|ip| Element::new("item").with("ipv6Prefix", format_args!("{ip}/80")));
        let ipv6 = order.of(&eni.ipv6_addresses).into_iter().map(|ip| Element::new("item").with("ipv6Address", ip));
        let tags = order.of(&eni.tags).into_iter().map(tag);
        Element::new(name)
            .with("networkInterfaceId", &eni.id)
            .with("subnetId", &eni.subnet_id)
            .with("vpcId", &eni.vpc_id)
            .with("availabilityZone", &eni.zone)
            .with_some("outpostArn", eni.outpost.as_ref())
            .with("description", &eni.description)
            .with("ownerId", eni.other_owner.as_deref().unwrap_or("123456789012"))
            .with("requesterManaged", eni.requester_managed)
            .with("status", status)
            .with("macAddress", &eni.mac_address)
            .with_some("privateIpAddress", primary)
            .with("sourceDestCheck", eni.source_dest_check)
            .child(Element::set("groupSet", group_items))
            .child_some(eni.attachment.as_ref().map(attachment))
            .child(Element::set("tagSet", tags))
            .child(Element::set("privateIpAddressesSet", addresses))
            .child(Element::set("ipv6AddressesSet", ipv6))
            .child(Element::set("ipv4PrefixSet", prefixes))
            .child(Element::set("ipv6PrefixSet", ipv6_prefixes))
            .with("interfaceType", &eni.interface_type)
            .child_some(connection_tracking::element(&eni.connection_tracking))
            .child_some(
                eni.managed
                    .then(|| Element::new("operator").with("managed", true).with("principal", "eks.amazonaws.com")),
            )
            .shaped(&shape.without, &shape.texts)
    }
}

fn attachment(attachment: &Attachment) -> Element {
    Element::new("attachment")
        .with("attachmentId", &attachment.id)
        .with("instanceId", &attachment.instance_id)
        .with("instanceOwnerId", "123456789012")
        .with("deviceIndex", attachment.device_index)
        .with("networkCardIndex", attachment.network_card_index)
        .with("status", attachment.status.as_str())
        .with("attachTime", attachment.attach_time.strftime("%Y-%m-%dT%H:%M:%S.000Z"))
        .with("deleteOnTermination", attachment.delete_on_termination)
}

/// The tags of a resource.
pub(super) fn tag_set(tags: &BTreeMap<String, String>) -> Element {
    Element::set("tagSet", tags.iter().map(tag))
}

fn tag((key, value): (&String, &String)) -> Element {
    Element::new("item").with("key", key).with("value", value)
}
