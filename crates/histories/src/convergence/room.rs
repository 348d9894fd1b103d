//! Whether a subnet or an instance has room for an ENI. Where it has none, no controller could reach the state that the specs ask for.

use super::occupants::is_for;
use crate::checker::State;
use crate::checker::model::ModelEni;
use crate::expected::{Slot, asks_for_foreign_groups};
use crate::network_cards::is_beyond_its_card;
use multi_eni_api::NodeEniSpec;
use multi_eni_plan::attachment::Attachment;
use std::collections::BTreeSet;

/// Whether the ENIAttachment's subnet has no room for its ENI.
pub(super) fn lacks_addresses(state: &State, attachment: &Attachment) -> bool {
    has_no_block(state, attachment) || is_full(state, &attachment.nodeeni, &attachment.request.subnet_id)
}

/// Whether EC2's last answer was that the subnet has no whole block left, to this ENIAttachment or to one that tries for all. The
/// state of a subnet does not show how its addresses lie.
fn has_no_block(state: &State, attachment: &Attachment) -> bool {
    let asks_for_blocks = |attachment: &Attachment| attachment.request.ipv4_prefix_count.is_some_and(|count| count > 0);
    let is_refused = |other: &Attachment| {
        let says_so = other.status.last_error.as_ref().is_some_and(|error| {
            error.code == "InsufficientCidrBlocks"
                || error.message.contains("sufficient free Ipv4 addresses or prefixes")
        });
        other.request.subnet_id == attachment.request.subnet_id && says_so
    };
    asks_for_blocks(attachment)
        && state
            .model
            .attachments
            .values()
            .any(|other| asks_for_blocks(&other.attachment) && is_refused(&other.attachment))
}

/// Whether a subnet has no room for what a NodeENI asks for.
fn is_full(state: &State, nodeeni: &str, subnet: &str) -> bool {
    /// The addresses of a /28, and of a /24, minus the five that EC2 keeps.
    const TINY: usize = 11;
    const WHOLE: usize = 251;
    let Some(place) = state.subnets.iter().find(|place| place.id == subnet) else { return false };
    let spec = state.model.nodeenis.get(nodeeni).and_then(|nodeeni| nodeeni.spec.as_ref());
    let Some(spec) = spec else { return false };
    if place.ipv6_only {
        // EC2 refuses what needs IPv4 addresses there, and their number limits nothing.
        return asks_for_ipv4(spec);
    }
    let in_subnet = state.model.enis.values().filter(|eni| eni.current.is_in(subnet));
    let taken: usize = in_subnet.map(|eni| eni.current.private_ips.len() + 16 * prefixes(state, eni)).sum();
    let blocks = usize::try_from(spec.ipv4_prefix_count.unwrap_or(0)).unwrap_or(0);
    let desired = usize::try_from(spec.private_ip_count.unwrap_or(1).max(1)).unwrap_or(1) + 16 * blocks;
    let has_prefixes = place.tiny && spec.ipv4_prefix_count.is_some_and(|count| count > 0);
    has_prefixes || taken + desired > if place.tiny { TINY } else { WHOLE }
}

/// Whether a spec asks for IPv4 addresses besides the primary one, or for IPv4 prefixes.
fn asks_for_ipv4(spec: &NodeEniSpec) -> bool {
    spec.private_ip_count.is_some_and(|count| count > 1) || spec.ipv4_prefix_count.is_some_and(|count| count > 0)
}

/// Whether EC2 refuses each Create for an ENIAttachment, because it asks for IPv4 addresses in an IPv6-only subnet, or for a group of
/// another VPC.
pub(super) fn is_refused_for_good(state: &State, attachment: &Attachment) -> bool {
    let spec = state.model.nodeenis.get(&attachment.nodeeni).and_then(|nodeeni| nodeeni.spec.as_ref());
    let place = state.subnets.iter().find(|place| place.id == attachment.request.subnet_id);
    spec.zip(place).is_some_and(|(spec, place)| {
        place.ipv6_only && asks_for_ipv4(spec) || asks_for_foreign_groups(spec, place.placement)
    })
}

/// How many IPv4 prefixes an ENI has, by its ENIAttachment's request.
fn prefixes(state: &State, eni: &ModelEni) -> usize {
    let name = eni.made_for.as_ref().and_then(|uid| state.model.uids.get(uid));
    let attachment = name.and_then(|name| state.model.attachments.get(name));
    attachment
        .and_then(|attachment| attachment.attachment.request.ipv4_prefix_count)
        .and_then(|count| usize::try_from(count).ok())
        .unwrap_or(0)
}

/// Whether the network card of a slot is full, does not exist or has no such device index, which no controller can repair. ENIAttachments count, because
/// they keep their places. A slot that has an ENI, also one that is attaching, has room.
pub(super) fn is_crowded(state: &State, (instance, card, index): &Slot) -> bool {
    let Some(most) = usize::try_from(*card).ok().and_then(|card| state.cards.get(card)) else { return true };
    let attached = state.model.enis.values().filter_map(|eni| eni.current.attachment.as_ref());
    let attached = attached.filter(|at| at.instance.as_ref().is_some_and(|on| on.as_str() == instance));
    let attached: BTreeSet<(i32, i32)> = attached.map(|at| (at.card, at.index)).collect();
    if attached.contains(&(*card, *index)) {
        return false;
    }
    if is_beyond_its_card(&state.cards, *card, *index) {
        return true;
    }
    let attachment = state.model.attachments.values().map(|attachment| &attachment.attachment);
    let attachment = attachment.filter(|attachment| is_for(attachment, instance));
    // The other slots in use: a full card has no room for one more.
    let others = attachment.map(Attachment::slot).chain(attached).filter(|slot| *slot != (*card, *index));
    let slots: BTreeSet<(i32, i32)> = others.collect();
    // With `deviceIndexPolicy: highestFree` an ENI has no index before one is free below the card's maximum.
    let has_free_index = || {
        let most = i32::try_from(*most).unwrap_or(i32::MAX);
        (i32::from(*card == 0)..most).any(|index| !slots.contains(&(*card, index)))
    };
    slots.iter().filter(|(on, _)| on == card).count() >= usize::try_from(*most).unwrap_or(usize::MAX)
        || *index < 0 && !has_free_index()
}

/// Whether the instance has no room for the ENI of an ENIAttachment.
pub(super) fn lacks_a_place(state: &State, attachment: &Attachment) -> bool {
    let (card, index) = attachment.slot();
    attachment.instance.as_ref().is_some_and(|on| is_crowded(state, &(on.to_string(), card, index)))
}
