//! Whether an ENI that stays is still the one that its NodeENI asks for. `assign` lists the ENIs that it replaces or removes; an
//! ENI that must stay for a while is in no list. This file compares its ENIAttachment with the spec, for people. It decides nothing.

use crate::assign::{Assignment, Unassigned, UnassignedReason};
use crate::attachment::Attachment;
use crate::nodeeni::NodeEni;
use crate::observed::Ec2Catalog;
use crate::spec_differences::spec_differences;

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
    let differences = spec_differences(catalog, spec, slots, attachment);
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
