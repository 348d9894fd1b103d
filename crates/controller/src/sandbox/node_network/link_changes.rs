//! Which links are to be removed, made or routed anew, as plain data. It is given the links before and after, by ID of the ENI.

use super::eni_link::EniLink;
use std::collections::BTreeMap;

/// A change of one link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkChange {
    /// The ENI is detached: its link goes.
    Unplug(EniLink),
    /// The ENI is attached: its link appears, down and bare.
    Plug(EniLink),
    /// The ENI has other addresses, or the source check is switched: only the router changes.
    Reroute {
        /// The link before.
        before: EniLink,
        /// The link after.
        after: EniLink,
    },
}

/// The changes in order: first the removals, because a new ENI may have the name of a link that goes.
pub fn link_changes(before: &BTreeMap<String, EniLink>, after: &BTreeMap<String, EniLink>) -> Vec<LinkChange> {
    let (mut removals, mut others) = (Vec::new(), Vec::new());
    for (id, old) in before {
        match after.get(id) {
            Some(new) if new == old => {}
            Some(new) if is_same_device(old, new) => {
                others.push(LinkChange::Reroute { before: old.clone(), after: new.clone() });
            }
            Some(new) => {
                removals.push(LinkChange::Unplug(old.clone()));
                others.push(LinkChange::Plug(new.clone()));
            }
            None => removals.push(LinkChange::Unplug(old.clone())),
        }
    }
    let new = after.iter().filter(|(id, _)| !before.contains_key(*id));
    others.extend(new.map(|(_, link)| LinkChange::Plug(link.clone())));
    removals.extend(others);
    removals
}

fn is_same_device(old: &EniLink, new: &EniLink) -> bool {
    let device = |link: &EniLink| (link.node.clone(), link.name.clone(), link.mac.clone(), link.router_name.clone());
    device(old) == device(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(node: &str, name: &str, address: &str) -> EniLink {
        EniLink {
            node: node.to_owned(),
            name: name.to_owned(),
            router_name: "v1".to_owned(),
            mac: "02:00:00:00:00:01".to_owned(),
            is_primary: false,
            addresses: vec![address.parse().unwrap()],
            prefixes: Vec::new(),
            subnet: None,
            has_source_check: true,
        }
    }

    fn links(of: &[(&str, EniLink)]) -> BTreeMap<String, EniLink> {
        of.iter().map(|(id, link)| ((*id).to_owned(), link.clone())).collect()
    }

    #[test]
    fn removals_come_first() {
        let (old, new) = (link("node1", "ens6", "10.0.1.4"), link("node1", "ens6", "10.0.1.5"));
        let changes = link_changes(&links(&[("eni-b", old.clone())]), &links(&[("eni-a", new.clone())]));
        assert_eq!(changes, [LinkChange::Unplug(old), LinkChange::Plug(new)]);
    }

    #[test]
    fn an_eni_that_moves_is_unplugged_and_one_with_other_addresses_is_not() {
        let old = link("node1", "ens6", "10.0.1.4");
        let (moved, renumbered) = (link("node2", "ens6", "10.0.1.4"), link("node1", "ens6", "10.0.1.9"));
        let before = links(&[("eni-a", old.clone())]);
        assert_eq!(link_changes(&before, &before), []);
        let changes = link_changes(&before, &links(&[("eni-a", moved.clone())]));
        assert_eq!(changes, [LinkChange::Unplug(old.clone()), LinkChange::Plug(moved)]);
        let changes = link_changes(&before, &links(&[("eni-a", renumbered.clone())]));
        assert_eq!(changes, [LinkChange::Reroute { before: old, after: renumbered }]);
    }
}
