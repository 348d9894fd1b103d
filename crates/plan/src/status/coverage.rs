//! The matching nodes that a NodeENI does not cover, and the conditions that name them. No subnet of the list is in their zone, or
//! they can have no ENI. They are counted apart: Ready and Degraded are about the other nodes.

use crate::assign::{Unassigned, UnassignedReason};
use crate::counted::{counted, first_of, verb};
use crate::observed::Location;
use jiff::Timestamp;
use multi_eni_api::conditions::{ConditionUpdate, types};
use std::collections::{BTreeMap, BTreeSet};

/// Sentences in a message. The nodes of further ones are only counted.
const SENTENCES: usize = 3;

/// The nodes that a NodeENI does not cover.
pub(super) struct Coverage<'a> {
    /// All of them.
    pub nodes: BTreeSet<&'a str>,
    /// Nodes without a subnet in their zone.
    pub without_subnet: BTreeSet<&'a str>,
    /// Nodes that can have no ENI, and why.
    pub unsupported: BTreeMap<&'a str, &'a UnassignedReason>,
    /// Nodes whose ENI is in a subnet that the terms select no longer, and in whose zone they select no other, and why the ENI stays.
    soon_without: BTreeMap<&'a str, &'a UnassignedReason>,
    /// Nodes of which it is not known whether a subnet is in their zone until a user acts, and why.
    unknown: BTreeMap<&'a str, &'a UnassignedReason>,
    /// Whether no lookup is missing, so that a zone without a subnet is known.
    is_known: bool,
    /// Those zones and Outposts, each with the places of the subnets.
    places: BTreeMap<&'a Location, &'a [Location]>,
    /// Now.
    now: Timestamp,
}

/// What a reason says about the subnet in the node's zone.
enum InZone {
    /// A subnet of the list is in the node's zone, or nothing is asked of it.
    Covered,
    /// No subnet of the list will be in the node's zone once EC2 has confirmed its answers.
    SoonBare,
    /// It is known once a lookup has ended or the node has joined.
    Pending,
    /// It is not known until a user acts.
    Unknown,
}

fn in_zone(why: &UnassignedReason) -> InZone {
    match why {
        UnassignedReason::SubnetUnconfirmed { bare_zone: Some(_), .. } => InZone::SoonBare,
        UnassignedReason::SubnetUnconfirmed { bare_zone: None, .. } => InZone::Covered,
        UnassignedReason::LookupPending(_) | UnassignedReason::Joining(_) => InZone::Pending,
        UnassignedReason::InstanceNotShown { .. } => InZone::Pending,
        UnassignedReason::PrimaryNotShown { is_lasting: false, .. } => InZone::Pending,
        UnassignedReason::SubnetMissing(_)
        | UnassignedReason::NoSubnetMatches(_)
        | UnassignedReason::NameMayMove { .. }
        | UnassignedReason::LookupFailed(_)
        | UnassignedReason::NoProviderId
        | UnassignedReason::NoZone
        | UnassignedReason::ZoneContradiction(_)
        | UnassignedReason::OtherRegion { .. }
        | UnassignedReason::PrimaryNotShown { is_lasting: true, .. } => InZone::Unknown,
        // These come after the subnet was found, or the node needs none: it is not covered, or its instance is gone.
        UnassignedReason::SubnetInOtherVpc { .. }
        | UnassignedReason::SubnetAmbiguous(_)
        | UnassignedReason::NoSubnetInZone { .. }
        | UnassignedReason::Unsupported(_)
        | UnassignedReason::ManagedInstance { .. }
        | UnassignedReason::InstanceGone { .. }
        | UnassignedReason::NodeDeleting
        | UnassignedReason::GroupUnresolved(..)
        | UnassignedReason::NoGroupMatches(_)
        | UnassignedReason::SlotHeld { .. }
        | UnassignedReason::SlotPinned { .. }
        | UnassignedReason::SlotTaken { .. }
        | UnassignedReason::InstanceFull { .. }
        | UnassignedReason::IndexRefused { .. }
        | UnassignedReason::InstanceTypeUnknown { .. }
        | UnassignedReason::NoSuchCard { .. }
        | UnassignedReason::IndexBeyondCard { .. }
        | UnassignedReason::TooManyAddresses { .. }
        | UnassignedReason::OutOfBounds(_)
        | UnassignedReason::AttachRefused { .. }
        | UnassignedReason::Replacing
        | UnassignedReason::AwaitingRollout => InZone::Covered,
    }
}

impl<'a> Coverage<'a> {
    pub fn of(refused: &[&'a Unassigned], now: Timestamp) -> Self {
        let mut coverage = Self {
            nodes: BTreeSet::new(),
            without_subnet: BTreeSet::new(),
            unsupported: BTreeMap::new(),
            soon_without: BTreeMap::new(),
            unknown: BTreeMap::new(),
            is_known: true,
            places: BTreeMap::new(),
            now,
        };
        for refusal in refused {
            let node = refusal.node.as_str();
            match &refusal.why {
                UnassignedReason::NoSubnetInZone { node: place, subnets } => {
                    coverage.places.insert(place, subnets);
                    coverage.without_subnet.insert(node);
                }
                why if why.is_not_covered() => {
                    coverage.unsupported.insert(node, why);
                }
                why => {
                    match in_zone(why) {
                        InZone::Covered => {}
                        InZone::SoonBare => drop(coverage.soon_without.insert(node, why)),
                        InZone::Pending => coverage.is_known = false,
                        InZone::Unknown => drop(coverage.unknown.insert(node, why)),
                    }
                    continue;
                }
            }
            coverage.nodes.insert(node);
        }
        coverage
    }

    /// Whether each matching node has a subnet of the list in its zone; None while lookups have to end first.
    pub fn zones_covered(&self) -> Option<ConditionUpdate> {
        if self.without_subnet.is_empty() && !self.soon_without.is_empty() {
            let number = self.soon_without.len();
            let message = format!(
                "no subnet that the terms select is in the zone of {}: {}",
                counted(number, "matching node"),
                self.sentences(&self.soon_without)
            );
            return Some(ConditionUpdate::new(types::ZONES_COVERED, false, "NoSubnetInZone", message));
        }
        if self.without_subnet.is_empty()
            && let Some(why) = self.unknown.values().next()
        {
            let number = self.unknown.len();
            let message = format!(
                "it is not known whether a subnet of the NodeENI is in the zone of {}: {}",
                counted(number, "matching node"),
                self.sentences(&self.unknown)
            );
            let reason = why.reason().to_owned();
            return Some(ConditionUpdate { kind: types::ZONES_COVERED, status: None, reason, message });
        }
        if self.without_subnet.is_empty() {
            let message = "each matching node has a subnet of the NodeENI in its zone";
            return self.is_known.then(|| ConditionUpdate::new(types::ZONES_COVERED, true, "AllZones", message));
        }
        let joined =
            |places: &BTreeSet<&Location>| places.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let bare: BTreeSet<&Location> = self.places.keys().copied().collect();
        let subnets: BTreeSet<&Location> = self.places.values().copied().flatten().collect();
        let have = match subnets.is_empty() {
            true => "none of the subnets is known".to_owned(),
            false => format!("the subnets are in {}", joined(&subnets)),
        };
        let of_outposts = match subnets.union(&bare).any(|place| place.outpost.is_some()) {
            true => ". EC2 attaches an ENI only to an instance on the Outpost of its subnet",
            false => "",
        };
        let number = self.without_subnet.len();
        let message = format!(
            "{} {} no ENI, because no subnet of the NodeENI is in the {} {} ({have}): {}. To give an ENI to each, add a subnet of \
             {}{of_outposts}",
            counted(number, "matching node"),
            verb(number, "gets", "get"),
            verb(bare.len(), "zone", "zones"),
            joined(&bare),
            first_of(&self.without_subnet.iter().copied().collect::<Vec<_>>()),
            verb(bare.len(), "that zone", "each of these zones"),
        );
        Some(ConditionUpdate::new(types::ZONES_COVERED, false, "NoSubnetInZone", message))
    }

    /// Whether each matching node is one that can have an ENI.
    pub fn nodes_supported(&self) -> ConditionUpdate {
        if self.unsupported.is_empty() {
            let message = "each matching node can have an ENI";
            return ConditionUpdate::new(types::NODES_SUPPORTED, true, "AllNodes", message);
        }
        let number = counted(self.unsupported.len(), "matching node");
        let message = format!("{number} can have no ENI: {}", self.sentences(&self.unsupported));
        ConditionUpdate::new(types::NODES_SUPPORTED, false, "NotSupported", message)
    }

    /// The sentences of these nodes, each once, with its nodes before it.
    fn sentences(&self, nodes: &BTreeMap<&str, &UnassignedReason>) -> String {
        let mut nodes_of: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (node, why) in nodes {
            nodes_of.entry(why.sentence(self.now)).or_default().push(node);
        }
        let mut all: Vec<(String, Vec<&str>)> = nodes_of.into_iter().collect();
        all.sort_by(|(_, a), (_, b)| a.cmp(b));
        let others: usize = all.iter().skip(SENTENCES).map(|(_, nodes)| nodes.len()).sum();
        let others = if others > 0 { format!("; and {}", counted(others, "other")) } else { String::new() };
        let first =
            all.into_iter().take(SENTENCES).map(|(sentence, nodes)| format!("{}: {sentence}", first_of(&nodes)));
        format!("{}{others}", first.collect::<Vec<_>>().join("; "))
    }
}
