//! What a NodeENI asks for on one Node: its subnets of the zone, its groups, and the slots.

use super::{
    Assignment, Input, Need, NewAttachment, Pinned, Resolved, UnassignedReason, adoption, look, place, resolve, slots,
};
use crate::attachment::Attachment;
use crate::bounds;
use crate::nodeeni::{EniSpec, NodeEni, SubnetRef};
use crate::observed::{CatalogLookup, ObservedNode, ObservedSubnet};
use crate::place::region_of;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::EniRequest;
use multi_eni_api::ids::{InstanceId, SecurityGroupId, SubnetId};

/// A place that nothing can come to: one of the NodeENI's subnets, and why.
pub(super) struct Unplaced {
    pub subnet: SubnetId,
    pub why: UnassignedReason,
}

/// The attachments that a NodeENI wants on this Node, in slot order; of one of its subnets only the reason, if another's ENI
/// that was taken over keeps the slot.
pub(super) fn wanted(
    input: &Input<'_>,
    node: &ObservedNode,
    nodeeni: &NodeEni,
    spec: &EniSpec,
    here: &[&Attachment],
    out: &mut Assignment,
) -> Result<Vec<Result<NewAttachment, Unplaced>>, UnassignedReason> {
    let instance = node.instance.as_ref().map_err(UnassignedReason::from)?;
    if let Some(why) = other_region(input, node) {
        return Err(why);
    }
    let mine: Vec<&Attachment> =
        here.iter().copied().filter(|attachment| attachment.nodeeni_uid == nodeeni.uid).collect();
    let place = place::of(input, node, here, out)?;
    out.problems.extend(place.problem(node).map(|problem| (nodeeni.uid.clone(), problem)));
    let subnets = subnets_in_zone(input, instance, place.zone, spec, out);
    if let Ok(_) | Err(UnassignedReason::NoSubnetInZone { .. }) = &subnets {
        let chosen = subnets.as_deref().unwrap_or_default();
        place::must_explain(input, (node, &place), spec, (&mine, chosen), out)?;
        names_must_stand(input, place.zone, spec, (&mine, chosen), out)?;
    }
    let subnets = subnets?;
    let groups = groups(input, &subnets, spec, out)?;
    let places: Vec<(&ObservedSubnet, i32, Option<&Attachment>)> =
        subnets.into_iter().zip(spec.index..).map(|(s, asked)| (s, asked, adoption::pinned(&mine, &s.id))).collect();
    let kept: Vec<&Attachment> = places.iter().filter_map(|(_, _, pinned)| *pinned).collect();
    for (_, asked, attachment) in &places {
        if let Some(attachment) = attachment.filter(|attachment| attachment.slot() != (spec.card, *asked)) {
            let (nodeeni_uid, node, name) = (nodeeni.uid.clone(), node.name.clone(), attachment.name.clone());
            out.pinned.push(Pinned { nodeeni_uid, node, name, index: attachment.request.device_index, asked: *asked });
        }
    }
    let slot = |asked: i32, pinned: Option<&Attachment>| match pinned {
        Some(attachment) => Ok(attachment.slot()),
        None => match kept.iter().find(|attachment| attachment.slot() == (spec.card, asked)) {
            Some(attachment) => {
                Err(UnassignedReason::SlotPinned { slot: attachment.slot(), name: attachment.name.clone() })
            }
            None => Ok((spec.card, asked)),
        },
    };
    let request = |subnet: &ObservedSubnet, (card, index): (i32, i32)| EniRequest {
        subnet_id: subnet.id.to_string(),
        subnet_cidr: Some(subnet.cidr.clone()),
        security_group_ids: groups.iter().map(ToString::to_string).collect(),
        device_index: index,
        network_card_index: card,
        description: spec.description.clone(),
        tags: spec.tags.clone(),
        ipv4_prefix_count: spec.ipv4_prefix_count,
        ipv6_address_count: spec.ipv6_address_count,
        private_ip_count: spec.private_ip_count,
    };
    for (subnet, asked, attachment) in &places {
        let (card, index) = attachment.map_or((spec.card, *asked), Attachment::slot);
        bounds::of_request(&request(subnet, (card, index))).map_err(UnassignedReason::OutOfBounds)?;
    }
    let new = |subnet: &ObservedSubnet, slot| NewAttachment::new(node, instance, nodeeni, request(subnet, slot), None);
    let place = |(subnet, asked, attachment): (&ObservedSubnet, i32, Option<&Attachment>)| match slot(asked, attachment)
    {
        Ok(slot) => Ok(new(subnet, slot)),
        Err(why) => Err(Unplaced { subnet: subnet.id.clone(), why }),
    };
    Ok(places.into_iter().map(place).collect())
}

/// Of what is in another Region EC2 shows nothing here, and that is no sign that it is gone.
pub(super) fn other_region(input: &Input<'_>, node: &ObservedNode) -> Option<UnassignedReason> {
    let (zone, region) = (node.zone.as_ref()?, input.region?);
    let is_elsewhere = region_of(zone).is_some_and(|of| of != region);
    is_elsewhere.then(|| UnassignedReason::OtherRegion { zone: zone.clone(), region: region.to_owned() })
}

/// Those of the listed subnets that are in the node's zone, in their order.
fn subnets_in_zone<'a>(
    input: &Input<'a>,
    instance: &InstanceId,
    zone: &str,
    spec: &EniSpec,
    out: &mut Assignment,
) -> Result<Vec<&'a ObservedSubnet>, UnassignedReason> {
    let catalog = input.catalog;
    let unresolved: Vec<&SubnetRef> = spec.subnets.iter().filter(|r| resolve(catalog, r) == Resolved::NotYet).collect();
    if !unresolved.is_empty() {
        let by = |reference: &&SubnetRef| match reference {
            SubnetRef::Id(_) => CatalogLookup::SubnetsById,
            SubnetRef::Name(_) => CatalogLookup::SubnetsByName,
        };
        let looks: Vec<CatalogLookup> = unresolved.iter().map(by).collect();
        out.needs.extend(unresolved.into_iter().cloned().map(Need::Subnet));
        return Err(UnassignedReason::looking(catalog.failure(&looks), "its subnets", input.now, out));
    }
    let mut chosen: Vec<&ObservedSubnet> = Vec::new();
    let mut zones: Vec<String> = Vec::new();
    for reference in &spec.subnets {
        let ids = match resolve(catalog, reference) {
            Resolved::Subnets(ids) => ids,
            Resolved::NotYet | Resolved::Missing => {
                // Asked again when the knowledge is old: somebody may create it.
                out.needs.insert(Need::Subnet(reference.clone()));
                out.recheck_at(input.now.saturating_add(input.settings.blocked_recheck).unwrap_or(Timestamp::MAX));
                return Err(UnassignedReason::SubnetMissing(reference.clone()));
            }
        };
        let mut candidates: Vec<&ObservedSubnet> = ids.iter().filter_map(|id| catalog.subnets.get(id)).collect();
        if let SubnetRef::Name(name) = reference {
            // A name counts in the node's VPC only, which a look at the instance tells.
            let Some(vpc) = input.instance.and_then(|interfaces| interfaces.vpc.as_deref()) else {
                // EC2 may be late to show a young instance's interfaces: asked again, but not in a loop.
                return Err(look::spec(input, instance, "the node's VPC", out));
            };
            candidates.retain(|subnet| subnet.vpc == vpc);
            if candidates.is_empty() {
                return Err(UnassignedReason::SubnetMissing(reference.clone()));
            }
            if candidates.iter().filter(|subnet| subnet.zone == zone).count() > 1 {
                return Err(UnassignedReason::SubnetAmbiguous(name.clone()));
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
        return Err(UnassignedReason::NoSubnetInZone { zone: zone.to_owned(), zones });
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
    spec: &EniSpec,
    (mine, chosen): (&[&Attachment], &[&ObservedSubnet]),
    out: &mut Assignment,
) -> Result<(), UnassignedReason> {
    let is_unnamed = |attachment: &&&Attachment| {
        attachment.deleting.is_none()
            && slots::is_in_use(input, attachment)
            && !chosen.iter().any(|subnet| subnet.id.as_str() == attachment.request.subnet_id)
    };
    let Some(attachment) = mine.iter().find(is_unnamed) else { return Ok(()) };
    let catalog = input.catalog;
    let names = spec.subnets.iter().filter_map(|reference| match reference {
        SubnetRef::Id(_) => None,
        SubnetRef::Name(name) => Some(name),
    });
    let mut without = names.filter(|name| !chosen.iter().any(|subnet| subnet.name.as_ref() == Some(*name)));
    let stands_until = without.find_map(|name| {
        let since = catalog.subnets_named_since.get(name)?;
        let until = since.saturating_add(NAME_STANDS).unwrap_or(Timestamp::MAX);
        (input.now < until).then_some((name, until))
    });
    match stands_until {
        Some((name, until)) => {
            out.recheck_at(until);
            let (name, zone, subnet) = (name.clone(), zone.to_owned(), attachment.request.subnet_id.clone());
            Err(UnassignedReason::NameMayMove { name, zone, subnet, until })
        }
        None => Ok(()),
    }
}

/// The security groups, names resolved in the VPC of the subnets.
fn groups(
    input: &Input<'_>,
    subnets: &[&ObservedSubnet],
    spec: &EniSpec,
    out: &mut Assignment,
) -> Result<Vec<SecurityGroupId>, UnassignedReason> {
    let vpc = subnets.first().map_or("", |subnet| subnet.vpc.as_str());
    input.catalog.groups(&spec.groups, &spec.group_names, vpc).map_err(|(name, found)| {
        out.needs.insert(Need::Group(name.to_owned()));
        let Some(several) = found else {
            let failure = input.catalog.failure(&[CatalogLookup::Groups]);
            return UnassignedReason::looking(failure, "its security groups", input.now, out);
        };
        out.recheck_at(input.now.saturating_add(input.settings.blocked_recheck).unwrap_or(Timestamp::MAX));
        UnassignedReason::GroupUnresolved(name.to_owned(), several)
    })
}
