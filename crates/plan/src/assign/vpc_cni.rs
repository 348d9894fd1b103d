//! Whether the AWS VPC CNI of the node takes the device index of a new ENI: next, or later as the number of pods grows. It takes the
//! lowest free index of a network card, from 0 on. It is known by its tag and its descriptions, and by the addresses for pods that it
//! adds to the primary interface. The answer is a warning for users; it decides nothing.

use super::new_attachment::NewAttachment;
use super::planner::NodePlanner;
use super::vpc_cni_claim::VpcCniClaim;
use crate::nodeeni::EniSpec;
use crate::observed::{InstanceInterfaces, ObservedEni, ObservedNode, PrimaryAddresses};
use multi_eni_api::DeviceIndexPolicy;
use multi_eni_api::names::{TAG_VPC_CNI_INSTANCE, VPC_CNI_DESCRIPTION};
use std::collections::BTreeSet;

impl NodePlanner<'_> {
    /// What the VPC CNI does with the index of this new ENI. None: nothing shows the CNI on the node, or the CNI does not reach the
    /// index.
    pub(super) fn vpc_cni_claim(
        &self,
        node: &ObservedNode,
        spec: &EniSpec,
        new: &NewAttachment,
    ) -> Option<VpcCniClaim> {
        let (card, index) = (new.spec.request.network_card_index, new.spec.request.device_index);
        let interfaces = self.input.instance.filter(|_| spec.index_policy == DeviceIndexPolicy::Exact)?;
        if !manages_card(interfaces, card) {
            return None;
        }
        if card == 0 && self.is_next_of_vpc_cni(interfaces, index) {
            return Some(VpcCniClaim::Next);
        }
        let foreign = interfaces.enis.iter().filter(|eni| !is_of_vpc_cni(eni)).filter_map(slot_of);
        let others: BTreeSet<i32> = foreign.filter(|at| at.0 == card && *at != (0, 0)).map(|at| at.1).collect();
        // Interfaces above the index leave fewer to the CNI, which takes the lowest indexes first.
        let above = others.range(index.saturating_add(1)..).count();
        let most = self.most_on(node, card).saturating_sub(i32::try_from(above).unwrap_or(i32::MAX));
        if index >= most {
            return None;
        }
        let stored = self.here.iter().map(|attachment| attachment.slot());
        let planned = self.plan.slots.iter().flat_map(|(_, slots)| slots).copied();
        let ours: BTreeSet<i32> = stored.chain(planned).filter(|(on, _)| *on == card).map(|(_, index)| index).collect();
        let left = (0..index).filter(|lower| !others.contains(lower) && !ours.contains(lower)).count();
        // The CNI ignores a MAX_ENI below 1.
        Some(VpcCniClaim::Later { max_eni: i32::try_from(left).ok().filter(|left| *left > 0) })
    }

    /// Whether the last lookup shows an interface with the tag of the VPC CNI on the instance, and each lower index of card 0 has an
    /// interface, so that the index is the one that the VPC CNI takes next.
    fn is_next_of_vpc_cni(&self, interfaces: &InstanceInterfaces, index: i32) -> bool {
        if !interfaces.enis.iter().any(|eni| eni.tags.get(TAG_VPC_CNI_INSTANCE).is_some()) {
            return false;
        }
        let shown = interfaces.enis.iter().filter_map(slot_of);
        let stored = self.here.iter().map(|attachment| attachment.slot());
        let planned = self.plan.slots.iter().flat_map(|(_, slots)| slots).copied();
        let slots: BTreeSet<(i32, i32)> = shown.chain(stored).chain(planned).collect();
        (1..index).all(|lower| slots.contains(&(0, lower)))
    }

    /// The number of interfaces of this network card. Each instance type takes two or more on card 0.
    fn most_on(&self, node: &ObservedNode, card: i32) -> i32 {
        let limits = node.instance_type.as_ref().and_then(|kind| self.input.catalog.instance_types.get(kind));
        let of_card = limits.and_then(Option::as_ref).zip(usize::try_from(card).ok());
        let most = of_card.and_then(|(limits, card)| limits.cards.get(card)).copied();
        most.unwrap_or(if card == 0 { 2 } else { 0 })
    }
}

/// Whether something shows that the VPC CNI attaches interfaces to this network card. On cards above 0 it does so only with
/// ENABLE_MULTI_NIC, and then has an interface on one of them.
fn manages_card(interfaces: &InstanceInterfaces, card: i32) -> bool {
    let on = |is_meant: fn(i32) -> bool| {
        let is_there = |eni: &&ObservedEni| slot_of(eni).is_some_and(|at| at != (0, 0) && is_meant(at.0));
        interfaces.enis.iter().filter(is_there).any(is_of_vpc_cni)
    };
    if card > 0 {
        return on(|card| card > 0);
    }
    on(|card| card == 0)
        || match interfaces.primary_addresses {
            PrimaryAddresses::Ipv4 => true,
            // With custom networking the CNI tags the primary interface, and pods have no addresses there.
            PrimaryAddresses::Own => interfaces.enis.iter().any(is_of_vpc_cni),
            // In IPv6 mode the CNI gives the primary interface a prefix, and attaches no further interface to card 0.
            PrimaryAddresses::Ipv6Prefix => false,
        }
}

fn is_of_vpc_cni(eni: &ObservedEni) -> bool {
    eni.tags.get(TAG_VPC_CNI_INSTANCE).is_some() || eni.description.starts_with(VPC_CNI_DESCRIPTION)
}

fn slot_of(eni: &ObservedEni) -> Option<(i32, i32)> {
    eni.attachment.as_ref().map(|at| (at.card, at.index))
}
