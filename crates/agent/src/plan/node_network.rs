//! What a route of the table main must leave alone: the network of the node itself. The node's default route says which link that is.

use crate::node::{Cidr, Link, Node, Route, TABLE_MAIN};
use crate::plan::settings::PROTOCOL_KERNEL;

/// What of the node's own network is in the destination, in words. A route to it would send the node's traffic, and its answers, by the
/// ENI. A part of the node's subnet that has neither the node nor its gateway in it is no such destination.
pub(super) fn covered(node: &Node, destination: Cidr) -> Option<String> {
    let of_main = || node.routes.iter().filter(|route| route.table == TABLE_MAIN);
    of_main().filter(|route| route.is_default()).find_map(|default| {
        let name = || node.links.iter().find(|link| link.index == default.link).map_or("?", |link: &Link| &link.name);
        let is_address = |ip: &Cidr| destination.contains(&Cidr::host(ip.address));
        let of_link = node.addresses.iter().filter(|address| address.link == default.link);
        if let Some(address) = of_link.map(|address| address.cidr).find(is_address) {
            return Some(format!("the address {address} of {}", name()));
        }
        if let Some(gateway) = default.gateway.filter(|gateway| destination.contains(&Cidr::host(*gateway))) {
            return Some(format!("the node's gateway {gateway}"));
        }
        let is_connected =
            |route: &&Route| route.link == default.link && route.gateway.is_none() && route.protocol == PROTOCOL_KERNEL;
        let mut connected = of_main().filter(is_connected).map(|route| route.destination);
        connected
            .find(|network| destination.contains(network))
            .map(|network| format!("the network {network} of {}", name()))
    })
}

/// Whether the route is one of the table main that covers the node's own network.
pub(super) fn covers_node(node: &Node, route: &Route) -> bool {
    route.table == TABLE_MAIN && covered(node, route.destination).is_some()
}
