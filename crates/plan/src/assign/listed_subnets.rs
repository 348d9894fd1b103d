//! The subnets of `subnetIDs` and `subnetNames` that are in the node's zone. An entry that EC2 does not know, and a name that has just
//! moved, change nothing for ENIs that exist. This file asks for the lookups that are missing, and chooses no slot.

use super::assignment::Need;
use super::nodeeni_on_node::NodeEniOnNode;
use super::planner::NodePlanner;
use super::resolved::{Resolved, resolve};
use super::unassigned::UnassignedReason;
use super::unknown_entry::EntryOf;
use super::zone::Place;
use crate::attachment::Attachment;
use crate::nodeeni::{EniSpec, SubnetRef};
use crate::observed::{CatalogLookup, Ec2Catalog, ObservedEni, ObservedSubnet};
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::DeviceIndexPolicy;
use multi_eni_api::ids::InstanceId;

/// How long a name must have stood for the same subnets before an ENI is deleted because none of them is in its zone. A tag that
/// is moved from one subnet to another may be on neither for a while (cilium/cilium#32346).
pub(super) const NAME_STANDS: SignedDuration = SignedDuration::from_mins(10);

impl<'a> NodePlanner<'a> {
    /// The listed subnets that are in the node's zone and on its Outpost, in the order of the list, and the first entry that EC2 does
    /// not know.
    pub(super) fn subnets_in_zone<'s>(
        &mut self,
        instance: &InstanceId,
        place: &Place<'_>,
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
        if place.is_undecided(spec.subnets.iter().flat_map(|reference| candidates(catalog, reference))) {
            return Err(self.await_lookup(instance, "the EC2 lookup of the node's Outpost"));
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
                if candidates.iter().filter(|subnet| place.takes(subnet)).count() > 1 {
                    return Err(UnassignedReason::SubnetAmbiguous(name.clone()));
                }
            }
            if candidates.is_empty() {
                // Look the subnet up again when this result is old: a user may create the subnet.
                self.plan.needs.insert(Need::Subnet(reference.clone()));
                self.recheck_later();
                missing = missing.or(Some(reference));
            }
            for subnet in candidates.into_iter().filter(|subnet| place.takes(subnet)) {
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
    pub(super) fn beside_a_missing_subnet(
        &mut self,
        on: NodeEniOnNode<'_>,
        missing: &SubnetRef,
        chosen: &[&ObservedSubnet],
    ) -> Result<(), UnassignedReason> {
        let NodeEniOnNode { node: _, nodeeni, spec, mine } = on;
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
            return Err(UnassignedReason::SubnetMissing(missing.clone()));
        }
        self.report_unknown_entry(nodeeni, missing, EntryOf::List);
        Ok(())
    }

    /// Keeps the ENIs in use for a while if a name stands for no subnet of the zone. It is not known whether the subnet of such
    /// an ENI had this name until now, or the spec had another name. So the ENI stays until the name has stood for the same
    /// subnets for [`NAME_STANDS`].
    pub(super) fn check_subnet_names(
        &mut self,
        on: NodeEniOnNode<'_>,
        zone: &str,
        chosen: &[&ObservedSubnet],
    ) -> Result<(), UnassignedReason> {
        let (input, spec, mine) = (self.input, on.spec, on.mine);
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
}

/// The subnets that an entry of the list stands for. None: EC2 knows none.
pub(super) fn candidates<'a>(catalog: &'a Ec2Catalog, reference: &SubnetRef) -> Vec<&'a ObservedSubnet> {
    match resolve(catalog, reference) {
        Resolved::Subnets(ids) => ids.iter().filter_map(|id| catalog.subnets.get(id)).collect(),
        Resolved::NotYet | Resolved::Missing => Vec::new(),
    }
}
