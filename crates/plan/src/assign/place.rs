//! Where a node is. EC2 says it: its primary interface, then the ENIs that are attached to it. Then the providerID; the label comes
//! last, for anybody can change it. An instance never changes its zone: sources that differ are an error of input, which is said
//! and removes nothing.

use super::planner::NodePlanner;
use super::resolved::{Resolved, resolve};
use super::unassigned::{UnassignedReason, ZONE_CONTRADICTION};
use crate::attachment::Attachment;
use crate::nodeeni::EniSpec;
use crate::observed::{ObservedNode, ObservedSubnet, ZONE_LABEL};
use crate::problem::Problem;
use multi_eni_api::conditions::{self, types};
use multi_eni_api::ids::SubnetId;

/// What says where a node is, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source<'a> {
    Primary,
    Attached(&'a str),
    ProviderId,
    Label,
}

impl Source<'_> {
    fn is_ec2(self) -> bool {
        matches!(self, Self::Primary | Self::Attached(_))
    }
}

impl std::fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Primary => f.write_str("EC2, by its primary interface"),
            Self::Attached(name) => write!(f, "EC2, by the ENI of ENIAttachment {name} that is attached to it"),
            Self::ProviderId => f.write_str("its providerID"),
            Self::Label => write!(f, "its label {ZONE_LABEL}"),
        }
    }
}

/// The zone of a node, and what is to be said of sources that name another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place<'a> {
    /// The zone that counts.
    pub zone: &'a str,
    /// Another source names another zone: a sentence.
    pub contradiction: Option<String>,
}

impl Place<'_> {
    /// What is said of it on a NodeENI.
    pub fn problem(&self, node: &ObservedNode) -> Option<Problem> {
        let message = self.contradiction.clone()?;
        Some(Problem { reason: ZONE_CONTRADICTION, message, node: Some(node.name.clone()) })
    }
}

impl<'a> NodePlanner<'a> {
    /// Where the node is.
    pub(super) fn place_of<'n>(&mut self, node: &'n ObservedNode) -> Result<Place<'n>, UnassignedReason>
    where
        'a: 'n,
    {
        let input = self.input;
        let instance = node.instance.as_ref().map_err(UnassignedReason::from)?;
        let primary =
            input.instance.and_then(|interfaces| interfaces.zone.as_deref()).map(|zone| (Source::Primary, zone));
        let attached = self.here.iter().filter(|attachment| is_attached(attachment)).filter_map(|attachment| {
            let subnet = SubnetId::parse(&attachment.request.subnet_id).ok()?;
            Some((Source::Attached(attachment.name.as_str()), input.catalog.subnets.get(&subnet)?.zone.as_str()))
        });
        let provider = node.zone.as_deref().map(|zone| (Source::ProviderId, zone));
        let label = node.zone_by_label().map(|zone| (Source::Label, zone));
        let said: Vec<(Source<'_>, &str)> = primary.into_iter().chain(attached).chain(provider).chain(label).collect();
        let Some((source, zone)) = said.first().copied() else {
            // Neither says it; EC2 knows.
            return Err(match self.await_lookup(instance, "where the node is") {
                UnassignedReason::LookupPending(_) if input.instance.is_some() => UnassignedReason::NoZone,
                other => other,
            });
        };
        let other = said.iter().find(|(_, other)| *other != zone);
        let sentence = |(by, other): &(Source<'_>, &str)| {
            format!(
                "{source} says that node {} is in zone {zone}, and {by} says {other}. An instance never changes its zone: nothing is removed \
             for this",
                node.name
            )
        };
        if let Some(contradiction) = other.filter(|(by, _)| by.is_ec2()) {
            return Err(UnassignedReason::ZoneContradiction(sentence(contradiction)));
        }
        if !source.is_ec2() && (other.is_some() || source == Source::Label) {
            // Not certain enough to make anything, or to say that there is no subnet.
            return Err(self.await_lookup(instance, "where the node is"));
        }
        let contradiction = other.map(|said| format!("{}; {zone} counts. Correct {}", sentence(said), said.0));
        Ok(Place { zone, contradiction })
    }

    /// What a NodeENI has here in a subnet that it lists and that was not chosen now. EC2 attaches nothing across zones, so of what is
    /// attached that is a contradiction; what is not can never be attached, if EC2 itself says where the node is.
    pub(super) fn must_explain(
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
            })
        };
        let live = mine
            .iter()
            .filter(|attachment| attachment.deleting.is_none() && attachment.eni().is_some() && !attachment.lost());
        for attachment in live {
            let subnet = SubnetId::parse(&attachment.request.subnet_id).ok();
            let subnet = subnet.filter(|id| listed(id) && !chosen.iter().any(|subnet| subnet.id == *id));
            let Some(facts) = subnet.and_then(|id| input.catalog.subnets.get(&id)) else { continue };
            if attachment.status.attachment_id.is_some() {
                return Err(UnassignedReason::ZoneContradiction(format!(
                    "the ENI of ENIAttachment {} is attached in {} of zone {} and {}, and node {} is in zone {} by what else is known: it \
                 stays",
                    attachment.name, facts.id, facts.zone, facts.vpc, node.name, place.zone
                )));
            }
            if input.instance.is_none_or(|interfaces| interfaces.zone.is_none()) {
                let instance = node.instance.as_ref().map_err(UnassignedReason::from)?;
                return Err(self.await_lookup(instance, "where the node is"));
            }
        }
        Ok(())
    }
}

/// Its ENI is attached, by what was last reported.
fn is_attached(attachment: &Attachment) -> bool {
    conditions::is_true(&attachment.status.conditions, types::ATTACHED) && !attachment.lost()
}
