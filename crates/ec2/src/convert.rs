//! Converts EC2's answers to the data types of the crate `plan`, and parts of requests to EC2's types. A field that EC2 leaves
//! out is unknown. Only an item without an ID is skipped and counted; such an item never proves the absence of an ENI, subnet or
//! instance.

use aws_sdk_ec2::types::{
    AttachmentStatus, ConnectionTrackingSpecificationRequest, Filter, InstanceStateName, InstanceTypeInfo,
    NetworkCardInfo, NetworkInterface, NetworkInterfaceAttachment, NetworkInterfaceStatus, SecurityGroup, Subnet, Tag,
};
use compact_str::CompactString;
use jiff::Timestamp;
use multi_eni_api::ConnectionTracking;
use multi_eni_api::ids::{EniId, InstanceId, SecurityGroupId, SubnetId};
use multi_eni_plan::ec2_errors::CallError;
use multi_eni_plan::ec2_terms::TagTerm;
use multi_eni_plan::instance_life::InstanceState;
use multi_eni_plan::observed::{
    AttachmentState, InstanceLimits, ObservedAttachment, ObservedEni, ObservedIpv6, ObservedSubnet, UNKNOWN_INDEX,
};
use multi_eni_plan::string_map::StringMap;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// A filter that matches the values literally.
pub(crate) fn filter<'a>(name: &str, values: impl IntoIterator<Item = &'a str>) -> Filter {
    Filter::builder().name(name).set_values(Some(values.into_iter().map(literal).collect())).build()
}

/// Filters that a resource with all tags of the term passes.
pub(crate) fn tag_filters(term: &TagTerm) -> Vec<Filter> {
    let of = |(key, value): (&str, Option<&str>)| match value {
        Some(value) => filter(&format!("tag:{key}"), [value]),
        None => filter("tag-key", [key]),
    };
    term.tags().map(of).collect()
}

/// Escapes `*`, `?` and `\`, which EC2 reads in filter values as wildcards and escapes.
fn literal(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        if matches!(c, '*' | '?' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Tags in EC2's type.
pub(crate) fn tags_to_ec2(tags: &BTreeMap<String, String>) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

fn tags(tags: &[Tag]) -> StringMap {
    tags.iter().filter_map(|tag| Some((tag.key()?, tag.value().unwrap_or_default()))).collect()
}

/// Reads an ENI of a Describe or a Create. `as_of`: the start of the Describe, or the time of the Create's answer. Fields that
/// EC2 leaves out are unknown, and IDs are kept as EC2 writes them. Only an ENI without an ID is unreadable.
pub(crate) fn eni(eni: &NetworkInterface, as_of: Timestamp) -> Result<ObservedEni, Unreadable> {
    let id = eni.network_interface_id().and_then(EniId::observed);
    let mut groups: Vec<_> = eni
        .groups()
        .iter()
        .filter_map(|group| SecurityGroupId::observed(group.group_id().unwrap_or_default()))
        .collect();
    groups.sort();
    groups.shrink_to_fit();
    let attachment = eni.attachment().and_then(|attached| attachment(attached, as_of));
    let in_use = matches!(eni.status(), Some(NetworkInterfaceStatus::InUse | NetworkInterfaceStatus::Associated));
    let seen = ObservedEni {
        // An ENI with this placeholder for an ID is returned only as `Unreadable`.
        id: id.clone().unwrap_or_else(|| nameless(attachment.as_ref())),
        subnet: eni.subnet_id().and_then(SubnetId::observed),
        vpc: eni.vpc_id().unwrap_or_default().into(),
        zone: eni.availability_zone().unwrap_or_default().into(),
        owner: eni.owner_id().unwrap_or_default().into(),
        operator: operator(eni),
        mac: eni.mac_address().unwrap_or_default().into(),
        private_ips: private_ips(eni),
        ipv4_prefixes: texts(eni.ipv4_prefixes().iter().filter_map(|prefix| prefix.ipv4_prefix())),
        ipv6: ObservedIpv6 {
            addresses: texts(eni.ipv6_addresses().iter().filter_map(|address| address.ipv6_address())),
            prefixes: texts(eni.ipv6_prefixes().iter().filter_map(|prefix| prefix.ipv6_prefix())),
        },
        groups,
        description: eni.description().unwrap_or_default().to_owned(),
        source_dest_check: eni.source_dest_check().unwrap_or(true),
        connection_tracking: connection_tracking(eni),
        tags: tags(eni.tag_set()),
        in_use_since: (in_use && attachment.is_none()).then_some(as_of),
        attachment,
        shown_at: as_of,
        last_call: None,
    };
    match id {
        Some(_) => Ok(seen),
        None => Err(Unreadable { seen: Box::new(seen) }),
    }
}

/// The Outpost of an instance, by its ARN, if this ENI is the primary interface there. Nearly all instances are on none, so it is read
/// apart from the ENI.
pub(crate) fn outpost(eni: &NetworkInterface) -> Option<(InstanceId, Box<str>)> {
    let arn = eni.outpost_arn().filter(|arn| !arn.is_empty())?;
    let attached = eni.attachment().filter(|at| at.network_card_index().unwrap_or_default() == 0)?;
    let instance = attached.instance_id().filter(|_| attached.device_index() == Some(0))?;
    Some((InstanceId::observed(instance)?, arn.into()))
}

fn connection_tracking(eni: &NetworkInterface) -> ConnectionTracking {
    eni.connection_tracking_configuration().map_or_else(ConnectionTracking::default, |shown| ConnectionTracking {
        tcp_established_timeout_seconds: shown.tcp_established_timeout(),
        udp_stream_timeout_seconds: shown.udp_stream_timeout(),
        udp_timeout_seconds: shown.udp_timeout(),
    })
}

/// The timeouts in EC2's type. A timeout that is not set is left out of the request.
pub(crate) fn connection_tracking_to_ec2(timeouts: ConnectionTracking) -> ConnectionTrackingSpecificationRequest {
    ConnectionTrackingSpecificationRequest::builder()
        .set_tcp_established_timeout(timeouts.tcp_established_timeout_seconds)
        .set_udp_stream_timeout(timeouts.udp_stream_timeout_seconds)
        .set_udp_timeout(timeouts.udp_timeout_seconds)
        .build()
}

/// An ENI in EC2's answer that has no ID. No call can name the ENI, but it can be this cluster's and can occupy a slot.
#[derive(Debug, Clone)]
pub(crate) struct Unreadable {
    /// The fields that can be read; the ID is a placeholder.
    pub seen: Box<ObservedEni>,
}

impl Unreadable {
    /// The ENI as a foreign occupant of its slot: without tags, so that no call is ever made for it.
    pub fn occupant(self) -> ObservedEni {
        ObservedEni { tags: StringMap::default(), ..*self.seen }
    }
}

impl From<Unreadable> for CallError {
    fn from(_: Unreadable) -> Self {
        Self::Unknown("EC2's answer names no network interface".to_owned())
    }
}

/// The placeholder for the ID of an ENI that EC2 shows without an ID.
fn nameless(attachment: Option<&ObservedAttachment>) -> EniId {
    let text = match attachment {
        Some(at) => format!("interface without ID at {}/{} ({})", at.card, at.index, at.id),
        None => "interface without ID".to_owned(),
    };
    EniId::of(&text)
}

/// The texts, sorted, in a list without spare capacity: the cache keeps it for each ENI.
fn texts<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<CompactString> {
    let mut texts: Vec<CompactString> = texts.map(CompactString::from).collect();
    texts.sort_unstable();
    texts.shrink_to_fit();
    texts
}

/// The service that manages the ENI: its principal, or a word for it if EC2 names none.
fn operator(eni: &NetworkInterface) -> Option<CompactString> {
    let operator = eni.operator().filter(|operator| operator.managed() == Some(true))?;
    Some(operator.principal().filter(|name| !name.is_empty()).unwrap_or("an AWS service").into())
}

/// The primary address, then the others in the order of their numbers: EC2 promises no order, and the status lists them.
fn private_ips(eni: &NetworkInterface) -> Vec<CompactString> {
    let mut all: Vec<_> = eni
        .private_ip_addresses()
        .iter()
        .filter_map(|ip| Some((ip.primary() != Some(true), ip.private_ip_address()?)))
        .collect();
    all.sort_by_cached_key(|(is_other, ip)| (*is_other, ip.parse::<Ipv4Addr>().ok(), *ip));
    let mut ips: Vec<CompactString> = all.into_iter().map(|(_, ip)| CompactString::from(ip)).collect();
    if ips.is_empty() {
        ips.extend(eni.private_ip_address().map(CompactString::from));
    }
    // The cache keeps this list for each ENI, and its capacity grew by doubling.
    ips.shrink_to_fit();
    ips
}

fn attachment(seen: &NetworkInterfaceAttachment, as_of: Timestamp) -> Option<ObservedAttachment> {
    let state = match seen.status() {
        Some(AttachmentStatus::Attaching) => AttachmentState::Attaching,
        Some(AttachmentStatus::Detaching) => AttachmentState::Detaching,
        Some(AttachmentStatus::Detached) => return None,
        // `attached`, and every status that EC2 may add: the slot is occupied.
        _ => AttachmentState::Attached,
    };
    let attach_time = seen
        .attach_time()
        .and_then(|time| Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).unwrap_or_default()).ok());
    let since = match state {
        AttachmentState::Attaching => attach_time.map_or(as_of, |at| at.min(as_of)),
        AttachmentState::Attached | AttachmentState::Detaching => as_of,
    };
    Some(ObservedAttachment {
        id: seen.attachment_id().unwrap_or_default().to_owned(),
        instance: seen.instance_id().and_then(InstanceId::observed),
        card: seen.network_card_index().unwrap_or_default(),
        index: seen.device_index().unwrap_or(UNKNOWN_INDEX),
        state,
        since,
        delete_on_termination: seen.delete_on_termination().unwrap_or_default(),
    })
}

/// Reads a subnet of a Describe that began at `as_of`. None if it has no ID.
pub(crate) fn subnet(subnet: &Subnet, as_of: Timestamp) -> Option<ObservedSubnet> {
    Some(ObservedSubnet {
        id: subnet.subnet_id().and_then(SubnetId::observed)?,
        zone: subnet.availability_zone().unwrap_or_default().to_owned(),
        outpost: subnet.outpost_arn().filter(|arn| !arn.is_empty()).map(Box::from),
        vpc: subnet.vpc_id().unwrap_or_default().to_owned(),
        cidr: subnet.cidr_block().unwrap_or_default().to_owned(),
        owner: subnet.owner_id().unwrap_or_default().to_owned(),
        name: tags(subnet.tags()).get("Name").map(str::to_owned),
        tags: tags(subnet.tags()),
        tags_since: Some(as_of),
        free_addresses: subnet.available_ip_address_count().unwrap_or_default(),
        grown: None,
        as_of,
    })
}

/// Name, VPC and ID of a security group. None if it has no ID.
pub(crate) fn group(group: &SecurityGroup) -> Option<(String, String, SecurityGroupId)> {
    let id = group.group_id().and_then(SecurityGroupId::observed)?;
    Some((group.group_name().unwrap_or_default().to_owned(), group.vpc_id().unwrap_or_default().to_owned(), id))
}

/// Name and limits of an instance type. None if EC2 leaves a limit out: then only EC2's own refusals limit the calls.
pub(crate) fn limits(kind: &InstanceTypeInfo) -> Option<(String, InstanceLimits)> {
    let name = kind.instance_type()?.as_str().to_owned();
    let network = kind.network_info()?;
    // Flexible interfaces of a card come on top of its maximum (API reference, NetworkCardInfo).
    let flexible = network.network_cards().iter().filter_map(NetworkCardInfo::additional_flexible_network_interfaces);
    let enis = network.maximum_network_interfaces()?.saturating_add(flexible.sum::<i32>().max(0));
    let cards = cards(network.network_cards(), enis);
    let ipv6 = if network.ipv6_supported() == Some(false) { Some(0) } else { network.ipv6_addresses_per_interface() };
    let limits = InstanceLimits {
        enis,
        cards,
        ipv4_per_eni: network.ipv4_addresses_per_interface()?,
        ipv6_per_eni: ipv6.unwrap_or(i32::MAX),
    };
    Some((name, limits))
}

/// Maximum number of interfaces of each network card, by the card's index. A card without a maximum in EC2's answer has no limit
/// here, and only EC2's own refusals limit the calls. No other card moves to its index.
fn cards(described: &[NetworkCardInfo], all: i32) -> Vec<i32> {
    let mut cards: BTreeMap<usize, i32> = BTreeMap::new();
    for (place, card) in described.iter().enumerate() {
        let index = card.network_card_index().and_then(|index| usize::try_from(index).ok()).unwrap_or(place);
        if index < MOST_CARDS {
            let flexible = card.additional_flexible_network_interfaces().unwrap_or(0).max(0);
            let most = card.maximum_network_interfaces().unwrap_or(i32::MAX);
            cards.insert(index, most.saturating_add(flexible));
        }
    }
    let Some(last) = cards.keys().next_back().copied() else { return vec![all] };
    (0..=last).map(|index| cards.get(&index).copied().unwrap_or(i32::MAX)).collect()
}

/// More network cards than any instance type has: bounds the list.
const MOST_CARDS: usize = 256;

/// ID and state of an instance. None if it has no ID; a state of None if EC2's answer has no known state.
pub(crate) fn instance(instance: &aws_sdk_ec2::types::Instance) -> Option<(InstanceId, Option<InstanceState>)> {
    let id = instance.instance_id().and_then(InstanceId::observed)?;
    let state = match instance.state().and_then(|state| state.name()) {
        Some(InstanceStateName::Pending) => Some(InstanceState::Pending),
        Some(InstanceStateName::Running) => Some(InstanceState::Running),
        Some(InstanceStateName::Stopping | InstanceStateName::Stopped) => Some(InstanceState::Stopped),
        Some(InstanceStateName::ShuttingDown) => Some(InstanceState::ShuttingDown),
        Some(InstanceStateName::Terminated) => Some(InstanceState::Terminated),
        _ => None,
    };
    Some((id, state))
}

#[cfg(test)]
mod recorded_answers_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_values_are_literal() {
        assert_eq!(literal(r"a*b?c\d"), r"a\*b\?c\\d");
        assert_eq!(literal("eth0-pool"), "eth0-pool");
    }

    #[test]
    fn the_primary_address_comes_first() {
        let ip = |address: &str, primary| {
            aws_sdk_ec2::types::NetworkInterfacePrivateIpAddress::builder()
                .private_ip_address(address)
                .primary(primary)
                .build()
        };
        let eni = NetworkInterface::builder()
            .private_ip_addresses(ip("10.0.0.9", false))
            .private_ip_addresses(ip("10.0.0.4", true))
            .build();
        assert_eq!(private_ips(&eni), ["10.0.0.4", "10.0.0.9"]);
    }

    #[test]
    fn no_order_of_lists_is_a_difference() {
        let ip = |address: &str| {
            let ip = aws_sdk_ec2::types::NetworkInterfacePrivateIpAddress::builder().private_ip_address(address);
            ip.primary(address == "10.0.0.9").build()
        };
        let tag = |key: &str| Tag::builder().key(key).value("v").build();
        let group = |id: &str| aws_sdk_ec2::types::GroupIdentifier::builder().group_id(id).build();
        let seen = |ips: [&str; 3], tags: [&str; 2], groups: [&str; 2]| {
            let shown = NetworkInterface::builder().network_interface_id("eni-0a");
            let shown = ips.into_iter().fold(shown, |shown, address| shown.private_ip_addresses(ip(address)));
            let shown = tags.into_iter().fold(shown, |shown, key| shown.tag_set(tag(key)));
            let shown = groups.into_iter().fold(shown, |shown, id| shown.groups(group(id)));
            eni(&shown.build(), Timestamp::UNIX_EPOCH).unwrap()
        };
        let one = seen(["10.0.0.9", "10.0.0.30", "10.0.0.4"], ["a", "b"], ["sg-0a", "sg-0b"]);
        let other = seen(["10.0.0.4", "10.0.0.9", "10.0.0.30"], ["b", "a"], ["sg-0b", "sg-0a"]);
        assert_eq!(one, other);
        assert_eq!(one.private_ips, ["10.0.0.9", "10.0.0.4", "10.0.0.30"], "the primary address, then by number");
    }
}
