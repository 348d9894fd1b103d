//! Why the agent leaves an ENI as it is, for its link: the node's default route, names and bounds.

use super::report::Obstacle;
use crate::node::{Link, Node, Route, TABLE_MAIN};
use crate::wanted::WantedEni;
use multi_eni_api::node_config::NodeMode;

/// The obstacle that the link itself is, in every mode.
pub(crate) fn of_link(node: &Node, link: &Link) -> Option<Obstacle> {
    // Whatever its protocol: the agent adds no default route to the table main.
    let is_default = |route: &&Route| route.link == link.index && route.table == TABLE_MAIN && route.is_default();
    if let Some(route) = node.routes.iter().find(is_default) {
        return Some(Obstacle::HasDefaultRoute(route.clone()));
    }
    link.controller.map(|controller| Obstacle::IsPort { controller })
}

/// The obstacle that the wanted MTU is.
pub(super) fn of_mtu(wanted: &WantedEni, link: &Link) -> Option<Obstacle> {
    let mtu = wanted.mtu?;
    let is_fine = link.min_mtu.is_none_or(|min| min <= mtu) && link.max_mtu.is_none_or(|max| mtu <= max);
    (!is_fine).then_some(Obstacle::MtuOutOfBounds { mtu, min: link.min_mtu, max: link.max_mtu })
}

/// The obstacle that the wanted name is: another link has it, or another ENI wants it and this link does not have it yet.
pub(super) fn of_name(node: &Node, link: &Link, wanted: &WantedEni, all: &[WantedEni]) -> Option<Obstacle> {
    let name = wanted.interface_name.as_ref()?;
    let taken = |by: String| Some(Obstacle::NameTaken { name: name.clone(), by });
    if &link.name == name || link.alt_names.contains(name) {
        return None;
    }
    let others = node.links.iter().filter(|other| other.index != link.index);
    if let Some(other) = others.into_iter().find(|other| &other.name == name || other.alt_names.contains(name)) {
        return taken(format!("link {}", other.name));
    }
    let claims = |other: &&WantedEni| other.mode != NodeMode::None && other.interface_name.as_ref() == Some(name);
    let same = all.iter().filter(|other| other.name != wanted.name).find(claims);
    same.and_then(|other| taken(format!("the ENIAttachment {}, too", other.name)))
}
