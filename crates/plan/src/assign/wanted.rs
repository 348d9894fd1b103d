//! What a NodeENI asks for on one Node: its subnets of the zone, its groups, and the slots.

use super::{Assignment, Input, Need, NewAttachment, Pinned, Refused, Resolved, adopt, look, place, resolve, slots};
use crate::bounds;
use crate::facts::{NetworkLook, NodeFacts, SubnetFacts};
use crate::held::Held;
use crate::intent::{Ask, Intent, SubnetRef};
use crate::place::region_of;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::EniRequest;
use multi_eni_api::ids::{InstanceId, SecurityGroupId, SubnetId};

/// A place that nothing can come to: one of the NodeENI's subnets, and why.
pub(super) struct Unplaced {
    pub subnet: SubnetId,
    pub why: Refused,
}

/// The attachments that a NodeENI wants on this Node, in slot order; of one of its subnets only the reason, if another's ENI
/// that was taken over keeps the slot.
pub(super) fn wanted(
    input: &Input<'_>,
    node: &NodeFacts,
    intent: &Intent,
    ask: &Ask,
    here: &[&Held],
    out: &mut Assignment,
) -> Result<Vec<Result<NewAttachment, Unplaced>>, Refused> {
    let instance = node.instance.as_ref().map_err(Refused::from)?;
    if let Some(why) = other_region(input, node) {
        return Err(why);
    }
    let mine: Vec<&Held> = here.iter().copied().filter(|held| held.nodeeni_uid == intent.uid).collect();
    let place = place::of(input, node, here, out)?;
    out.problems.extend(place.problem(node).map(|problem| (intent.uid.clone(), problem)));
    let subnets = subnets_in_zone(input, instance, place.zone, ask, out);
    if let Ok(_) | Err(Refused::NoSubnetInZone { .. }) = &subnets {
        let chosen = subnets.as_deref().unwrap_or_default();
        place::must_explain(input, (node, &place), ask, (&mine, chosen), out)?;
        names_must_stand(input, place.zone, ask, (&mine, chosen), out)?;
    }
    let subnets = subnets?;
    let groups = groups(input, &subnets, ask, out)?;
    let places: Vec<(&SubnetFacts, i32, Option<&Held>)> =
        subnets.into_iter().zip(ask.index..).map(|(s, asked)| (s, asked, adopt::pinned(&mine, &s.id))).collect();
    let kept: Vec<&Held> = places.iter().filter_map(|(_, _, pinned)| *pinned).collect();
    for (_, asked, held) in &places {
        if let Some(held) = held.filter(|held| held.slot() != (ask.card, *asked)) {
            let (nodeeni_uid, node, name) = (intent.uid.clone(), node.name.clone(), held.name.clone());
            out.pinned.push(Pinned { nodeeni_uid, node, name, index: held.request.device_index, asked: *asked });
        }
    }
    let slot = |asked: i32, pinned: Option<&Held>| match pinned {
        Some(held) => Ok(held.slot()),
        None => match kept.iter().find(|held| held.slot() == (ask.card, asked)) {
            Some(held) => Err(Refused::SlotPinned { slot: held.slot(), name: held.name.clone() }),
            None => Ok((ask.card, asked)),
        },
    };
    let request = |subnet: &SubnetFacts, (card, index): (i32, i32)| EniRequest {
        subnet_id: subnet.id.to_string(),
        subnet_cidr: Some(subnet.cidr.clone()),
        security_group_ids: groups.iter().map(ToString::to_string).collect(),
        device_index: index,
        network_card_index: card,
        description: ask.description.clone(),
        tags: ask.tags.clone(),
        ipv4_prefix_count: ask.ipv4_prefix_count,
        ipv6_address_count: ask.ipv6_address_count,
        private_ip_count: ask.private_ip_count,
    };
    for (subnet, asked, held) in &places {
        let (card, index) = held.map_or((ask.card, *asked), Held::slot);
        bounds::of_request(&request(subnet, (card, index))).map_err(Refused::OutOfBounds)?;
    }
    let new = |subnet: &SubnetFacts, slot| NewAttachment::new(node, instance, intent, request(subnet, slot), None);
    let place = |(subnet, asked, held): (&SubnetFacts, i32, Option<&Held>)| match slot(asked, held) {
        Ok(slot) => Ok(new(subnet, slot)),
        Err(why) => Err(Unplaced { subnet: subnet.id.clone(), why }),
    };
    Ok(places.into_iter().map(place).collect())
}

/// Of what is in another Region EC2 shows nothing here, and that is no sign that it is gone.
pub(super) fn other_region(input: &Input<'_>, node: &NodeFacts) -> Option<Refused> {
    let (zone, region) = (node.zone.as_ref()?, input.region?);
    let is_elsewhere = region_of(zone).is_some_and(|of| of != region);
    is_elsewhere.then(|| Refused::OtherRegion { zone: zone.clone(), region: region.to_owned() })
}

/// Those of the listed subnets that are in the node's zone, in their order.
fn subnets_in_zone<'a>(
    input: &Input<'a>,
    instance: &InstanceId,
    zone: &str,
    ask: &Ask,
    out: &mut Assignment,
) -> Result<Vec<&'a SubnetFacts>, Refused> {
    let network = input.network;
    let unresolved: Vec<&SubnetRef> = ask.subnets.iter().filter(|r| resolve(network, r) == Resolved::NotYet).collect();
    if !unresolved.is_empty() {
        let by = |reference: &&SubnetRef| match reference {
            SubnetRef::Id(_) => NetworkLook::SubnetsById,
            SubnetRef::Name(_) => NetworkLook::SubnetsByName,
        };
        let looks: Vec<NetworkLook> = unresolved.iter().map(by).collect();
        out.needs.extend(unresolved.into_iter().cloned().map(Need::Subnet));
        return Err(Refused::looking(network.failure(&looks), "its subnets", input.now, out));
    }
    let mut chosen: Vec<&SubnetFacts> = Vec::new();
    let mut zones: Vec<String> = Vec::new();
    for reference in &ask.subnets {
        let ids = match resolve(network, reference) {
            Resolved::Subnets(ids) => ids,
            Resolved::NotYet | Resolved::Missing => {
                // Asked again when the knowledge is old: somebody may create it.
                out.needs.insert(Need::Subnet(reference.clone()));
                out.recheck_at(input.now.saturating_add(input.settings.blocked_recheck).unwrap_or(Timestamp::MAX));
                return Err(Refused::SubnetMissing(reference.clone()));
            }
        };
        let mut candidates: Vec<&SubnetFacts> = ids.iter().filter_map(|id| network.subnets.get(id)).collect();
        if let SubnetRef::Name(name) = reference {
            // A name counts in the node's VPC only, which a look at the instance tells.
            let Some(vpc) = input.instance.and_then(|sight| sight.vpc.as_deref()) else {
                // EC2 may be late to show a young instance's interfaces: asked again, but not in a loop.
                return Err(look::ask(input, instance, "the node's VPC", out));
            };
            candidates.retain(|subnet| subnet.vpc == vpc);
            if candidates.is_empty() {
                return Err(Refused::SubnetMissing(reference.clone()));
            }
            if candidates.iter().filter(|subnet| subnet.zone == zone).count() > 1 {
                return Err(Refused::SubnetAmbiguous(name.clone()));
            }
        }
        for subnet in candidates {
            if subnet.zone != zone {
                zones.push(subnet.zone.clone());
            } else if !chosen.iter().any(|other| other.id == subnet.id) {
                chosen.push(subnet);
            }
        }
    }
    if chosen.is_empty() {
        zones.sort();
        zones.dedup();
        return Err(Refused::NoSubnetInZone { zone: zone.to_owned(), zones });
    }
    Ok(chosen)
}

/// How long a name must have stood for the same subnets before an ENI goes since none of them is in its zone. A tag that moves from one
/// subnet to another may be on neither for a while (cilium/cilium#32346).
pub(super) const NAME_STANDS: SignedDuration = SignedDuration::from_mins(10);

/// Where a name stands for no subnet of the zone, what is in use here in a subnet that nothing names stays until that has been so for a
/// while: whether it had that name, or the spec another one, cannot be told.
fn names_must_stand(
    input: &Input<'_>,
    zone: &str,
    ask: &Ask,
    (mine, chosen): (&[&Held], &[&SubnetFacts]),
    out: &mut Assignment,
) -> Result<(), Refused> {
    let is_unnamed = |held: &&&Held| {
        held.deleting.is_none()
            && slots::is_in_use(input, held)
            && !chosen.iter().any(|subnet| subnet.id.as_str() == held.request.subnet_id)
    };
    let Some(held) = mine.iter().find(is_unnamed) else { return Ok(()) };
    let network = input.network;
    let names = ask.subnets.iter().filter_map(|reference| match reference {
        SubnetRef::Id(_) => None,
        SubnetRef::Name(name) => Some(name),
    });
    let mut without = names.filter(|name| !chosen.iter().any(|subnet| subnet.name.as_ref() == Some(*name)));
    let stands_until = without.find_map(|name| {
        let since = network.subnets_named_since.get(name)?;
        let until = since.saturating_add(NAME_STANDS).unwrap_or(Timestamp::MAX);
        (input.now < until).then_some((name, until))
    });
    match stands_until {
        Some((name, until)) => {
            out.recheck_at(until);
            let (name, zone, subnet) = (name.clone(), zone.to_owned(), held.request.subnet_id.clone());
            Err(Refused::NameMayMove { name, zone, subnet, until })
        }
        None => Ok(()),
    }
}

/// The security groups, names resolved in the VPC of the subnets.
fn groups(
    input: &Input<'_>,
    subnets: &[&SubnetFacts],
    ask: &Ask,
    out: &mut Assignment,
) -> Result<Vec<SecurityGroupId>, Refused> {
    let vpc = subnets.first().map_or("", |subnet| subnet.vpc.as_str());
    input.network.groups(&ask.groups, &ask.group_names, vpc).map_err(|(name, found)| {
        out.needs.insert(Need::Group(name.to_owned()));
        let Some(several) = found else {
            let failure = input.network.failure(&[NetworkLook::Groups]);
            return Refused::looking(failure, "its security groups", input.now, out);
        };
        out.recheck_at(input.now.saturating_add(input.settings.blocked_recheck).unwrap_or(Timestamp::MAX));
        Refused::GroupUnresolved(name.to_owned(), several)
    })
}
