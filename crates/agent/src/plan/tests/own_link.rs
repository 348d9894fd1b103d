//! Which link is the ENI's, which link is never touched, and a link that goes and comes.

use super::{blocked, foreign_rule, look, outcome, set_up, turn};
use crate::ledger::Ledger;
use crate::node::{Link, Route, Rule};
use crate::plan::model::{OURS, eni, foreign_default, mac, new_link, node};
use crate::plan::report::{Obstacle, Outcome};
use crate::wanted::WantedEni;

/// aws/amazon-vpc-cni-k8s#2684.
#[test]
fn a_vlan_or_macvlan_with_the_enis_mac_is_not_the_eni() {
    let mut node = node(&[1]);
    let child = Link {
        index: 9,
        name: "a-first".to_owned(),
        kind: Some("macvlan".to_owned()),
        parent_device: None,
        ..new_link(1)
    };
    node.links.insert(0, child);
    let planned = look(&node, &Ledger::default(), &[eni(1)]);
    assert_eq!(planned.reports[0].link.as_ref().unwrap().name, "ens6");
}

#[test]
fn a_link_that_has_another_mac_now_is_found_by_its_permanent_one() {
    let mut node = node(&[1]);
    node.links[2].mac = Some(mac(99));
    assert!(look(&node, &Ledger::default(), &[eni(1)]).reports[0].link.is_some());
}

#[test]
fn two_physical_links_with_one_mac_are_both_left_alone() {
    let mut node = node(&[1]);
    node.links.push(Link { index: 8, name: "ens9".to_owned(), ..new_link(1) });
    blocked(&node, &Ledger::default(), &[eni(1)], "several links");
}

/// rustyrazorblade/easy-db-lab#805: a DHCP client gave the second ENI a default route.
#[test]
fn a_link_with_the_default_route_is_never_touched() {
    let mut node = node(&[1]);
    node.routes.push(foreign_default(3));
    blocked(&node, &Ledger::default(), &[eni(1)], "default route");
    // Nor is the primary interface, if an ENIAttachment has its MAC address.
    let wanted = [WantedEni { mac: Some(mac(0)), ..eni(1) }];
    blocked(&node, &Ledger::default(), &wanted, "default route");
}

/// Another program may use the agent's protocol number.
#[test]
fn what_the_agent_cannot_have_written_stays_although_its_protocol_is_the_agents() {
    let mut node = node(&[1]);
    node.routes.push(Route { protocol: OURS, ..foreign_default(3) });
    blocked(&node, &Ledger::default(), &[eni(1)], "default route");
    let in_main = Route { destination: "10.8.0.0/16".parse().unwrap(), ..node.routes[1].clone() };
    node.routes[0].protocol = OURS;
    node.routes.push(in_main.clone());
    node.routes.push(Route { table: 7, ..in_main });
    node.rules.push(Rule { protocol: OURS, ..foreign_rule(2, 32_765) });
    node.rules.push(Rule { protocol: OURS, ..foreign_rule(10_001, 1536) });
    assert_eq!(look(&node, &Ledger::default(), &[]).steps, []);
}

#[test]
fn a_port_of_a_bond_is_never_touched() {
    let mut node = node(&[1]);
    node.links[2].controller = Some(7);
    blocked(&node, &Ledger::default(), &[eni(1)], "link 7");
}

/// amazonlinux/amazon-ec2-net-utils#166: the ENI came back under another name, and the old state was in the way.
#[test]
fn a_link_that_vanished_leaves_no_rule_and_is_set_up_again_under_another_name() {
    let wanted = [eni(1)];
    let (mut node, mut ledger) = set_up(&wanted);
    node.links.remove(2);
    node.addresses.retain(|address| address.link != 3);
    node.routes.retain(|route| route.link != 3);
    let planned = turn(&mut node, &mut ledger, &wanted);
    assert_eq!(outcome(&planned), &Outcome::Blocked(Obstacle::LinkAbsent));
    assert!(!node.rules.iter().any(|rule| rule.protocol == OURS));
    assert_eq!(look(&node, &ledger, &wanted).steps, []);
    node.links.push(Link { index: 12, name: "ens7".to_owned(), ..new_link(1) });
    turn(&mut node, &mut ledger, &wanted);
    assert_eq!(outcome(&look(&node, &ledger, &wanted)), &Outcome::Configured);
}

/// k8snetworkplumbingwg/multus-cni#1134, google/dranet#33: a pod has the link, and it comes back down and bare.
#[test]
fn a_link_in_a_pod_is_in_use_and_is_set_up_again_when_it_is_back() {
    let wanted = [eni(1)];
    let (mut node, mut ledger) = set_up(&wanted);
    let link = node.links.remove(2);
    node.addresses.retain(|address| address.link != 3);
    node.routes.retain(|route| route.link != 3);
    node.devices_without_link.push(link.parent_device.clone().unwrap());
    let planned = turn(&mut node, &mut ledger, &wanted);
    assert_eq!(outcome(&planned), &Outcome::InUse { device: "0000:00:06.0".to_owned() });
    node.devices_without_link.clear();
    node.links.push(Link { is_up: false, name: "net1-old".to_owned(), accept_ra: Some(1), ..link });
    turn(&mut node, &mut ledger, &wanted);
    assert_eq!(outcome(&look(&node, &ledger, &wanted)), &Outcome::Configured);
    // What the link was before the agent is still known.
    assert_eq!(ledger.entry(mac(1)).unwrap().mtu_before, 1500);
}
