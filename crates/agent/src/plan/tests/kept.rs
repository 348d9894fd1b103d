//! What stays on the node while an ENIAttachment or the ledger says too little.

use super::{blocked, outcome, set_up, turn};
use crate::ledger::Ledger;
use crate::node::Link;
use crate::plan::model::{OURS, eni, foreign_default, mac, new_link, node};
use crate::plan::report::{Obstacle, Outcome};
use crate::wanted::{WantedEni, WantedRoute};
use multi_eni_api::node_config::RouteTable;

#[test]
fn an_eniattachment_that_cannot_be_followed_keeps_what_is_there() {
    let (node, ledger) = set_up(&[eni(1)]);
    let wanted = [WantedEni { unusable: Some("the config is from the future".to_owned()), ..eni(1) }];
    blocked(&node, &ledger, &wanted, "future");
}

/// amazonlinux/amazon-ec2-net-utils#161: an empty answer took the addresses away.
#[test]
fn an_eniattachment_without_addresses_keeps_what_is_there() {
    let (node, ledger) = set_up(&[eni(1)]);
    blocked(&node, &ledger, &[WantedEni { addresses: Vec::new(), ..eni(1) }], "no address");
    blocked(&node, &ledger, &[WantedEni { subnet: None, ..eni(1) }], "no IPv4 CIDR");
    blocked(&node, &ledger, &[WantedEni { subnet: Some("10.7.0.0/24".parse().unwrap()), ..eni(1) }], "gateway");
}

/// A restored backup, or somebody who edits the status, takes the MAC address away.
#[test]
fn an_eniattachment_that_loses_its_mac_keeps_what_is_there() {
    let routes = vec![WantedRoute { to: "10.9.0.0/16".parse().unwrap(), table: RouteTable::Main }];
    let wanted = [WantedEni { routes, ..eni(1) }];
    let (mut node, mut ledger) = set_up(&wanted);
    let lost = WantedEni { mac: None, addresses: Vec::new(), ..wanted[0].clone() };
    blocked(&node, &ledger, std::slice::from_ref(&lost), "no MAC");
    blocked(&node, &ledger, &[WantedEni { unusable: Some("the status is torn".to_owned()), ..lost.clone() }], "torn");
    // Another ENIAttachment of the same slot does not keep the link.
    turn(&mut node, &mut ledger, &[WantedEni { uid: "other".to_owned(), ..lost }]);
    assert_eq!(ledger, Ledger::default());
}

#[test]
fn an_eni_without_a_mac_waits() {
    let wanted = [WantedEni { mac: None, ..eni(1) }];
    blocked(&node(&[1]), &Ledger::default(), &wanted, "no MAC");
}

#[test]
fn an_entry_of_the_ledger_stays_until_its_link_is_given_back() {
    let (mut node, mut ledger) = set_up(&[eni(1)]);
    node.links.push(Link { index: 8, name: "ens9".to_owned(), ..new_link(1) });
    turn(&mut node, &mut ledger, &[]);
    assert!(ledger.entry(mac(1)).is_some());
    node.links.pop();
    turn(&mut node, &mut ledger, &[]);
    assert_eq!((node, ledger), (crate::plan::model::node(&[1]), Ledger::default()));
}

#[test]
fn one_eni_with_an_obstacle_does_not_stop_the_other() {
    let mut node = node(&[1, 2]);
    node.routes.push(foreign_default(3));
    let planned = turn(&mut node, &mut Ledger::default(), &[eni(1), eni(2)]);
    assert!(matches!(outcome(&planned), Outcome::Blocked(Obstacle::HasDefaultRoute(_))));
    assert!(node.links[3].is_up);
    assert!(!node.links[2].is_up);
}

#[test]
fn a_lost_ledger_leaves_no_address_route_or_rule() {
    let (mut node, _) = set_up(&[eni(1)]);
    turn(&mut node, &mut Ledger::default(), &[]);
    assert!(!node.addresses.iter().any(|address| address.protocol == OURS));
    assert!(!node.routes.iter().any(|route| route.protocol == OURS));
    assert!(!node.rules.iter().any(|rule| rule.protocol == OURS));
}

/// Kernels before 5.18 do not keep the protocol of an address.
#[test]
fn on_an_old_kernel_the_ledger_says_which_addresses_are_ours() {
    let (mut node, mut ledger) = set_up(&[eni(1)]);
    node.addresses.iter_mut().for_each(|address| address.protocol = 0);
    turn(&mut node, &mut ledger, &[]);
    assert!(!node.addresses.iter().any(|address| address.link == 3));
    assert!(node.addresses.iter().any(|address| address.link == 2));
}
