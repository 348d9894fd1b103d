//! Determines the Availability Zone and the Outpost of a node. The sources are, in this order: EC2 by the primary interface, EC2 by the ENIs that
//! are attached, the providerID, and the label, which any user can change. An instance never changes its zone, so sources that
//! differ are an input error: the error is reported, and no ENI is removed because of it. For the Outpost the sources are those of EC2
//! only, and also the ENIs of this cluster on the instance whose ENIAttachment is lost.

use super::planner::NodePlanner;
use super::resolved::{Resolved, resolve};
use super::unassigned::{UnassignedReason, ZONE_CONTRADICTION};
use crate::attachment::Attachment;
use crate::nodeeni::EniSpec;
use crate::observed::{AttachmentState, Location, NodeOutpost, ObservedEni, ObservedNode, ObservedSubnet, ZONE_LABEL};
use crate::problem::Problem;
use crate::selected_subnets::Selection;
use multi_eni_api::conditions::{self, types};
use multi_eni_api::ids::SubnetId;

/// A source of a node's zone, the most reliable first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source<'a> {
    Primary,
    Attached(&'a str),
    Eni(&'a str),
    ProviderId,
    Label,
}

impl Source<'_> {
    fn is_ec2(self) -> bool {
        matches!(self, Self::Primary | Self::Attached(_) | Self::Eni(_))
    }
}

impl std::fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Primary => f.write_str("EC2 (its primary interface)"),
            Self::Attached(name) => write!(f, "EC2 (the attached ENI of ENIAttachment {name})"),
            Self::Eni(id) => write!(f, "EC2 (the attached ENI {id})"),
            Self::ProviderId => f.write_str("its providerID"),
            Self::Label => write!(f, "its label {ZONE_LABEL}"),
        }
    }
}

/// The zone and the Outpost of a node, and the contradiction if a source names another zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place<'a> {
    /// The zone that counts.
    pub zone: &'a str,
    /// Its Outpost.
    pub outpost: NodeOutpost<'a>,
    /// Another source names another zone: a sentence for the condition.
    pub contradiction: Option<String>,
}

impl Place<'_> {
    /// Whether an ENI of this subnet can be attached to the node, by zone and Outpost.
    pub fn takes(&self, subnet: &ObservedSubnet) -> bool {
        subnet.zone == self.zone && self.outpost.takes(subnet.outpost.as_deref())
    }

    /// Whether the node's Outpost must be known to choose among these subnets. Nearly all subnets are on no Outpost.
    pub fn is_undecided<'s>(&self, mut subnets: impl Iterator<Item = &'s ObservedSubnet>) -> bool {
        self.outpost == NodeOutpost::NotShown
            && subnets.any(|subnet| subnet.zone == self.zone && subnet.outpost.is_some())
    }

    /// The place for users.
    pub fn location(&self) -> Location {
        Location { zone: self.zone.to_owned(), outpost: self.outpost.arn() }
    }

    /// The problem to report on a NodeENI, if the sources differ.
    pub fn problem(&self, node: &ObservedNode) -> Option<Problem> {
        let message = self.contradiction.clone()?;
        Some(Problem { reason: ZONE_CONTRADICTION, message, node: Some(node.name.clone()) })
    }
}

impl<'a> NodePlanner<'a> {
    /// The zone of the node, or the reason why it is not certain.
    pub(super) fn place_of<'n>(&mut self, node: &'n ObservedNode) -> Result<Place<'n>, UnassignedReason>
    where
        'a: 'n,
    {
        let input = self.input;
        let instance = self.instance_of(node)?;
        let primary =
            input.instance.and_then(|interfaces| interfaces.zone.as_deref()).map(|zone| (Source::Primary, zone));
        let attached = self.here.iter().filter(|attachment| is_attached(attachment)).filter_map(|attachment| {
            let subnet = SubnetId::parse(&attachment.request.subnet_id).ok()?;
            Some((Source::Attached(attachment.name.as_str()), input.catalog.subnets.get(&subnet)?.zone.as_str()))
        });
        let provider = node.zone.as_deref().map(|zone| (Source::ProviderId, zone));
        let label = node.zone_by_label().map(|zone| (Source::Label, zone));
        let sources: Vec<(Source<'_>, &str)> =
            primary.into_iter().chain(attached).chain(provider).chain(label).collect();
        let Some((source, zone)) = sources.first().copied() else {
            // No source names the zone. A lookup of the instance shows it.
            return Err(match self.await_lookup(instance, "the EC2 lookup of the node's zone") {
                UnassignedReason::LookupPending(_) if input.instance.is_some() => {
                    self.joining(node, "its zone").unwrap_or(UnassignedReason::NoZone)
                }
                other => other,
            });
        };
        let other = sources.iter().find(|(_, other)| *other != zone);
        let sentence = |(by, other): &(Source<'_>, &str)| {
            format!(
                "the node is in zone {zone} according to {source}, and in zone {other} according to {by}. An instance never \
                 changes its zone, so no ENI is removed"
            )
        };
        if let Some(contradiction) = other.filter(|(by, _)| by.is_ec2()) {
            return Err(UnassignedReason::ZoneContradiction(sentence(contradiction)));
        }
        if !source.is_ec2() && (other.is_some() || source == Source::Label) {
            // The zone is not certain enough to create an ENI, or to report that the zone has no subnet.
            return Err(self.await_lookup(instance, "the EC2 lookup of the node's zone"));
        }
        let contradiction = other.map(|wrong| format!("{}; zone {zone} counts. Correct {}", sentence(wrong), wrong.0));
        Ok(Place { zone, outpost: self.node_outpost(zone)?, contradiction })
    }

    /// The Outpost of the node: by its primary interface, and by the attached ENIs, because an instance stays on its Outpost. EC2 may
    /// show no Outpost on a primary interface, so an attached ENI of a subnet on another Outpost contradicts it.
    fn node_outpost(&self, zone: &str) -> Result<NodeOutpost<'a>, UnassignedReason> {
        let input = self.input;
        let primary = input.instance.and_then(|interfaces| match interfaces.node_outpost() {
            NodeOutpost::Shown(outpost) => Some((Source::Primary, outpost)),
            NodeOutpost::NotShown => None,
        });
        let attached = self.here.iter().filter(|attachment| is_attached(attachment)).filter_map(|attachment| {
            let subnet = SubnetId::parse(&attachment.request.subnet_id).ok()?;
            Some((Source::Attached(attachment.name.as_str()), input.catalog.subnets.get(&subnet)?.outpost.as_deref()))
        });
        // An ENI whose ENIAttachment is lost is evidence too.
        let on_instance = input.instance.into_iter().flat_map(|interfaces| &interfaces.enis);
        let of_cluster = on_instance.filter(|eni| is_on_instance(eni) && eni.is_of(input.cluster)).filter_map(|eni| {
            let subnet = input.catalog.subnets.get(eni.subnet.as_ref()?)?;
            Some((Source::Eni(eni.id.as_str()), subnet.outpost.as_deref()))
        });
        let mut shown = primary.into_iter().chain(attached).chain(of_cluster);
        let Some((source, outpost)) = shown.next() else { return Ok(NodeOutpost::NotShown) };
        let Some((by, other)) = shown.find(|(_, other)| *other != outpost) else {
            return Ok(NodeOutpost::Shown(outpost));
        };
        let place = |outpost: Option<&str>| Location { zone: zone.to_owned(), outpost: outpost.map(Box::from) };
        Err(UnassignedReason::ZoneContradiction(format!(
            "the node is in zone {} according to {source}, and in zone {} according to {by}. An instance never changes its \
             Outpost, so no ENI is removed",
            place(outpost),
            place(other)
        )))
    }

    /// Checks the ENIAttachments of a NodeENI here whose subnet the spec lists and that was not chosen now. EC2 attaches no ENI
    /// across zones or Outposts. So an attached one contradicts the place that was determined, and nothing may be removed. One that is not
    /// attached can never be attached here, but this is certain only if EC2 itself shows the place.
    pub(super) fn check_unchosen_subnets(
        &mut self,
        (node, place): (&ObservedNode, &Place<'_>),
        spec: &EniSpec,
        (mine, chosen): (&[&Attachment], &[&ObservedSubnet]),
    ) -> Result<(), UnassignedReason> {
        let input = self.input;
        let listed = |subnet: &SubnetId| {
            spec.subnets.iter().any(|reference| match resolve(input.catalog, reference) {
                Resolved::Subnets(ids) => ids.contains(subnet),
                Resolved::NotYet | Resolved::Missing => false,
            }) || input.catalog.selection(&spec.subnet_terms, subnet, None) == Selection::Selected
        };
        let live = mine
            .iter()
            .filter(|attachment| attachment.deleting.is_none() && attachment.eni().is_some() && !attachment.lost());
        for attachment in live {
            let subnet = SubnetId::parse(&attachment.request.subnet_id).ok();
            let subnet = subnet.filter(|id| listed(id) && !chosen.iter().any(|subnet| subnet.id == *id));
            let Some(observed_subnet) = subnet.and_then(|id| input.catalog.subnets.get(&id)) else { continue };
            // Of the subnets that terms select only one is chosen, also among those of the place.
            if !spec.subnet_terms.is_empty() && place.takes(observed_subnet) {
                continue;
            }
            if attachment.status.attachment_id.is_some() {
                return Err(UnassignedReason::ZoneContradiction(format!(
                    "the ENI of ENIAttachment {} is attached and belongs to {} in zone {} and {}, but the node is in zone {} \
                     according to other sources: the ENI stays",
                    attachment.name,
                    observed_subnet.id,
                    observed_subnet.location(),
                    observed_subnet.vpc,
                    place.location()
                )));
            }
            if input.instance.is_none_or(|interfaces| interfaces.zone.is_none()) {
                let instance = self.instance_of(node)?;
                return Err(self.await_lookup(instance, "the EC2 lookup of the node's zone"));
            }
        }
        Ok(())
    }
}

/// Whether its status says that the ENI is attached and not lost.
fn is_attached(attachment: &Attachment) -> bool {
    conditions::is_true(&attachment.status.conditions, types::ATTACHED) && !attachment.lost()
}

/// Whether EC2 shows the ENI on the instance, and not on its way from there.
fn is_on_instance(eni: &ObservedEni) -> bool {
    eni.attachment.as_ref().is_some_and(|at| at.state != AttachmentState::Detaching)
}
