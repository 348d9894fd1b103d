//! Determines the desired ENIAttachments of a NodeENI on one Node: its subnets in the node's zone, its security groups and the
//! slots. It resolves names with the catalog only, and asks for the lookups that are missing. It does not check whether the slots
//! are free.

use super::adoption::pinned;
use super::assignment::{Need, Pinned};
use super::input::Input;
use super::new_attachment::NewAttachment;
use super::planner::NodePlanner;
use super::resolved::{Resolved, resolve};
use super::unassigned::UnassignedReason;
use crate::account_and_region::region_of;
use crate::attachment::Attachment;
use crate::nodeeni::{EniSpec, NodeEni, SubnetRef};
use crate::observed::{CatalogLookup, Ec2Catalog, ObservedEni, ObservedNode, ObservedSubnet};
use crate::problem::Problem;
use crate::spec_validation;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::{InstanceId, SecurityGroupId, SubnetId};
use multi_eni_api::{DeviceIndexPolicy, EniRequest};
use std::collections::BTreeSet;

/// A subnet of the NodeENI that can get no slot on the node, and why.
pub(super) struct Unplaced {
    pub subnet: SubnetId,
    pub why: UnassignedReason,
}

impl<'a> NodePlanner<'a> {
    /// The desired ENIAttachments of a NodeENI on this Node, in slot order. A subnet whose slot is kept by an adopted ENI of
    /// another subnet has only the reason.
    pub(super) fn desired(
        &mut self,
        node: &ObservedNode,
        nodeeni: &NodeEni,
        spec: &EniSpec,
    ) -> Result<Vec<Result<NewAttachment, Unplaced>>, UnassignedReason> {
        let input = self.input;
        let instance = self.instance_of(node)?;
        if let Some(why) = other_region(&input, node) {
            return Err(why);
        }
        self.check_operator(node)?;
        let mine: Vec<&Attachment> =
            self.here.iter().copied().filter(|attachment| attachment.nodeeni_uid == nodeeni.uid).collect();
        let place = self.place_of(node)?;
        self.plan.problems.extend(place.problem(node).map(|problem| (nodeeni.uid.clone(), problem)));
        let (subnets, missing) = if spec.subnet_terms.is_empty() {
            self.subnets_in_zone(instance, place.zone, spec)?
        } else {
            (self.subnet_by_terms((node, nodeeni), place.zone, spec, &mine)?, None)
        };
        if let (Some(reference), true) = (&missing, subnets.is_empty()) {
            return Err(UnassignedReason::SubnetMissing((*reference).clone()));
        }
        self.check_unchosen_subnets((node, &place), spec, (&mine, &subnets))?;
        self.check_subnet_names(place.zone, spec, (&mine, &subnets))?;
        if subnets.is_empty() {
            return Err(no_subnet_in_zone(input.catalog, spec, place.zone));
        }
        if let Some(reference) = missing {
            self.beside_a_missing_subnet((node, nodeeni), reference, spec, (&mine, &subnets))?;
        }
        let groups = self.groups(&subnets, spec)?;
        let indexes = self.device_indexes((node, nodeeni), spec, &mine, &subnets);
        let places: Vec<(&ObservedSubnet, Result<i32, UnassignedReason>, Option<&Attachment>)> =
            subnets.into_iter().zip(indexes).map(|(s, asked)| (s, asked, pinned(&mine, &s.id))).collect();
        let kept: Vec<&Attachment> = places.iter().filter_map(|(_, _, pinned)| *pinned).collect();
        for (_, asked, attachment) in &places {
            if let (Ok(asked), Some(attachment)) = (asked, attachment)
                && attachment.slot() != (spec.card, *asked)
            {
                let (nodeeni_uid, node, name) = (nodeeni.uid.clone(), node.name.clone(), attachment.name.clone());
                self.plan.pinned.push(Pinned {
                    nodeeni_uid,
                    node,
                    name,
                    index: attachment.request.device_index,
                    asked: *asked,
                });
            }
        }
        let slot = |asked: Result<i32, UnassignedReason>, pinned: Option<&Attachment>| match (pinned, asked) {
            (Some(attachment), _) => Ok(attachment.slot()),
            (None, Err(why)) => Err(why),
            (None, Ok(asked)) => match kept.iter().find(|attachment| attachment.slot() == (spec.card, asked)) {
                Some(attachment) => {
                    Err(UnassignedReason::SlotPinned { slot: attachment.slot(), name: attachment.name.clone() })
                }
                None => Ok((spec.card, asked)),
            },
        };
        let request = |subnet: &ObservedSubnet, (card, index): (i32, i32)| EniRequest {
            subnet_id: subnet.id.to_string(),
            subnet_cidr: Some(subnet.cidr.clone()).filter(|cidr| !cidr.is_empty()),
            security_group_ids: groups.iter().map(ToString::to_string).collect(),
            device_index: index,
            network_card_index: card,
            description: spec.description.clone(),
            tags: spec.tags.clone(),
            ipv4_prefix_count: spec.ipv4_prefix_count,
            ipv6_address_count: spec.ipv6_address_count,
            ipv6_prefix_count: spec.ipv6_prefix_count,
            private_ip_count: spec.private_ip_count,
            connection_tracking: Some(spec.connection_tracking).filter(|timeouts| !timeouts.is_empty()),
        };
        for (subnet, asked, attachment) in &places {
            let asked = asked.as_ref().ok().map(|asked| (spec.card, *asked));
            if let Some(slot) = attachment.map(Attachment::slot).or(asked) {
                spec_validation::of_request(&request(subnet, slot)).map_err(UnassignedReason::OutOfBounds)?;
            }
        }
        let new =
            |subnet: &ObservedSubnet, slot| NewAttachment::new(node, instance, nodeeni, request(subnet, slot), None);
        let place = |(subnet, asked, attachment): (&ObservedSubnet, _, _)| match slot(asked, attachment) {
            Ok(slot) => Ok(new(subnet, slot)),
            Err(why) => Err(Unplaced { subnet: subnet.id.clone(), why }),
        };
        Ok(places.into_iter().map(place).collect())
    }

    /// The listed subnets that are in the node's zone, in the order of the list, and the first entry that EC2 does not know.
    fn subnets_in_zone<'s>(
        &mut self,
        instance: &InstanceId,
        zone: &str,
        spec: &'s EniSpec,
    ) -> Result<(Vec<&'a ObservedSubnet>, Option<&'s SubnetRef>), UnassignedReason> {
        let input = self.input;
        let catalog = input.catalog;
        let unresolved: Vec<&SubnetRef> =
            spec.subnets.iter().filter(|r| resolve(catalog, r) == Resolved::NotYet).collect();
        if !unresolved.is_empty() {
            let by = |reference: &&SubnetRef| match reference {
                SubnetRef::Id(_) => CatalogLookup::SubnetsById,
                SubnetRef::Name(_) => CatalogLookup::SubnetsByName,
            };
            let lookups: Vec<CatalogLookup> = unresolved.iter().map(by).collect();
            self.plan.needs.extend(unresolved.into_iter().cloned().map(Need::Subnet));
            return Err(self.lookup_pending(catalog.failure(&lookups), "the EC2 lookup of the NodeENI's subnets"));
        }
        let mut chosen: Vec<&ObservedSubnet> = Vec::new();
        let mut missing = None;
        for reference in &spec.subnets {
            let mut candidates = candidates(catalog, reference);
            if let SubnetRef::Name(name) = reference
                && !candidates.is_empty()
            {
                // A name is resolved in the node's VPC only, and a lookup of the instance shows that VPC.
                let Some(vpc) = input.instance.and_then(|interfaces| interfaces.vpc.as_deref()) else {
                    // EC2 may show the interfaces of a new instance late. `await_lookup` limits how often the instance is looked
                    // up.
                    return Err(self.await_lookup(instance, "the EC2 lookup of the node's VPC"));
                };
                candidates.retain(|subnet| subnet.vpc == vpc);
                if candidates.iter().filter(|subnet| subnet.zone == zone).count() > 1 {
                    return Err(UnassignedReason::SubnetAmbiguous(name.clone()));
                }
            }
            if candidates.is_empty() {
                // Look the subnet up again when this result is old: a user may create the subnet.
                self.plan.needs.insert(Need::Subnet(reference.clone()));
                self.recheck_later();
                missing = missing.or(Some(reference));
            }
            for subnet in candidates.into_iter().filter(|subnet| subnet.zone == zone) {
                if !chosen.iter().any(|other| other.id == subnet.id) {
                    chosen.push(subnet);
                }
            }
        }
        Ok((chosen, missing))
    }

    /// Serves a node from the other subnets of its zone while EC2 does not know one entry of the list, and reports that entry.
    /// The entry may stand for an ENI that exists, and its place in the list decides the device indexes of those that follow. So
    /// nothing changes on a node whose ENIs the remaining entries do not describe exactly.
    fn beside_a_missing_subnet(
        &mut self,
        (node, nodeeni): (&ObservedNode, &NodeEni),
        missing: &SubnetRef,
        spec: &EniSpec,
        (mine, chosen): (&[&Attachment], &[&ObservedSubnet]),
    ) -> Result<(), UnassignedReason> {
        let reason = UnassignedReason::SubnetMissing(missing.clone());
        let index_of =
            |subnet: &str| chosen.iter().zip(spec.index..).find(|(s, _)| s.id.as_str() == subnet).map(|of| of.1);
        let is_any = spec.index_policy == DeviceIndexPolicy::HighestFree;
        let is_slot_of = |index: i32, slot: (i32, i32)| slot.0 == spec.card && (is_any || slot.1 == index);
        let is_described = |attachment: &&Attachment| {
            let index = index_of(&attachment.request.subnet_id);
            let keeps_its_slot = attachment.adopted.is_some() && !attachment.recovered;
            index.is_some_and(|index| keeps_its_slot || is_slot_of(index, attachment.slot()))
        };
        // The ENIAttachment of an ENI may be lost.
        let is_known = |eni: &ObservedEni| {
            let index = eni.subnet.as_ref().and_then(|subnet| index_of(subnet.as_str()));
            let at = eni.attachment.as_ref();
            (self.input.is_held)(eni)
                || index.is_some_and(|index| at.is_some_and(|at| is_slot_of(index, (at.card, at.index))))
        };
        let is_its_own =
            |eni: &&ObservedEni| eni.is_of(self.input.cluster) && eni.names_nodeeni(&nodeeni.uid, &nodeeni.name);
        let on_instance = self.input.instance.into_iter().flat_map(|interfaces| &interfaces.enis);
        let live = || mine.iter().filter(|attachment| attachment.deleting.is_none());
        if !live().all(is_described) || !on_instance.filter(is_its_own).all(is_known) {
            return Err(reason);
        }
        let (reason, message) = (reason.reason(), reason.to_string());
        self.plan.problems.push((nodeeni.uid.clone(), Problem { reason, message, node: Some(node.name.clone()) }));
        Ok(())
    }

    /// Keeps the ENIs in use for a while if a name stands for no subnet of the zone. It is not known whether the subnet of such
    /// an ENI had this name until now, or the spec had another name. So the ENI stays until the name has stood for the same
    /// subnets for [`NAME_STANDS`].
    fn check_subnet_names(
        &mut self,
        zone: &str,
        spec: &EniSpec,
        (mine, chosen): (&[&Attachment], &[&ObservedSubnet]),
    ) -> Result<(), UnassignedReason> {
        let input = self.input;
        let is_unnamed = |attachment: &&&Attachment| {
            attachment.deleting.is_none()
                && input.is_in_use(attachment)
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
                self.plan.recheck_at(until);
                let (name, zone, subnet) = (name.clone(), zone.to_owned(), attachment.request.subnet_id.clone());
                Err(UnassignedReason::NameMayMove { name, zone, subnet, until })
            }
            None => Ok(()),
        }
    }

    /// The IDs of the security groups. Names are resolved in the VPC of the subnets.
    fn groups(
        &mut self,
        subnets: &[&ObservedSubnet],
        spec: &EniSpec,
    ) -> Result<Vec<SecurityGroupId>, UnassignedReason> {
        let input = self.input;
        let vpc = subnets.first().map_or("", |subnet| subnet.vpc.as_str());
        if !spec.group_terms.is_empty() {
            return self.groups_of_terms(&spec.group_terms, vpc);
        }
        input.catalog.groups(&spec.groups, &spec.group_names, vpc).map_err(|(name, found)| {
            self.plan.needs.insert(Need::Group(name.to_owned()));
            let Some(several) = found else {
                let failure = input.catalog.failure(&[CatalogLookup::Groups]);
                return self.lookup_pending(failure, "the EC2 lookup of the NodeENI's security groups");
            };
            self.recheck_later();
            UnassignedReason::GroupUnresolved(name.to_owned(), several)
        })
    }
}

/// The subnets that an entry of the list stands for. None: EC2 knows none.
fn candidates<'a>(catalog: &'a Ec2Catalog, reference: &SubnetRef) -> Vec<&'a ObservedSubnet> {
    match resolve(catalog, reference) {
        Resolved::Subnets(ids) => ids.iter().filter_map(|id| catalog.subnets.get(id)).collect(),
        Resolved::NotYet | Resolved::Missing => Vec::new(),
    }
}

/// The reason for a node in whose zone no subnet of the list is.
fn no_subnet_in_zone(catalog: &Ec2Catalog, spec: &EniSpec, zone: &str) -> UnassignedReason {
    let subnets = spec.subnets.iter().flat_map(|reference| candidates(catalog, reference));
    let subnets = subnets.chain(catalog.selected_subnets(&spec.subnet_terms));
    let zones: BTreeSet<&str> = subnets.map(|subnet| subnet.zone.as_str()).collect();
    let zones = zones.into_iter().map(str::to_owned).collect();
    UnassignedReason::NoSubnetInZone { zone: zone.to_owned(), zones }
}

/// The reason for a node in another Region than the one that is called. EC2 shows nothing of such a node here, which does not
/// prove that the node's ENIs are gone.
pub(super) fn other_region(input: &Input<'_>, node: &ObservedNode) -> Option<UnassignedReason> {
    let (zone, region) = (node.zone.as_ref()?, input.region?);
    let is_elsewhere = region_of(zone).is_some_and(|of| of != region);
    is_elsewhere.then(|| UnassignedReason::OtherRegion { zone: zone.clone(), region: region.to_owned() })
}

/// How long a name must have stood for the same subnets before an ENI is deleted because none of them is in its zone. A tag that
/// is moved from one subnet to another may be on neither for a while (cilium/cilium#32346).
pub(super) const NAME_STANDS: SignedDuration = SignedDuration::from_mins(10);
