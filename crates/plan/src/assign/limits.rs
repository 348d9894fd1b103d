//! What the instance type takes, known before anything is created.

use super::assignment::Need;
use super::planner::NodePlanner;
use super::unassigned::UnassignedReason;
use crate::attachment::Attachment;
use crate::nodeeni::EniSpec;
use crate::observed::{CatalogLookup, InstanceInterfaces, InstanceLimits, ObservedNode};

impl<'a> NodePlanner<'a> {
    /// The limits of the node's type: None if its label is missing or EC2 does not know the type; then EC2's own refusal tells.
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
                Err(self.lookup_pending(failure, "the limits of its instance type"))
            }
        }
    }

    /// Whether there is room for one more on that card: what a look shows, and what is on its way there.
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

/// What no instance of that type ever takes.
pub(super) fn fits(kind: &str, limits: &InstanceLimits, spec: &EniSpec, card: i32) -> Result<(), UnassignedReason> {
    let kind = || kind.to_owned();
    if usize::try_from(card).ok().and_then(|card| limits.cards.get(card)).is_none() {
        return Err(UnassignedReason::NoSuchCard { kind: kind(), card, cards: limits.cards.len() });
    }
    let ipv4 = spec.private_ip_count.unwrap_or(1).max(1).saturating_add(spec.ipv4_prefix_count.unwrap_or(0));
    let ipv6 = spec.ipv6_address_count.unwrap_or(0);
    for (family, asked, most) in [("IPv4", ipv4, limits.ipv4_per_eni), ("IPv6", ipv6, limits.ipv6_per_eni)] {
        if asked > most {
            return Err(UnassignedReason::TooManyAddresses { kind: kind(), family, asked, most });
        }
    }
    Ok(())
}

/// Whether one more than what is there has room on that card.
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
