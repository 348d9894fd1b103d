//! What differs between an ENI and the spec of its NodeENI, of all that is fixed when an ENI is created: it has to be replaced. The
//! sentences are for people. This file compares the ENIAttachment with the spec, and decides nothing.

use crate::attachment::Attachment;
use crate::nodeeni::{EniSpec, SubnetRef};
use crate::observed::Ec2Catalog;
use crate::selected_subnets::Selection;
use multi_eni_api::DeviceIndexPolicy;
use multi_eni_api::ids::SubnetId;

/// What differs, as ends of a sentence about the spec. `slots`: those of the NodeENI on the node, if they are known. What the catalog
/// does not have is taken for as the spec asks.
pub fn spec_differences(
    catalog: &Ec2Catalog,
    spec: &EniSpec,
    slots: Option<&[(i32, i32)]>,
    attachment: &Attachment,
) -> Vec<String> {
    let is_at_its_slot = match slots {
        Some(slots) => slots.contains(&attachment.slot()),
        None => may_be_at(spec, attachment),
    };
    subnet(catalog, spec, attachment)
        .into_iter()
        .chain((!is_at_its_slot).then(|| slot(attachment)))
        .chain(counts(spec, attachment))
        .collect()
}

/// Whether the slot may be right, while the slots of the NodeENI on the Node are not known.
fn may_be_at(spec: &EniSpec, attachment: &Attachment) -> bool {
    let (card, index) = attachment.slot();
    let is_one = spec.subnets.len() <= 1;
    let is_index = match spec.index_policy {
        DeviceIndexPolicy::HighestFree => true,
        DeviceIndexPolicy::Exact => index == spec.index || !is_one && index > spec.index,
    };
    // An ENI that was adopted from upstream keeps its slot.
    attachment.adopted.is_some() || card == spec.card && is_index
}

fn slot(attachment: &Attachment) -> String {
    let (card, index) = attachment.slot();
    format!("it asks for no ENI at device index {index} on network card {card}")
}

fn subnet(catalog: &Ec2Catalog, spec: &EniSpec, attachment: &Attachment) -> Option<String> {
    let id = SubnetId::parse(&attachment.request.subnet_id).ok()?;
    let is_listed = |reference: &SubnetRef| match reference {
        SubnetRef::Id(own) => *own == id,
        // A name that has not been looked up may stand for the subnet.
        SubnetRef::Name(name) => catalog.subnets_named.get(name).is_none_or(|found| found.contains(&id)),
    };
    let is_asked = if spec.subnet_terms.is_empty() {
        spec.subnets.iter().any(is_listed)
    } else {
        let is_open = !catalog.unresolved_tags(&spec.subnet_terms).is_empty();
        is_open || catalog.selection(&spec.subnet_terms, &id, None) == Selection::Selected
    };
    (!is_asked).then(|| format!("it does not ask for {id}"))
}

fn counts(spec: &EniSpec, attachment: &Attachment) -> impl Iterator<Item = String> {
    let request = &attachment.request;
    let fields = [
        ("ipv4PrefixCount", spec.ipv4_prefix_count, request.ipv4_prefix_count),
        ("ipv6AddressCount", spec.ipv6_address_count, request.ipv6_address_count),
        ("ipv6PrefixCount", spec.ipv6_prefix_count, request.ipv6_prefix_count),
        ("privateIPCount", spec.private_ip_count, request.private_ip_count),
    ];
    let shown = |count: Option<i32>| count.map_or_else(|| "none".to_owned(), |count| count.to_string());
    let differs = fields.into_iter().filter(|(_, asked, has)| asked != has);
    differs.map(move |(field, asked, has)| format!("{field} is {}, and the ENI has {}", shown(asked), shown(has)))
}
