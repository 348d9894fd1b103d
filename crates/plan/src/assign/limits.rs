//! Checks the limits of the instance type before an ENI is created: interfaces, network cards and addresses. The limits come from
//! the catalog, the interfaces from the last lookup of the instance. A Node without a type label, or of a type that EC2 does not
//! know or does not permit to look up, is not limited here.

use super::assignment::Need;
use super::planner::NodePlanner;
use super::unassigned::UnassignedReason;
use crate::attachment::Attachment;
use crate::nodeeni::EniSpec;
use crate::observed::{CatalogLookup, InstanceInterfaces, InstanceLimits, ObservedNode};

impl<'a> NodePlanner<'a> {
    /// The instance type of the node and its limits. None if the type label is missing, EC2 does not know the type or the
    /// permission to look it up is missing; then EC2 itself refuses what does not fit.
    pub(super) fn limits_of(
        &mut self,
        node: &ObservedNode,
    ) -> Result<Option<(String, &'a InstanceLimits)>, UnassignedReason> {
        let input = self.input;
        let Some(kind) = &node.instance_type else { return Ok(None) };
        match input.catalog.instance_types.get(kind) {
            Some(limits) => Ok(limits.as_ref().map(|limits| (kind.clone(), limits))),
            None => {
                self.plan.needs.insert(Need::InstanceType(kind.clone()));
                let failure = input.catalog.failure(&[CatalogLookup::InstanceTypes]);
                // A role without this permission works without limits. A permission that is withdrawn for a moment is waited for.
                if failure.is_some_and(|failure| failure.is_unauthorized() && input.now >= failure.report_at()) {
                    return Ok(None);
                }
                Err(self.lookup_pending(failure, "the EC2 lookup of the limits of the node's instance type"))
            }
        }
    }

    /// Whether the instance and the network card have room for one more interface. The count includes the interfaces that the
    /// last lookup shows, the ENIAttachments of the instance, and those that this plan creates.
    pub(super) fn has_room(
        &self,
        kind: &str,
        limits: &InstanceLimits,
        card: i32,
        interfaces: &InstanceInterfaces,
    ) -> Result<(), UnassignedReason> {
        let shown = interfaces.enis.iter().filter_map(|eni| eni.attachment.as_ref()).map(|at| (at.card, at.index));
        let attachment = self.here.iter().map(|attachment| attachment.slot());
        let new =
            self.plan.create.iter().map(|new| (new.spec.request.network_card_index, new.spec.request.device_index));
        let taken: std::collections::BTreeSet<(i32, i32)> = shown.chain(attachment).chain(new).collect();
        let on_card = taken.iter().filter(|(on, _)| *on == card).count();
        let full = |used: usize, most: i32| usize::try_from(most).is_ok_and(|most| used >= most);
        if full(taken.len(), limits.enis) {
            return Err(UnassignedReason::InstanceFull { kind: kind.to_owned(), card: None, most: limits.enis });
        }
        match usize::try_from(card).ok().and_then(|card| limits.cards.get(card)) {
            Some(most) if full(on_card, *most) => {
                Err(UnassignedReason::InstanceFull { kind: kind.to_owned(), card: Some(card), most: *most })
            }
            _ => Ok(()),
        }
    }
}

/// Refuses a network card, a device index or a number of addresses that no instance of this type supports.
pub(super) fn fits(
    kind: &str,
    limits: &InstanceLimits,
    spec: &EniSpec,
    (card, index): (i32, i32),
) -> Result<(), UnassignedReason> {
    let kind = || kind.to_owned();
    let Some(most) = usize::try_from(card).ok().and_then(|card| limits.cards.get(card)).copied() else {
        return Err(UnassignedReason::NoSuchCard { kind: kind(), card, cards: limits.cards.len() });
    };
    // The indexes of a card are counted by its own maximum (aws/aws-parallelcluster#4278,
    // aws/amazon-vpc-resource-controller-k8s#190). An instance with one card accepts higher indexes.
    if limits.cards.len() > 1 && index >= most {
        return Err(UnassignedReason::IndexBeyondCard { kind: kind(), slot: (card, index), most });
    }
    let ipv4 = spec.private_ip_count.unwrap_or(1).max(1).saturating_add(spec.ipv4_prefix_count.unwrap_or(0));
    // Only one of them is set.
    let ipv6 = spec.ipv6_address_count.or(spec.ipv6_prefix_count).unwrap_or(0);
    for (family, asked, most) in [("IPv4", ipv4, limits.ipv4_per_eni), ("IPv6", ipv6, limits.ipv6_per_eni)] {
        if asked > most {
            return Err(UnassignedReason::TooManyAddresses { kind: kind(), family, asked, most });
        }
    }
    Ok(())
}

/// Whether the network card has room for one more interface. The count includes the interfaces that the last lookup shows and the
/// ENIAttachments of the instance.
pub(super) fn card_has_room(
    kind: &str,
    limits: &InstanceLimits,
    card: i32,
    interfaces: &InstanceInterfaces,
    here: &[&Attachment],
) -> Result<(), UnassignedReason> {
    let shown = interfaces.enis.iter().filter_map(|eni| eni.attachment.as_ref()).map(|at| (at.card, at.index));
    let taken: std::collections::BTreeSet<(i32, i32)> =
        shown.chain(here.iter().map(|attachment| attachment.slot())).collect();
    let used = taken.iter().filter(|(on, _)| *on == card).count();
    match usize::try_from(card).ok().and_then(|card| limits.cards.get(card)) {
        Some(most) if usize::try_from(*most).is_ok_and(|most| used >= most) => {
            Err(UnassignedReason::InstanceFull { kind: kind.to_owned(), card: Some(card), most: *most })
        }
        _ => Ok(()),
    }
}
