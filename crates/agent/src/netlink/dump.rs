//! The whole state: links, addresses, routes and rules of the socket's network namespace.

use super::decode;
use super::socket::{NetlinkError, NetlinkSocket};
use crate::node::{Address, Link, Route, Rule};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkMessage};
use netlink_packet_route::route::RouteMessage;
use netlink_packet_route::rule::RuleMessage;

/// What a dump shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dump {
    /// All links.
    pub links: Vec<Link>,
    /// All addresses.
    pub addresses: Vec<Address>,
    /// Unicast routes, but for the table local.
    pub routes: Vec<Route>,
    /// All rules.
    pub rules: Vec<Rule>,
}

/// Reads everything.
///
/// # Errors
/// If the kernel refuses a dump.
pub fn everything(socket: &mut NetlinkSocket) -> Result<Dump, NetlinkError> {
    let mut links = LinkMessage::default();
    // Without statistics, which are most of a link's message.
    links.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    Ok(Dump {
        links: socket.dump(&RouteNetlinkMessage::GetLink(links), |message| match message {
            RouteNetlinkMessage::NewLink(message) => Some(decode::link(message)),
            _ => None,
        })?,
        addresses: socket.dump(
            &RouteNetlinkMessage::GetAddress(AddressMessage::default()),
            |message| match message {
                RouteNetlinkMessage::NewAddress(message) => decode::address(&message),
                _ => None,
            },
        )?,
        routes: socket.dump(&RouteNetlinkMessage::GetRoute(RouteMessage::default()), |message| match message {
            RouteNetlinkMessage::NewRoute(message) => decode::routes(&message),
            _ => Vec::new(),
        })?,
        rules: socket.dump(&RouteNetlinkMessage::GetRule(RuleMessage::default()), |message| match message {
            RouteNetlinkMessage::NewRule(message) => decode::rule(&message),
            _ => None,
        })?,
    })
}
