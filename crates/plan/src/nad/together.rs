//! Warnings of several NodeENIs whose definitions get in each other's way: one alternative name on one node, or one resource. It is given
//! all NodeENIs, with their ENIAttachments and the Nodes that they select.

use super::definition::Definition;
use super::host_device::{Ipam, Way, interface_name, way};
use super::request::{Plugin, Request};
use super::warning::Warning;
use crate::attachment::Attachment;
use crate::nodeeni::{NodeEni, SubnetRef};
use crate::string_map::StringMap;
use multi_eni_api::NodeSettings;
use multi_eni_api::node_config::{NodeMode, mode_of};
use std::collections::{BTreeMap, BTreeSet};

/// A usable NodeENI, and where its ENIs are.
pub struct Placed<'a> {
    name: &'a str,
    settings: &'a NodeSettings,
    /// Nodes with an ENI.
    with_eni: BTreeSet<&'a str>,
    /// Nodes that the NodeENI selects.
    selected: BTreeSet<&'a str>,
    /// The subnets, by ID, as far as they are known.
    subnets: BTreeSet<&'a str>,
}

impl<'a> Placed<'a> {
    /// Reads a NodeENI. None: it has no ENIs, because it cannot be read, or is being deleted.
    pub fn read(
        nodeeni: &'a NodeEni,
        attachments: &[&'a Attachment],
        nodes: impl Iterator<Item = (&'a str, &'a StringMap)>,
    ) -> Option<Self> {
        let spec = nodeeni.spec.as_ref().ok().filter(|_| !nodeeni.deleting)?;
        let stays = |attachment: &&&'a Attachment| attachment.deleting.is_none() && attachment.unreadable.is_none();
        let attachments: Vec<&'a Attachment> = attachments.iter().filter(stays).copied().collect();
        let id = |subnet: &'a SubnetRef| match subnet {
            SubnetRef::Id(id) => Some(id.as_str()),
            SubnetRef::Name(_) => None,
        };
        let subnets = if attachments.is_empty() {
            spec.subnets.iter().filter_map(id).collect()
        } else {
            attachments.iter().map(|attachment| attachment.request.subnet_id.as_str()).collect()
        };
        Some(Self {
            name: &nodeeni.name,
            settings: &spec.node_settings,
            with_eni: attachments.iter().map(|attachment| attachment.node.as_str()).collect(),
            selected: nodes.filter(|(_, labels)| spec.matches(labels)).map(|(name, _)| name).collect(),
            subnets,
        })
    }

    /// The alternative name that its links get.
    fn claimed_name(&self) -> Option<String> {
        let has_link = self.settings.enable_dpdk != Some(true);
        let is_managed = mode_of(self.settings.node_config.as_ref()) != NodeMode::None;
        interface_name(self.settings).filter(|_| has_link && is_managed)
    }
}

/// The warnings of the NodeENIs with these definitions.
pub fn together(all: &[Placed<'_>], request: &Request<'_>, definitions: &[Definition]) -> Vec<Warning> {
    let ipam = match request.plugin {
        Plugin::HostDevice { ipam } => ipam,
        Plugin::Ipvlan => return Vec::new(),
    };
    let printed: BTreeSet<&str> = definitions.iter().map(|definition| definition.name.as_str()).collect();
    let mut warnings = names(all, request.node, &printed);
    warnings.extend(pools(all, ipam, &printed));
    warnings
}

fn names(all: &[Placed<'_>], node: Option<&str>, printed: &BTreeSet<&str>) -> Vec<Warning> {
    let mut by_name: BTreeMap<String, Vec<&Placed<'_>>> = BTreeMap::new();
    for placed in all {
        if let Some(name) = placed.claimed_name() {
            by_name.entry(name).or_default().push(placed);
        }
    }
    let is_by_name = |placed: &Placed<'_>| printed.contains(placed.name) && way(placed.settings) == Way::Link;
    let mut warnings = Vec::new();
    for (name, claims) in &by_name {
        for (number, one) in claims.iter().enumerate() {
            for other in claims.iter().skip(number.saturating_add(1)) {
                let common = if is_by_name(one) || is_by_name(other) { common_nodes(one, other, node) } else { None };
                warnings.extend(common.map(|(nodes, is_certain)| Warning::OneName {
                    name: name.clone(),
                    nodeenis: [one.name.to_owned(), other.name.to_owned()],
                    nodes,
                    is_certain,
                }));
            }
        }
    }
    warnings
}

/// The Nodes on which both have an ENI or, if one has no ENI at all yet, that both select; and whether both have one. NodeENIs that select
/// the same Nodes may be for different zones, which only the ENIs show.
fn common_nodes(one: &Placed<'_>, other: &Placed<'_>, node: Option<&str>) -> Option<(Vec<String>, bool)> {
    let of = |one: &BTreeSet<&str>, other: &BTreeSet<&str>| {
        let common = one.intersection(other).filter(|name| node.is_none_or(|node| **name == node));
        Some(common.map(|name| (*name).to_owned()).collect::<Vec<_>>()).filter(|names| !names.is_empty())
    };
    let is_new = one.with_eni.is_empty() || other.with_eni.is_empty();
    let with_both = of(&one.with_eni, &other.with_eni).map(|nodes| (nodes, true));
    with_both.or_else(|| of(&one.selected, &other.selected).filter(|_| is_new).map(|nodes| (nodes, false)))
}

fn pools(all: &[Placed<'_>], ipam: Option<Ipam>, printed: &BTreeSet<&str>) -> Vec<Warning> {
    let mut pools: BTreeMap<String, (Vec<&Placed<'_>>, Vec<&Placed<'_>>)> = BTreeMap::new();
    for placed in all {
        if let Way::Resource { name, is_dpdk } = way(placed.settings) {
            let (with_driver, with_link) = pools.entry(name).or_default();
            if is_dpdk { with_driver.push(placed) } else { with_link.push(placed) }
        }
    }
    let owned = |list: &[&Placed<'_>]| list.iter().map(|placed| placed.name.to_owned()).collect::<Vec<_>>();
    let mut warnings = Vec::new();
    for (resource, (with_driver, with_link)) in pools {
        if !with_driver.iter().chain(&with_link).any(|placed| printed.contains(placed.name)) {
            continue;
        }
        if !with_driver.is_empty() && !with_link.is_empty() {
            let (with_driver, with_link) = (owned(&with_driver), owned(&with_link));
            warnings.push(Warning::PoolOfDrivers { resource: resource.clone(), with_driver, with_link });
        }
        let is_printed = with_link.iter().any(|placed| printed.contains(placed.name));
        if ipam == Some(Ipam::Static) && is_printed && has_several_addresses(&with_link) {
            warnings.push(Warning::PoolOfAddresses { resource, nodeenis: owned(&with_link) });
        }
    }
    warnings
}

/// Whether a Pod that requests the resource may get an ENI of another subnet, or another ENI of its node.
fn has_several_addresses(pool: &[&Placed<'_>]) -> bool {
    let subnets: BTreeSet<&str> = pool.iter().flat_map(|placed| placed.subnets.iter().copied()).collect();
    let mut nodes = BTreeSet::new();
    let shares_a_node = pool.iter().flat_map(|placed| &placed.with_eni).any(|node| !nodes.insert(*node));
    pool.len() > 1 && (subnets.len() > 1 || shares_a_node)
}
