//! Determines the desired ENIAttachments of a NodeENI on one Node: its subnets in the node's zone, its security groups and the
//! slots. It resolves names with the catalog only, and asks for the lookups that are missing. It does not check whether the slots
//! are free.

use super::adoption::pinned;
use super::assignment::{Need, Pinned};
use super::input::Input;
use super::listed_subnets::candidates;
use super::new_attachment::NewAttachment;
use super::nodeeni_on_node::NodeEniOnNode;
use super::planner::NodePlanner;
use super::unassigned::UnassignedReason;
use crate::account_and_region::region_of;
use crate::attachment::Attachment;
use crate::nodeeni::{EniSpec, SubnetRef};
use crate::observed::{CatalogLookup, Ec2Catalog, Location, ObservedNode, ObservedSubnet};
use crate::problem::Problem;
use crate::spec_validation;
use multi_eni_api::EniRequest;
use multi_eni_api::ids::{InstanceId, SecurityGroupId, SubnetId};
use std::collections::BTreeSet;

/// A subnet of the NodeENI that can get no slot on the node, and why.
pub(super) struct Unplaced {
    pub subnet: SubnetId,
    pub why: UnassignedReason,
}

/// A subnet that gets an ENI on the node.
struct Place<'p> {
    subnet: &'p ObservedSubnet,
    /// The device index, or why there is none now.
    asked: Result<i32, UnassignedReason>,
    /// The adopted ENI of the subnet, which keeps its slot.
    pinned: Option<&'p Attachment>,
}

impl Place<'_> {
    /// The slot, unless an adopted ENI of another subnet keeps it. `kept`: the adopted ENIs.
    fn slot(self, card: i32, kept: &[&Attachment]) -> Result<(i32, i32), UnassignedReason> {
        if let Some(attachment) = self.pinned {
            return Ok(attachment.slot());
        }
        let slot = (card, self.asked?);
        match kept.iter().find(|attachment| attachment.slot() == slot) {
            Some(attachment) => Err(UnassignedReason::SlotPinned { slot, name: attachment.name.clone() }),
            None => Ok(slot),
        }
    }
}

impl<'a> NodePlanner<'a> {
    /// The desired ENIAttachments of a NodeENI on this Node, in slot order. A subnet whose slot is kept by an adopted ENI of
    /// another subnet has only the reason.
    pub(super) fn desired(
        &mut self,
        on: NodeEniOnNode<'_>,
    ) -> Result<Vec<Result<NewAttachment, Unplaced>>, UnassignedReason> {
        let NodeEniOnNode { node, nodeeni, spec, mine } = on;
        let instance = self.instance_of(node)?;
        let subnets = match self.subnets_of(on) {
            Ok(subnets) => subnets,
            Err(why) => {
                self.report_groups_beside(on, &why);
                return Err(why);
            }
        };
        let vpc = self.vpc_of_groups(instance, &subnets)?;
        let groups = match self.groups(on, vpc) {
            // The node may be in another VPC than the subnets, or on an Outpost that has none of them.
            Err(why) if self.input.instance.is_none() && !why.is_transient() => {
                return Err(self.await_lookup(instance, "the EC2 lookup of the node's VPC"));
            }
            groups => groups?,
        };
        let indexes = self.device_indexes(on, &subnets);
        let places: Vec<Place<'_>> = subnets
            .into_iter()
            .zip(indexes)
            .map(|(subnet, asked)| Place { subnet, asked, pinned: pinned(mine, &subnet.id) })
            .collect();
        self.report_pinned(on, &places);
        for place in &places {
            let asked = place.asked.as_ref().ok().map(|asked| (spec.card, *asked));
            if let Some(slot) = place.pinned.map(Attachment::slot).or(asked) {
                let request = create_request(spec, &groups, place.subnet, slot);
                spec_validation::of_request(&request).map_err(UnassignedReason::OutOfBounds)?;
            }
        }
        let kept: Vec<&Attachment> = places.iter().filter_map(|place| place.pinned).collect();
        let new = |place: Place<'_>| {
            let subnet = place.subnet;
            match place.slot(spec.card, &kept) {
                Ok(slot) => {
                    let request = create_request(spec, &groups, subnet, slot);
                    Ok(NewAttachment::new(node, instance, nodeeni, request, None))
                }
                Err(why) => Err(Unplaced { subnet: subnet.id.clone(), why }),
            }
        };
        Ok(places.into_iter().map(new).collect())
    }

    /// The subnets that get an ENI on this Node, in slot order. Err: the NodeENI does not cover the Node, or it is not known which
    /// subnets get one.
    pub(super) fn subnets_of(&mut self, on: NodeEniOnNode<'_>) -> Result<Vec<&'a ObservedSubnet>, UnassignedReason> {
        let NodeEniOnNode { node, nodeeni, spec, mine } = on;
        let instance = self.instance_of(node)?;
        if let Some(why) = other_region(&self.input, node) {
            return Err(why);
        }
        self.check_operator(node)?;
        let place = self.place_of(node)?;
        self.plan.problems.extend(place.problem(node).map(|problem| (nodeeni.uid.clone(), problem)));
        let (subnets, missing) = if spec.subnet_terms.is_empty() {
            self.subnets_in_zone(instance, &place, spec)?
        } else {
            (self.subnet_by_terms((node, nodeeni), &place, spec, mine)?, None)
        };
        if let (Some(reference), true) = (&missing, subnets.is_empty()) {
            return Err(UnassignedReason::SubnetMissing((*reference).clone()));
        }
        self.check_unchosen_subnets((node, &place), spec, (mine, &subnets))?;
        self.check_subnet_names(on, place.zone, &subnets)?;
        if subnets.is_empty() {
            // A subnet that EC2 does not know may be meant for the ENI that exists: that would be replaced, and not removed.
            let is_used =
                mine.iter().any(|attachment| attachment.deleting.is_none() && self.input.is_in_use(attachment));
            if let Some(id) = self.input.catalog.unknown_term(&spec.subnet_terms).filter(|_| is_used) {
                return Err(UnassignedReason::SubnetMissing(SubnetRef::Id(id.clone())));
            }
            return Err(no_subnet_in_zone(self.input.catalog, spec, place.location()));
        }
        if let Some(reference) = missing {
            self.beside_a_missing_subnet(on, reference, &subnets)?;
        }
        Ok(subnets)
    }

    /// Reports the adopted ENIs that stay at another device index than the spec asks for.
    fn report_pinned(&mut self, on: NodeEniOnNode<'_>, places: &[Place<'_>]) {
        for Place { asked, pinned, .. } in places {
            if let (Ok(asked), Some(attachment)) = (asked, pinned)
                && attachment.slot() != (on.spec.card, *asked)
            {
                self.plan.pinned.push(Pinned {
                    nodeeni_uid: on.nodeeni.uid.clone(),
                    node: on.node.name.clone(),
                    name: attachment.name.clone(),
                    index: attachment.request.device_index,
                    asked: *asked,
                });
            }
        }
    }

    /// Reports security groups that cannot be resolved while the node waits for its subnet: a user can correct both at once.
    fn report_groups_beside(&mut self, on: NodeEniOnNode<'_>, why: &UnassignedReason) {
        let is_of_subnets = matches!(
            why,
            UnassignedReason::SubnetUnconfirmed { .. }
                | UnassignedReason::SubnetMissing(_)
                | UnassignedReason::NoSubnetMatches(_)
        );
        let Some(vpc) = self.input.instance.and_then(|interfaces| interfaces.vpc.clone()).filter(|_| is_of_subnets)
        else {
            return;
        };
        if let Err(why) = self.groups(on, &vpc)
            && !why.is_transient()
        {
            let (reason, message) = (why.reason(), why.sentence(self.input.now));
            let problem = Problem { reason, message, node: Some(on.node.name.clone()) };
            self.plan.problems.push((on.nodeeni.uid.clone(), problem));
        }
    }

    /// The VPC in which the security groups are resolved: the node's. A subnet of another VPC gets no ENI, so it must not decide the
    /// groups of the other subnets. Until a lookup shows the node's VPC, that of the subnets counts if they have the same.
    fn vpc_of_groups(
        &mut self,
        instance: &InstanceId,
        subnets: &[&'a ObservedSubnet],
    ) -> Result<&'a str, UnassignedReason> {
        let of_node = self.input.instance.and_then(|interfaces| interfaces.vpc.as_deref());
        let mut others = subnets.iter().map(|subnet| subnet.vpc.as_str());
        match of_node.or_else(|| others.next()) {
            None => Ok(""),
            Some(vpc) if of_node.is_some() || others.all(|other| other == vpc) => Ok(vpc),
            Some(_) => Err(self.await_lookup(instance, "the EC2 lookup of the node's VPC")),
        }
    }

    /// The IDs of the security groups. Names are resolved in this VPC.
    fn groups(&mut self, on: NodeEniOnNode<'_>, vpc: &str) -> Result<Vec<SecurityGroupId>, UnassignedReason> {
        let (input, spec) = (self.input, on.spec);
        if !spec.group_terms.is_empty() {
            return self.groups_of_terms(on, vpc);
        }
        if let Some(selected) = input.catalog.listed_groups(spec, vpc) {
            self.report_kept_groups(on, vpc, &selected);
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

/// The Create request of an ENI in this subnet and slot.
fn create_request(
    spec: &EniSpec,
    groups: &[SecurityGroupId],
    subnet: &ObservedSubnet,
    (card, index): (i32, i32),
) -> EniRequest {
    EniRequest {
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
    }
}

/// The reason for a node in whose zone, or on whose Outpost, no subnet of the list is.
fn no_subnet_in_zone(catalog: &Ec2Catalog, spec: &EniSpec, node: Location) -> UnassignedReason {
    let subnets = spec.subnets.iter().flat_map(|reference| candidates(catalog, reference));
    let subnets = subnets.chain(catalog.selected_subnets(&spec.subnet_terms));
    let subnets: BTreeSet<Location> = subnets.map(ObservedSubnet::location).collect();
    UnassignedReason::NoSubnetInZone { node, subnets: subnets.into_iter().collect() }
}

/// The reason for a node in another Region than the one that is called. EC2 shows nothing of such a node here, which does not
/// prove that the node's ENIs are gone.
pub(super) fn other_region(input: &Input<'_>, node: &ObservedNode) -> Option<UnassignedReason> {
    let (zone, region) = (node.zone.as_ref()?, input.region?);
    let is_elsewhere = region_of(zone).is_some_and(|of| of != region);
    is_elsewhere.then(|| UnassignedReason::OtherRegion { zone: zone.clone(), region: region.to_owned() })
}
