//! One change of the kernel's state. Adding what is there, and removing what is gone, is no error.

use super::socket::{NetlinkError, NetlinkSocket};
use crate::node::{Cidr, Route, Rule};
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressProtocol, AddressScope,
};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage, Prop};
use netlink_packet_route::route::{RouteAttribute, RouteFlags, RouteMessage, RouteProtocol, RouteScope, RouteType};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;
use std::net::IpAddr;

/// A change. Links are named by their index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Sets a link up or down.
    SetUp {
        /// Index of the link.
        link: u32,
        /// Up or down.
        up: bool,
    },
    /// Sets the MTU.
    SetMtu {
        /// Index of the link.
        link: u32,
        /// The MTU.
        mtu: u32,
    },
    /// Adds an alternative name.
    AddAltName {
        /// Index of the link.
        link: u32,
        /// The name.
        name: String,
    },
    /// Removes an alternative name.
    RemoveAltName {
        /// Index of the link.
        link: u32,
        /// The name.
        name: String,
    },
    /// Adds an address without a route to its prefix.
    AddAddress {
        /// Index of the link.
        link: u32,
        /// The address.
        cidr: Cidr,
        /// The number that says who set it.
        protocol: u8,
    },
    /// Removes an address.
    RemoveAddress {
        /// Index of the link.
        link: u32,
        /// The address.
        cidr: Cidr,
    },
    /// Adds a route.
    AddRoute(Route),
    /// Removes the route with this protocol.
    RemoveRoute(Route),
    /// Adds a rule, unless the same rule with the same protocol exists.
    AddRule(Rule),
    /// Removes the rule with this protocol.
    RemoveRule(Rule),
}

/// Makes the change.
///
/// # Errors
/// If the kernel refuses the change.
pub fn make(socket: &mut NetlinkSocket, change: &Change) -> Result<(), NetlinkError> {
    let exclusive = NLM_F_CREATE | NLM_F_EXCL;
    let (message, flags, fine): (_, _, &[Errno]) = match change {
        Change::SetUp { link, up } => {
            let mut message = of_link(*link);
            message.header.flags = if *up { LinkFlags::Up } else { LinkFlags::empty() };
            message.header.change_mask = LinkFlags::Up;
            (RouteNetlinkMessage::SetLink(message), 0, &[])
        }
        Change::SetMtu { link, mtu } => {
            let mut message = of_link(*link);
            message.attributes.push(LinkAttribute::Mtu(*mtu));
            (RouteNetlinkMessage::SetLink(message), 0, &[])
        }
        Change::AddAltName { link, name } => (RouteNetlinkMessage::NewLinkProp(named(*link, name)), exclusive, &[]),
        Change::RemoveAltName { link, name } => {
            (RouteNetlinkMessage::DelLinkProp(named(*link, name)), 0, &[Errno::ENOENT, Errno::ENODEV])
        }
        Change::AddAddress { link, cidr, protocol } => {
            let mut message = address(*link, *cidr);
            message.attributes.push(AddressAttribute::Protocol(AddressProtocol::from(*protocol)));
            // EC2 gives each address once, so the search for duplicates would only delay the address.
            let flags = AddressFlags::Noprefixroute | AddressFlags::Nodad;
            message.header.flags = AddressHeaderFlags::Nodad;
            message.attributes.push(AddressAttribute::Flags(flags));
            (RouteNetlinkMessage::NewAddress(message), exclusive, &[Errno::EEXIST])
        }
        Change::RemoveAddress { link, cidr } => {
            (RouteNetlinkMessage::DelAddress(address(*link, *cidr)), 0, &[Errno::EADDRNOTAVAIL, Errno::ENODEV])
        }
        Change::AddRoute(wanted) => (RouteNetlinkMessage::NewRoute(route(wanted)), exclusive, &[Errno::EEXIST]),
        Change::RemoveRoute(gone) => {
            (RouteNetlinkMessage::DelRoute(route(gone)), 0, &[Errno::ESRCH, Errno::ENODEV, Errno::ENOENT])
        }
        // Without EXCL the kernel would add the rule a second time; it ignores REPLACE for rules.
        Change::AddRule(wanted) => (RouteNetlinkMessage::NewRule(rule(wanted)), exclusive, &[Errno::EEXIST]),
        Change::RemoveRule(gone) => (RouteNetlinkMessage::DelRule(rule(gone)), 0, &[Errno::ENOENT]),
    };
    match socket.change(message, flags) {
        Err(error) if error.errno().is_some_and(|errno| fine.contains(&errno)) => Ok(()),
        other => other,
    }
}

fn of_link(index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message
}

fn named(index: u32, name: &str) -> LinkMessage {
    let mut message = of_link(index);
    message.attributes.push(LinkAttribute::PropList(vec![Prop::AltIfName(name.to_owned())]));
    message
}

fn address(link: u32, cidr: Cidr) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(cidr.address);
    message.header.prefix_len = cidr.prefix_len;
    message.header.index = link;
    message.header.scope = AddressScope::Universe;
    message.attributes.push(AddressAttribute::Address(cidr.address));
    message.attributes.push(AddressAttribute::Local(cidr.address));
    message
}

fn route(route: &Route) -> RouteMessage {
    let mut message = RouteMessage::default();
    let header = &mut message.header;
    header.address_family = family(route.destination.address);
    header.destination_prefix_length = route.destination.prefix_len;
    header.protocol = RouteProtocol::from(route.protocol);
    header.kind = RouteType::Unicast;
    // The kernel ignores the scope for IPv6.
    header.scope = if route.gateway.is_some() { RouteScope::Universe } else { RouteScope::Link };
    // The gateway is on the link although no address has a prefix with it.
    if route.gateway.is_some_and(|gateway| gateway.is_ipv4()) {
        header.flags = RouteFlags::Onlink;
    }
    message.attributes.push(RouteAttribute::Table(route.table));
    message.attributes.push(RouteAttribute::Oif(route.link));
    if route.destination.prefix_len > 0 {
        message.attributes.push(RouteAttribute::Destination(route.destination.address.into()));
    }
    message.attributes.extend(route.gateway.map(|gateway| RouteAttribute::Gateway(gateway.into())));
    message.attributes.extend(route.source.map(|source| RouteAttribute::PrefSource(source.into())));
    if route.metric != 0 {
        message.attributes.push(RouteAttribute::Priority(route.metric));
    }
    message
}

fn rule(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = if rule.is_ipv6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
    message.header.action = RuleAction::ToTable;
    if let Some(source) = rule.source {
        message.header.src_len = source.prefix_len;
        message.attributes.push(RuleAttribute::Source(source.address));
    }
    message.attributes.push(RuleAttribute::Table(rule.table));
    message.attributes.push(RuleAttribute::Priority(rule.priority));
    message.attributes.push(RuleAttribute::Protocol(RouteProtocol::from(rule.protocol)));
    message
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet }
}
