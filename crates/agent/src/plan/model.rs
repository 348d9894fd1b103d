//! A node for the tests, and what steps do to it: the part of the kernel that the plan relies on.

use super::settings::Settings;
use super::step::{PlannedStep, Step};
use crate::ledger::Ledger;
use crate::netlink::Change;
use crate::node::{Address, Cidr, Link, Mac, Node, Route, Rule, TABLE_MAIN};
use crate::wanted::WantedEni;
use multi_eni_api::node_config::NodeMode;

pub(crate) const OURS: u8 = 217;

pub(crate) fn settings() -> Settings {
    Settings { protocol: OURS, link_kinds: Vec::new() }
}

pub(crate) fn mac(number: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, number])
}

/// The link of the ENI with this number, as it is after Attach: down and bare.
pub(crate) fn new_link(number: u8) -> Link {
    Link {
        index: u32::from(number) + 2,
        name: format!("ens{}", number + 5),
        mac: Some(mac(number)),
        permanent_mac: Some(mac(number)),
        parent_device: Some(format!("0000:00:{:02x}.0", number + 5)),
        mtu: 1500,
        min_mtu: Some(128),
        max_mtu: Some(9216),
        accept_ra: Some(1),
        ..Link::default()
    }
}

/// A node with the loopback, a primary interface that has the default route, and the links of these ENIs.
pub(crate) fn node(enis: &[u8]) -> Node {
    let primary = Link { index: 2, name: "ens5".to_owned(), is_up: true, mtu: 9001, ..new_link(0) };
    let loopback =
        Link { index: 1, name: "lo".to_owned(), is_loopback: true, is_up: true, mtu: 65536, ..Link::default() };
    let mut node = Node { links: vec![loopback, primary], ..Node::default() };
    node.links.extend(enis.iter().map(|number| new_link(*number)));
    node.addresses.push(Address { link: 2, cidr: "10.0.0.4/24".parse().unwrap(), protocol: 0, is_global: true });
    node.routes.push(foreign_default(2));
    for (priority, table) in [(0, 255), (32_766, 254), (32_767, 253)] {
        node.rules.push(Rule { source: None, is_ipv6: false, table, priority, protocol: 2, is_plain: true });
    }
    node
}

pub(crate) fn foreign_default(link: u32) -> Route {
    Route {
        table: TABLE_MAIN,
        destination: Cidr::everything(false),
        gateway: Some("10.0.0.1".parse().unwrap()),
        link,
        source: None,
        protocol: 16,
        metric: 512,
    }
}

/// The ENI with this number, in the mode `addresses`, with both families.
pub(crate) fn eni(number: u8) -> WantedEni {
    WantedEni {
        name: format!("eni-{number}"),
        uid: format!("uid-{number}"),
        generation: Some(1),
        card: 0,
        index: u32::from(number),
        eni_id: Some(format!("eni-0000000{number}")),
        mac: Some(mac(number)),
        is_attached: true,
        mode: NodeMode::Addresses,
        interface_name: Some(format!("net{number}")),
        routes: Vec::new(),
        mtu: Some(9001),
        addresses: vec![
            format!("10.0.1.{}", 10 + number).parse().unwrap(),
            format!("10.0.1.{}", 100 + number).parse().unwrap(),
            format!("2001:db8::{number}").parse().unwrap(),
        ],
        prefixes: vec!["10.0.1.208/28".parse().unwrap()].into_iter().filter(|_| number == 1).collect(),
        subnet: Some("10.0.1.0/24".parse().unwrap()),
        dpdk: None,
        resource_name: None,
        unusable: None,
    }
}

/// Makes the steps, as the kernel and the ledger do.
pub(crate) fn make(node: &mut Node, ledger: &mut Ledger, steps: &[PlannedStep]) {
    make_as(OURS, node, ledger, steps);
}

/// Makes the steps of an agent with this protocol number.
pub(crate) fn make_as(protocol: u8, node: &mut Node, ledger: &mut Ledger, steps: &[PlannedStep]) {
    for planned in steps {
        match &planned.step {
            Step::Remember(entry) => {
                ledger.remember(entry.clone());
                ledger.remember_protocol(protocol);
            }
            Step::Forget(mac) => ledger.forget(*mac),
            Step::SetAcceptRa { name, value } => {
                node.links.iter_mut().filter(|link| &link.name == name).for_each(|link| link.accept_ra = Some(*value));
            }
            Step::Kernel(change) => kernel(node, change),
        }
    }
}

fn kernel(node: &mut Node, change: &Change) {
    match change.clone() {
        Change::SetUp { link, up } => {
            with_link(node, link, |link| link.is_up = up);
            if !up {
                node.routes.retain(|route| route.link != link);
                node.addresses.retain(|address| address.link != link || address.cidr.address.is_ipv4());
            }
        }
        Change::SetMtu { link, mtu } => with_link(node, link, |link| link.mtu = mtu),
        Change::AddAltName { link, name } => {
            let is_taken = node.links.iter().any(|link| link.name == name || link.alt_names.contains(&name));
            assert!(!is_taken, "the kernel refuses the name {name}: EEXIST");
            with_link(node, link, |link| link.alt_names.push(name));
        }
        Change::RemoveAltName { link, name } => with_link(node, link, |link| link.alt_names.retain(|old| *old != name)),
        Change::AddAddress { link, cidr, protocol } => {
            node.addresses.push(Address { link, cidr, protocol, is_global: true });
        }
        Change::RemoveAddress { link, cidr } => {
            node.addresses.retain(|address| (address.link, address.cidr) != (link, cidr));
            node.routes.retain(|route| route.source != Some(cidr.address));
        }
        Change::AddRoute(route) => {
            let is_up = node.links.iter().any(|link| link.index == route.link && link.is_up);
            assert!(is_up, "the kernel refuses a route on a link that is down: {route:?}");
            let key = |route: &Route| (route.table, route.destination, route.metric);
            assert!(!node.routes.iter().any(|other| key(other) == key(&route)), "EEXIST: {route:?}");
            node.routes.push(route);
        }
        Change::RemoveRoute(route) => node.routes.retain(|other| *other != route),
        Change::AddRule(rule) => node.rules.push(rule),
        Change::RemoveRule(rule) => node.rules.retain(|other| *other != rule),
    }
}

fn with_link(node: &mut Node, index: u32, change: impl FnOnce(&mut Link)) {
    change(node.links.iter_mut().find(|link| link.index == index).expect("the step names a link of the node"));
}
