//! Whether an ENI that stays is still the one that its NodeENI asks for. `assign` lists the ENIs that it replaces or removes; an
//! ENI that must stay for a while is in no list. This file compares its ENIAttachment with the spec, for people. It decides nothing.

use crate::assign::{Assignment, Unassigned, UnassignedReason};
use crate::attachment::Attachment;
use crate::nodeeni::{EniSpec, NodeEni, SubnetRef};
use crate::observed::Ec2Catalog;
use crate::selected_subnets::Selection;
use multi_eni_api::DeviceIndexPolicy;
use multi_eni_api::ids::SubnetId;

/// An ENI that the spec no longer describes and that stays for now.
pub(super) struct Outdated<'a> {
    /// What differs.
    pub differences: Vec<String>,
    /// The reasons why the NodeENI gets no other ENI on the Node now.
    pub reasons: Vec<&'a UnassignedReason>,
    /// Whether the NodeENI asks for another ENI in the same slot.
    pub has_successor: bool,
}

/// Compares an ENIAttachment with the spec of its NodeENI on its Node. None: the spec describes the ENI, or it is not known.
pub(super) fn outdated<'a>(
    catalog: &Ec2Catalog,
    assignment: &'a Assignment,
    nodeeni: &NodeEni,
    attachment: &Attachment,
) -> Option<Outdated<'a>> {
    let spec = nodeeni.spec.as_ref().ok()?;
    if !assignment.matches(&nodeeni.uid) || attachment.unreadable.is_some() {
        return None;
    }
    let slots = assignment.slots_of(&nodeeni.uid);
    let has_successor = slots.is_some_and(|slots| slots.contains(&attachment.slot()));
    let is_at_its_slot = match slots {
        Some(slots) => slots.contains(&attachment.slot()),
        None => may_be_at(spec, attachment),
    };
    let differences: Vec<String> = subnet(catalog, spec, attachment)
        .into_iter()
        .chain((!is_at_its_slot).then(|| slot(attachment)))
        .chain(counts(spec, attachment))
        .collect();
    let mine = assignment.refused.iter().filter(|refusal| refusal.nodeeni_uid == nodeeni.uid);
    let reasons = mine.map(|Unassigned { why, .. }| why).collect();
    (!differences.is_empty()).then_some(Outdated { differences, reasons, has_successor })
}

impl Outdated<'_> {
    /// The reason of which somebody must remove the cause before the ENI can be replaced or removed.
    pub fn obstacle(&self) -> Option<&UnassignedReason> {
        self.reasons.iter().copied().find(|why| !why.is_transient())
    }
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
