//! Properties of the plan on random nodes: the plan of the result is empty after two turns, nothing foreign is touched, and without ENIAttachments
//! everything is as before.

use super::model::{OURS, eni, foreign_default, make, node, settings};
use super::plan;
use super::report::Outcome;
use crate::ledger::Ledger;
use crate::node::{Address, Link, Manager, Node, Route, Rule};
use crate::wanted::{WantedEni, WantedRoute};
use multi_eni_api::node_config::{NodeMode, RouteTable};
use proptest::prelude::*;

/// One of the three ENIs of the tests, with its settings drawn.
fn wanted(number: u8) -> impl Strategy<Value = WantedEni> {
    let mode =
        prop_oneof![Just(NodeMode::None), Just(NodeMode::Link), Just(NodeMode::Addresses), Just(NodeMode::Addresses)];
    let mtu = prop_oneof![Just(None), Just(Some(1400)), Just(Some(9001)), Just(Some(9999))];
    let name = prop_oneof![Just(None), Just(Some("storage".to_owned())), Just(Some(format!("net{number}")))];
    let route = (prop_oneof![Just("10.9.0.0/16"), Just("2001:db8:9::/48")], any::<bool>()).prop_map(|(to, main)| {
        WantedRoute { to: to.parse().unwrap(), table: if main { RouteTable::Main } else { RouteTable::Own } }
    });
    let unusable = prop_oneof![9 => Just(None), 1 => Just(Some("why".to_owned()))];
    (mode, mtu, name, proptest::option::of(route), 0..4_usize, unusable, any::<bool>()).prop_map(
        move |(mode, mtu, interface_name, route, addresses, unusable, has_subnet)| {
            let mut wanted = WantedEni { mode, mtu, interface_name, unusable, ..eni(number) };
            wanted.routes = route.into_iter().filter(|_| mode == NodeMode::Addresses).collect();
            wanted.addresses.truncate(addresses);
            wanted.subnet = wanted.subnet.filter(|_| has_subnet || number == 1);
            wanted
        },
    )
}

fn some_wanted() -> impl Strategy<Value = Vec<WantedEni>> {
    (proptest::option::of(wanted(1)), proptest::option::of(wanted(2)), proptest::option::of(wanted(3)))
        .prop_map(|(a, b, c)| [a, b, c].into_iter().flatten().collect())
}

/// Things of others.
fn foreign() -> impl Strategy<Value = Node> {
    let route = (3..6_u32, prop_oneof![Just(254_u32), Just(10_001), Just(7)], any::<bool>()).prop_map(
        |(link, table, default)| {
            let destination = if default { "0.0.0.0/0" } else { "10.77.0.0/16" }.parse().unwrap();
            Route { table, destination, ..foreign_default(link) }
        },
    );
    let rule =
        (1..4_u8, any::<bool>(), prop_oneof![Just(2_u32), Just(10_001)], prop_oneof![Just(1536_u32), Just(32_800)])
            .prop_map(|(number, is_plain, table, priority)| Rule {
                source: Some(format!("10.0.1.{}/32", 10 + number).parse().unwrap()),
                is_ipv6: false,
                table,
                priority,
                protocol: 0,
                is_plain,
            });
    let cidr = prop_oneof![Just("192.168.7.1/24"), Just("10.0.1.11/24")];
    let address = (3..6_u32, cidr).prop_map(|(link, cidr)| Address {
        link,
        cidr: cidr.parse().unwrap(),
        protocol: 0,
        is_global: true,
    });
    use proptest::option::weighted;
    (weighted(0.3, route), weighted(0.3, rule), weighted(0.3, address)).prop_map(|(route, rule, address)| Node {
        routes: route.into_iter().collect(),
        rules: rule.into_iter().collect(),
        addresses: address.into_iter().collect(),
        ..Node::default()
    })
}

/// A node with the three links, things of others, and perhaps a manager, a port or a link that is up already.
fn some_node() -> impl Strategy<Value = Node> {
    (foreign(), prop::collection::vec(0..8_u8, 3)).prop_map(|(others, states)| {
        let mut node = node(&[1, 2, 3]);
        node.routes.extend(others.routes);
        node.rules.extend(others.rules);
        node.addresses.extend(others.addresses);
        for (link, state) in node.links.iter_mut().skip(2).zip(states) {
            match state {
                0 => link.managed_by = Some(Manager::NetworkManager),
                1 => link.controller = Some(9),
                2 => link.is_up = true,
                _ => {}
            }
        }
        node
    })
}

/// What the agent must not change.
fn others(node: &Node) -> Node {
    let mut node = node.clone();
    node.addresses.retain(|address| address.protocol != OURS);
    node.routes.retain(|route| route.protocol != OURS);
    node.rules.retain(|rule| rule.protocol != OURS);
    node.links.truncate(2);
    node
}

fn turn(node: &mut Node, ledger: &mut Ledger, wanted: &[WantedEni]) {
    let planned = plan(node, ledger, wanted, &settings());
    make(node, ledger, &planned.steps);
}

proptest! {
    #[test]
    fn the_plan_of_the_result_is_empty(mut node in some_node(), first in some_wanted(), second in some_wanted()) {
        let mut ledger = Ledger::default();
        for wanted in [first, second] {
            turn(&mut node, &mut ledger, &wanted);
            // A name that goes from one ENI to another is free only after the first turn.
            turn(&mut node, &mut ledger, &wanted);
            let again = plan(&node, &ledger, &wanted, &settings());
            prop_assert_eq!(&again.steps, &[]);
            let is_settled = |outcome: &Outcome| !matches!(outcome, Outcome::Changing { .. });
            prop_assert!(again.reports.iter().all(|report| is_settled(&report.outcome)));
        }
    }

    #[test]
    fn nothing_of_others_is_touched(mut node in some_node(), first in some_wanted(), second in some_wanted()) {
        let before = others(&node);
        let mut ledger = Ledger::default();
        for wanted in [&first, &second, &Vec::new()] {
            turn(&mut node, &mut ledger, wanted);
            prop_assert_eq!(&others(&node), &before);
        }
    }

    #[test]
    fn without_eniattachments_everything_is_as_before(node in some_node(), first in some_wanted(), second in some_wanted()) {
        let (mut now, mut ledger) = (node.clone(), Ledger::default());
        for wanted in [&first, &second, &Vec::new()] {
            turn(&mut now, &mut ledger, wanted);
        }
        prop_assert_eq!(&ledger, &Ledger::default());
        // A link that others use stays up.
        let is_used = |link: u32| node.addresses.iter().any(|a| a.link == link) || node.routes.iter().any(|r| r.link == link);
        for (before, after) in node.links.iter().zip(&now.links) {
            let is_up = after.is_up && is_used(after.index) || before.is_up;
            prop_assert_eq!(&Link { is_up, ..before.clone() }, after);
        }
    }

    #[test]
    fn a_link_that_no_eniattachment_names_is_never_changed(node in some_node(), wanted in some_wanted()) {
        let (mut now, mut ledger) = (node.clone(), Ledger::default());
        turn(&mut now, &mut ledger, &wanted);
        for (before, after) in node.links.iter().zip(&now.links) {
            if !wanted.iter().any(|eni| eni.mac == before.permanent_mac) {
                prop_assert_eq!(before, after);
            }
        }
    }
}
