//! EC2's answers as our facts. What an item lacks is unknown; one that lacks its ID is left out by itself, and the others of its
//! answer count. It is counted, and never taken for the absence of something of ours.

use aws_sdk_ec2::types::{
    AttachmentStatus, Filter, InstanceStateName, InstanceTypeInfo, NetworkCardInfo, NetworkInterface,
    NetworkInterfaceAttachment, NetworkInterfaceStatus, SecurityGroup, Subnet, Tag,
};
use compact_str::CompactString;
use jiff::Timestamp;
use multi_eni_api::ids::{EniId, InstanceId, SecurityGroupId, SubnetId};
use multi_eni_plan::ec2_errors::CallError;
use multi_eni_plan::instance::InstanceState;
use multi_eni_plan::observed::{
    AttachmentState, InstanceLimits, ObservedAttachment, ObservedEni, ObservedSubnet, UNKNOWN_INDEX,
};
use multi_eni_plan::string_map::StringMap;
use std::collections::BTreeMap;

/// A filter; values are matched literally.
pub(crate) fn filter<'a>(name: &str, values: impl IntoIterator<Item = &'a str>) -> Filter {
    Filter::builder().name(name).set_values(Some(values.into_iter().map(literal).collect())).build()
}

/// EC2 reads `*`, `?` and `\` in filter values as wildcards and escapes.
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

/// Tags as EC2 takes them.
pub(crate) fn tags_to_ec2(tags: &BTreeMap<String, String>) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

fn tags(tags: &[Tag]) -> StringMap {
    tags.iter().filter_map(|tag| Some((tag.key()?, tag.value().unwrap_or_default()))).collect()
}

/// An ENI of a Describe or a Create. `as_of`: the start of the Describe, or the answer of the Create. What EC2 leaves out of it is
/// unknown, and IDs are taken as EC2 writes them: only an ENI without an ID cannot be told from others.
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
        // Never shown with this ID: see below.
        id: id.clone().unwrap_or_else(|| nameless(attachment.as_ref())),
        subnet: eni.subnet_id().and_then(SubnetId::observed),
        vpc: eni.vpc_id().unwrap_or_default().into(),
        zone: eni.availability_zone().unwrap_or_default().into(),
        owner: eni.owner_id().unwrap_or_default().into(),
        mac: eni.mac_address().unwrap_or_default().into(),
        private_ips: private_ips(eni),
        groups,
        description: eni.description().unwrap_or_default().to_owned(),
        source_dest_check: eni.source_dest_check().unwrap_or(true),
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

/// An ENI of EC2's answer that has no ID. It cannot be acted on; it can be ours, and hold a slot.
#[derive(Debug, Clone)]
pub(crate) struct Unreadable {
    /// What can be read of it; its ID is a placeholder.
    pub seen: Box<ObservedEni>,
}

impl Unreadable {
    /// What holds the slot on its instance, as nobody's: nothing is ever done to it.
    pub fn occupant(self) -> ObservedEni {
        ObservedEni { tags: StringMap::default(), ..*self.seen }
    }
}

impl From<Unreadable> for CallError {
    fn from(_: Unreadable) -> Self {
        Self::Unknown("EC2's answer names no network interface".to_owned())
    }
}

/// What stands for the ID of an ENI that EC2 has shown without one.
fn nameless(attachment: Option<&ObservedAttachment>) -> EniId {
    let text = match attachment {
        Some(at) => format!("interface without ID at {}/{} ({})", at.card, at.index, at.id),
        None => "interface without ID".to_owned(),
    };
    EniId::of(&text)
}

fn private_ips(eni: &NetworkInterface) -> Vec<CompactString> {
    let all = eni.private_ip_addresses();
    let (mut first, rest): (Vec<_>, Vec<_>) = all.iter().partition(|ip| ip.primary() == Some(true));
    first.extend(rest);
    let mut ips: Vec<CompactString> =
        first.into_iter().filter_map(|ip| ip.private_ip_address()).map(CompactString::from).collect();
    if ips.is_empty() {
        ips.extend(eni.private_ip_address().map(CompactString::from));
    }
    // Kept for each ENI, and it grew by doubling.
    ips.shrink_to_fit();
    ips
}

fn attachment(seen: &NetworkInterfaceAttachment, as_of: Timestamp) -> Option<ObservedAttachment> {
    let state = match seen.status() {
        Some(AttachmentStatus::Attaching) => AttachmentState::Attaching,
        Some(AttachmentStatus::Detaching) => AttachmentState::Detaching,
        Some(AttachmentStatus::Detached) => return None,
        // `attached`; and whatever EC2 may call it one day, the slot is taken.
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

/// A subnet of a Describe that began at `as_of`; None: it has no ID.
pub(crate) fn subnet(subnet: &Subnet, as_of: Timestamp) -> Option<ObservedSubnet> {
    Some(ObservedSubnet {
        id: subnet.subnet_id().and_then(SubnetId::observed)?,
        zone: subnet.availability_zone().unwrap_or_default().to_owned(),
        vpc: subnet.vpc_id().unwrap_or_default().to_owned(),
        cidr: subnet.cidr_block().unwrap_or_default().to_owned(),
        owner: subnet.owner_id().unwrap_or_default().to_owned(),
        name: tags(subnet.tags()).get("Name").map(str::to_owned),
        free_addresses: subnet.available_ip_address_count().unwrap_or_default(),
        grown: None,
        as_of,
    })
}

/// Name, VPC and ID of a security group; None: it has no ID.
pub(crate) fn group(group: &SecurityGroup) -> Option<(String, String, SecurityGroupId)> {
    let id = group.group_id().and_then(SecurityGroupId::observed)?;
    Some((group.group_name().unwrap_or_default().to_owned(), group.vpc_id().unwrap_or_default().to_owned(), id))
}

/// Name and limits of an instance type. None for one that does not say them: EC2's own refusals tell then.
pub(crate) fn limits(kind: &InstanceTypeInfo) -> Option<(String, InstanceLimits)> {
    let name = kind.instance_type()?.as_str().to_owned();
    let network = kind.network_info()?;
    let enis = network.maximum_network_interfaces()?;
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

/// Interfaces that each network card takes, by the card's index. A card of which EC2 says too little takes what is asked for:
/// EC2's own refusal tells then, and no other card moves into its place.
fn cards(described: &[NetworkCardInfo], all: i32) -> Vec<i32> {
    let mut cards: BTreeMap<usize, i32> = BTreeMap::new();
    for (place, card) in described.iter().enumerate() {
        let index = card.network_card_index().and_then(|index| usize::try_from(index).ok()).unwrap_or(place);
        if index < MOST_CARDS {
            cards.insert(index, card.maximum_network_interfaces().unwrap_or(i32::MAX));
        }
    }
    let Some(last) = cards.keys().next_back().copied() else { return vec![all] };
    (0..=last).map(|index| cards.get(&index).copied().unwrap_or(i32::MAX)).collect()
}

/// More network cards than any instance type has.
const MOST_CARDS: usize = 256;

/// ID and state of an instance; None for a state that EC2 does not have today.
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
mod recorded;

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
}
