//! The matching nodes that a NodeENI does not cover, and the conditions that name them. No subnet of the list is in their zone, or
//! they can have no ENI. They are counted apart: Ready and Degraded are about the other nodes.

use crate::assign::{Unassigned, UnassignedReason};
use multi_eni_api::conditions::{ConditionUpdate, types};
use std::collections::{BTreeMap, BTreeSet};

/// Names of nodes in a message; further nodes are only counted.
const NAMED: usize = 5;

/// The nodes that a NodeENI does not cover.
pub(super) struct Coverage<'a> {
    /// All of them.
    pub nodes: BTreeSet<&'a str>,
    /// Nodes without a subnet in their zone.
    pub without_subnet: BTreeSet<&'a str>,
    /// Nodes that can have no ENI, and why.
    pub unsupported: BTreeMap<&'a str, &'a UnassignedReason>,
    /// Whether no lookup is missing, so that a zone without a subnet is known.
    is_known: bool,
    /// The terms select no subnet at all, on some node.
    selects_none: bool,
    /// Those zones, each with the zones of the subnets.
    zones: BTreeMap<&'a str, &'a [String]>,
}

impl<'a> Coverage<'a> {
    pub fn of(refused: &[&'a Unassigned]) -> Self {
        let mut coverage = Self {
            nodes: BTreeSet::new(),
            without_subnet: BTreeSet::new(),
            unsupported: BTreeMap::new(),
            is_known: true,
            selects_none: false,
            zones: BTreeMap::new(),
        };
        for refusal in refused {
            let node = refusal.node.as_str();
            match &refusal.why {
                UnassignedReason::NoSubnetInZone { zone, zones } => {
                    coverage.zones.insert(zone, zones);
                    coverage.without_subnet.insert(node);
                }
                why if why.is_not_covered() => {
                    coverage.unsupported.insert(node, why);
                }
                why => {
                    coverage.selects_none |= matches!(why, UnassignedReason::NoSubnetMatches(_));
                    coverage.is_known &= !matches!(
                        why,
                        UnassignedReason::LookupPending(_)
                            | UnassignedReason::SubnetUnconfirmed(_)
                            | UnassignedReason::Joining(_)
                    );
                    continue;
                }
            }
            coverage.nodes.insert(node);
        }
        coverage
    }

    /// Whether each matching node has a subnet of the list in its zone; None while that is not known.
    pub fn zones_covered(&self) -> Option<ConditionUpdate> {
        if self.without_subnet.is_empty() && self.selects_none {
            let (reason, message) = ("SubnetNotFound".to_owned(), "no subnet matches subnetSelectorTerms".to_owned());
            return Some(ConditionUpdate { kind: types::ZONES_COVERED, status: None, reason, message });
        }
        if self.without_subnet.is_empty() {
            let message = "each matching node has a subnet of the list in its zone";
            return self.is_known.then(|| ConditionUpdate::new(types::ZONES_COVERED, true, "AllZones", message));
        }
        let zones: Vec<&str> = self.zones.keys().copied().collect();
        let have: BTreeSet<&str> = self.zones.values().copied().flatten().map(String::as_str).collect();
        let have = if have.is_empty() {
            "none of the subnets is known".to_owned()
        } else {
            format!("the subnets are in {}", have.into_iter().collect::<Vec<_>>().join(", "))
        };
        let message = format!(
            "{} matching nodes get no ENI, because no subnet of the list is in their zone {} ({have}): {}. To give them an ENI, \
             add a subnet of that zone",
            self.without_subnet.len(),
            zones.join(", "),
            named(self.without_subnet.iter().map(|node| (*node).to_owned()).collect()),
        );
        Some(ConditionUpdate::new(types::ZONES_COVERED, false, "NoSubnetInZone", message))
    }

    /// Whether each matching node is one that can have an ENI.
    pub fn nodes_supported(&self) -> ConditionUpdate {
        if self.unsupported.is_empty() {
            let message = "each matching node can have an ENI";
            return ConditionUpdate::new(types::NODES_SUPPORTED, true, "AllNodes", message);
        }
        let nodes = self.unsupported.iter().map(|(node, why)| format!("{node}: {why}")).collect();
        let message = format!("{} matching nodes can have no ENI: {}", self.unsupported.len(), named(nodes));
        ConditionUpdate::new(types::NODES_SUPPORTED, false, "NotSupported", message)
    }
}

/// The first entries, and how many others there are.
fn named(all: Vec<String>) -> String {
    let others = all.len().saturating_sub(NAMED);
    let first = all.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
    if others > 0 { format!("{first} and {others} others") } else { first }
}
