//! The kernel's messages as the agent's own types.

use crate::node::{Address, Cidr, Link, Mac, Route, Rule, TABLE_LOCAL};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressMessage, AddressScope};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkInfo, LinkMessage, Prop};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType, RouteVia};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};
use std::net::IpAddr;

pub(super) fn link(message: LinkMessage) -> Link {
    let flags = message.header.flags;
    let mut link = Link {
        index: message.header.index,
        is_up: flags.contains(LinkFlags::Up),
        is_loopback: flags.contains(LinkFlags::Loopback),
        ..Link::default()
    };
    let mut is_lower_elsewhere = false;
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::Link(index) => link.lower = Some(index).filter(|index| *index != 0),
            // The index of the link below is then one of another network namespace.
            LinkAttribute::LinkNetNsId(_) => is_lower_elsewhere = true,
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            // Zero means no bound.
            LinkAttribute::MinMtu(mtu) => link.min_mtu = Some(mtu).filter(|mtu| *mtu != 0),
            LinkAttribute::MaxMtu(mtu) => link.max_mtu = Some(mtu).filter(|mtu| *mtu != 0),
            LinkAttribute::Address(bytes) => link.mac = mac(&bytes),
            LinkAttribute::PermAddress(bytes) => link.permanent_mac = mac(&bytes),
            LinkAttribute::Controller(index) => link.controller = Some(index).filter(|index| *index != 0),
            LinkAttribute::ParentDevName(name) => link.parent_device = Some(name),
            LinkAttribute::PropList(properties) => {
                link.alt_names.extend(properties.into_iter().filter_map(|property| match property {
                    Prop::AltIfName(name) => Some(name),
                    _ => None,
                }));
            }
            LinkAttribute::LinkInfo(infos) => {
                for info in infos {
                    if let LinkInfo::Kind(kind) = info {
                        link.kind = Some(kind.to_string());
                    }
                }
            }
            _ => {}
        }
    }
    if is_lower_elsewhere {
        link.lower = None;
    }
    link
}

fn mac(bytes: &[u8]) -> Option<Mac> {
    <[u8; 6]>::try_from(bytes).ok().map(Mac)
}

pub(super) fn address(message: &AddressMessage) -> Option<Address> {
    let (mut address, mut local, mut protocol) = (None, None, 0);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(ip) => address = Some(*ip),
            AddressAttribute::Local(ip) => local = Some(*ip),
            AddressAttribute::Protocol(number) => protocol = u8::from(*number),
            _ => {}
        }
    }
    // On point-to-point links `Address` is the peer.
    let cidr = Cidr { address: local.or(address)?, prefix_len: message.header.prefix_len };
    let is_global = message.header.scope != AddressScope::Link && message.header.scope != AddressScope::Host;
    Some(Address { link: message.header.index, cidr, protocol, is_global })
}

/// A route with several next hops is one route for each of them. Routes of other types than unicast, and the kernel's own of the
/// table local, are left out.
pub(super) fn routes(message: &RouteMessage) -> Vec<Route> {
    let header = &message.header;
    let is_ipv6 = match header.address_family {
        AddressFamily::Inet => false,
        AddressFamily::Inet6 => true,
        _ => return Vec::new(),
    };
    let mut route = Route {
        table: u32::from(header.table),
        destination: Cidr { prefix_len: header.destination_prefix_length, ..Cidr::everything(is_ipv6) },
        gateway: None,
        link: 0,
        source: None,
        protocol: u8::from(header.protocol),
        metric: 0,
    };
    let mut next_hops = Vec::new();
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Table(table) => route.table = *table,
            RouteAttribute::Destination(address) => {
                route.destination.address = ip(address).unwrap_or(route.destination.address);
            }
            RouteAttribute::Gateway(address) => route.gateway = ip(address),
            RouteAttribute::Via(via) => route.gateway = via_ip(via),
            RouteAttribute::PrefSource(address) => route.source = ip(address),
            RouteAttribute::Oif(index) => route.link = *index,
            RouteAttribute::Priority(metric) => route.metric = *metric,
            RouteAttribute::MultiPath(hops) => {
                next_hops.extend(hops.iter().map(|hop| {
                    let gateway = hop.attributes.iter().find_map(|attribute| match attribute {
                        RouteAttribute::Gateway(address) => ip(address),
                        RouteAttribute::Via(via) => via_ip(via),
                        _ => None,
                    });
                    (hop.interface_index, gateway)
                }));
            }
            _ => {}
        }
    }
    if header.kind != RouteType::Unicast || route.table == TABLE_LOCAL {
        return Vec::new();
    }
    if next_hops.is_empty() {
        return vec![route];
    }
    next_hops.into_iter().map(|(link, gateway)| Route { link, gateway, ..route.clone() }).collect()
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(ip) => Some((*ip).into()),
        RouteAddress::Inet6(ip) => Some((*ip).into()),
        _ => None,
    }
}

fn via_ip(via: &RouteVia) -> Option<IpAddr> {
    match via {
        RouteVia::Inet(ip) => Some((*ip).into()),
        RouteVia::Inet6(ip) => Some((*ip).into()),
        _ => None,
    }
}

pub(super) fn rule(message: &RuleMessage) -> Option<Rule> {
    let header = &message.header;
    let is_ipv6 = match header.family {
        AddressFamily::Inet => false,
        AddressFamily::Inet6 => true,
        _ => return None,
    };
    let mut rule = Rule {
        source: None,
        is_ipv6,
        table: u32::from(header.table),
        priority: 0,
        protocol: 0,
        is_plain: header.action == RuleAction::ToTable
            && header.dst_len == 0
            && header.tos == 0
            && !header.flags.contains(RuleFlags::Invert),
    };
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Source(address) => {
                rule.source = Some(Cidr { address: *address, prefix_len: header.src_len });
            }
            RuleAttribute::Table(table) => rule.table = *table,
            RuleAttribute::Priority(priority) => rule.priority = *priority,
            RuleAttribute::Protocol(protocol) => rule.protocol = u8::from(*protocol),
            // The kernel sends these with each rule: the value that means "not set".
            RuleAttribute::SuppressPrefixLen(u32::MAX) => {}
            _ => rule.is_plain = false,
        }
    }
    Some(rule)
}
