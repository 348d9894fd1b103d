//! Which link is an ENI's: by MAC address, and never by name. Links on top of the ENI's (VLAN, macvlan) have its MAC address, too,
//! so that only physical links count, and links of the kinds that `--link-kinds` adds.

use crate::node::{Link, Mac, Node};

/// The link of an ENI.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// There is none.
    Absent,
    /// There is one.
    One(&'a Link),
    /// There are several.
    Several(Vec<&'a Link>),
}

/// Finds the link with the MAC address.
pub(crate) fn find_link<'a>(node: &'a Node, mac: Mac, link_kinds: &[String]) -> Found<'a> {
    let has_mac = |link: &&Link| link.permanent_mac.or(link.mac) == Some(mac);
    let mut found: Vec<&Link> =
        node.links.iter().filter(|link| is_eligible(link, link_kinds)).filter(has_mac).collect();
    match (found.pop(), found.is_empty()) {
        (None, _) => Found::Absent,
        (Some(link), true) => Found::One(link),
        (Some(link), false) => {
            found.push(link);
            Found::Several(found)
        }
    }
}

fn is_eligible(link: &Link, link_kinds: &[String]) -> bool {
    match &link.kind {
        _ if link.is_loopback => false,
        Some(kind) => link_kinds.contains(kind),
        None => link.parent_device.is_some(),
    }
}
