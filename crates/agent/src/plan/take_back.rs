//! The steps that give a link back as it was, when no ENIAttachment asks for it any more.

use super::own_protocols::OwnProtocols;
use super::set_up::is_ours;
use super::settings::PROTOCOL_KERNEL;
use super::step::Step;
use crate::ledger::LedgerEntry;
use crate::netlink::Change;
use crate::node::{Link, Node};

/// The steps for a link of the ledger. Routes and rules are the planner's.
pub(super) fn take_back(node: &Node, link: &Link, entry: &LedgerEntry, own: OwnProtocols<'_>) -> Vec<Step> {
    let index = link.index;
    let mut changes = Vec::new();
    let (ours, others): (Vec<_>, Vec<_>) = node
        .addresses
        .iter()
        .filter(|address| address.link == index)
        .partition(|address| is_ours(node, address, Some(entry), own));
    changes.extend(ours.iter().map(|address| Change::RemoveAddress { link: index, cidr: address.cidr }));
    let names = entry.alt_names.iter().filter(|name| link.alt_names.contains(name));
    changes.extend(names.map(|name| Change::RemoveAltName { link: index, name: name.clone() }));
    // Somebody who has an address or a route on the link uses it, so it stays up.
    let is_used = others.iter().any(|address| address.is_global)
        || node
            .routes
            .iter()
            .any(|route| route.link == index && !own.contains(route.protocol) && route.protocol != PROTOCOL_KERNEL);
    // Whoever has put the link into a bond, has put a VLAN on it, or manages it, goes on with its MTU as well.
    let has_upper = node.links.iter().any(|other| other.lower == Some(index));
    let is_held = link.controller.is_some() || has_upper || link.managed_by.is_some();
    if !is_held && entry.mtu == Some(link.mtu) && link.mtu != entry.mtu_before {
        changes.push(Change::SetMtu { link: index, mtu: entry.mtu_before });
    }
    if !is_held && !is_used && link.is_up && !entry.was_up {
        changes.push(Change::SetUp { link: index, up: false });
    }
    let mut steps: Vec<Step> = changes.into_iter().map(Step::Kernel).collect();
    if let (Some(before), Some(0)) = (entry.accept_ra_before, link.accept_ra)
        && before != 0
    {
        steps.push(Step::SetAcceptRa { name: link.name.clone(), value: before });
    }
    steps
}
