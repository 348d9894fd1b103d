//! Rules and routes, by example: the node's own network, other programs and their names, protocol numbers of before, one family alone.

use super::author::Author;
use super::model::{OURS, eni, foreign_default, make_as, node, settings};
use super::own_protocols::with_current_protocol;
use super::report::{Obstacle, Outcome};
use super::{Plan, Settings, plan};
use crate::ledger::Ledger;
use crate::node::{Address, Node, Route, Rule, TABLE_MAIN};
use crate::status::agent_status;
use crate::wanted::{WantedEni, WantedRoute};
use multi_eni_api::node_config::{NodeMode, RouteTable};

fn with_protocol(protocol: u8) -> Settings {
    Settings { protocol, ..settings() }
}

/// Plans and makes the steps.
fn turn_as(protocol: u8, node: &mut Node, ledger: &mut Ledger, wanted: &[WantedEni]) -> Plan {
    let planned = plan(node, ledger, wanted, &with_protocol(protocol));
    make_as(protocol, node, ledger, &planned.steps);
    planned
}

fn look(node: &Node, ledger: &Ledger, wanted: &[WantedEni]) -> Plan {
    plan(node, ledger, wanted, &settings())
}

fn obstacle(planned: &Plan) -> &Obstacle {
    let Outcome::Blocked(obstacle) = &planned.reports[0].outcome else { panic!("{:?}", planned.reports) };
    obstacle
}

/// What `status.node.managedBy` and the reason say.
fn said(planned: &Plan) -> (String, String) {
    let status = agent_status(&planned.reports[0], &[], "boot");
    (status.node.managed_by.unwrap_or_default(), status.configured.reason)
}

/// The ENI with a route of the table main.
fn with_route(to: &str) -> [WantedEni; 1] {
    let routes = vec![WantedRoute { to: to.parse().unwrap(), table: RouteTable::Main }];
    [WantedEni { routes, ..eni(1) }]
}

/// The node with the networks that the kernel has made for the addresses of its primary interface.
fn node_with_networks() -> Node {
    let mut node = node(&[1]);
    node.addresses.push(Address { link: 2, cidr: "2001:db8:7::4/64".parse().unwrap(), protocol: 2, is_global: true });
    for network in ["10.0.0.0/24", "2001:db8:7::/64"] {
        let destination = network.parse().unwrap();
        node.routes.push(Route { destination, gateway: None, protocol: 2, metric: 0, ..foreign_default(2) });
    }
    node
}

#[test]
fn a_route_of_the_table_main_must_not_cover_the_node() {
    for (to, words) in [
        ("10.0.0.0/8", "the address 10.0.0.4/24 of ens5"),
        ("10.0.0.0/24", "the address 10.0.0.4/24 of ens5"),
        ("10.0.0.4/32", "the address 10.0.0.4/24 of ens5"),
        ("10.0.0.1/32", "the node's gateway 10.0.0.1"),
        ("2001:db8::/32", "the address 2001:db8:7::4/64 of ens5"),
    ] {
        let planned = look(&node_with_networks(), &Ledger::default(), &with_route(to));
        assert_eq!(planned.steps, [], "{to}");
        let obstacle = obstacle(&planned);
        assert_eq!(obstacle.reason(), "RouteCoversNode");
        assert!(obstacle.to_string().contains(words), "{to}: {obstacle}");
    }
    // The kernel's route stays for a moment when a DHCP client changes the address.
    let mut bare = node_with_networks();
    bare.addresses.clear();
    let planned = look(&bare, &Ledger::default(), &with_route("2001:db8::/32"));
    assert!(obstacle(&planned).to_string().contains("the network 2001:db8:7::/64 of ens5"));
}

#[test]
fn a_route_beside_the_nodes_own_network_and_one_of_the_enis_own_table_are_fine() {
    for to in ["10.9.0.0/16", "10.0.0.128/25", "10.0.1.0/24", "2001:db8:9::/48"] {
        let planned = look(&node_with_networks(), &Ledger::default(), &with_route(to));
        assert!(matches!(planned.reports[0].outcome, Outcome::Changing { .. }), "{to}: {:?}", planned.reports);
    }
    let mut own = with_route("10.0.0.0/8");
    own[0].routes[0].table = RouteTable::Own;
    let planned = look(&node_with_networks(), &Ledger::default(), &own);
    assert!(matches!(planned.reports[0].outcome, Outcome::Changing { .. }), "{:?}", planned.reports);
    // The network of a link without the default route is not the node's way out.
    let mut other = node_with_networks();
    other.addresses.push(Address { link: 9, cidr: "10.9.0.7/24".parse().unwrap(), protocol: 0, is_global: true });
    let planned = look(&other, &Ledger::default(), &with_route("10.9.0.0/16"));
    assert!(matches!(planned.reports[0].outcome, Outcome::Changing { .. }), "{:?}", planned.reports);
}

/// The default route was not there when the route was set, or the node has got another address since.
#[test]
fn a_route_that_covers_the_node_by_now_goes_and_everything_else_stays() {
    let wanted = with_route("10.9.0.0/16");
    let (mut node, mut ledger) = (node_with_networks(), Ledger::default());
    turn_as(OURS, &mut node, &mut ledger, &wanted);
    let before = node.clone();
    node.addresses.push(Address { link: 2, cidr: "10.9.0.4/24".parse().unwrap(), protocol: 0, is_global: true });
    let planned = turn_as(OURS, &mut node, &mut ledger, &wanted);
    assert_eq!(obstacle(&planned).reason(), "RouteCoversNode");
    let steps: Vec<String> = planned.steps.iter().map(|planned| planned.step.to_string()).collect();
    assert!(
        matches!(steps.as_slice(), [step] if step.starts_with("remove route 10.9.0.0/16 of table 254")),
        "{steps:?}"
    );
    assert_eq!((node.rules.len(), &node.links), (before.rules.len(), &before.links));
    assert_eq!(look(&node, &ledger, &wanted).steps, []);
    node.addresses.pop();
    turn_as(OURS, &mut node, &mut ledger, &wanted);
    assert_eq!(look(&node, &ledger, &wanted).reports[0].outcome, Outcome::Configured);
}

fn rule(table: u32, priority: u32, protocol: u8) -> Rule {
    let source = Some("10.0.1.11/32".parse().unwrap());
    Rule { source, is_ipv6: false, table, priority, protocol, is_plain: true }
}

#[test]
fn the_program_whose_rule_is_in_the_way_is_named() {
    let (cni, none) = ("amazon-vpc-cni-k8s", "another program (protocol 0)");
    for (rule, name) in [
        // The VPC CNI's table of device index 1 on card 0 is 2.
        (rule(2, 1536, 0), cni),
        (rule(2, 32_765, 0), cni),
        (rule(7, 1536, 0), none),
        (rule(2, 700, 0), none),
        (rule(2, 1536, 3), "another program (protocol 3)"),
        (rule(10_002, 32_765, 218), "multi-eni-agent with the protocol 218"),
        // DHCP clients and networkd have numbers that no agent has.
        (rule(10_002, 32_765, 16), "another program (protocol 16)"),
        (rule(10_002, 700, 218), "another program (protocol 218)"),
    ] {
        let mut node = node(&[1]);
        node.rules.push(rule.clone());
        let planned = look(&node, &Ledger::default(), &[eni(1)]);
        assert_eq!(planned.steps, []);
        assert_eq!(said(&planned), (name.to_owned(), "ForeignRule".to_owned()), "{rule:?}");
        let is_named = obstacle(&planned).to_string().ends_with(&format!("by its form it is of {name}"));
        assert_eq!(is_named, !name.starts_with("another"), "{}", obstacle(&planned));
    }
    let mut node = node(&[1]);
    node.routes.push(Route { table: 10_001, protocol: 218, ..foreign_default(2) });
    let planned = look(&node, &Ledger::default(), &[eni(1)]);
    assert_eq!(said(&planned), ("multi-eni-agent with the protocol 218".to_owned(), "ForeignRoute".to_owned()));
}

/// On a card other than 0 the VPC CNI's numbers are the agent's.
#[test]
fn rules_and_routes_of_another_program_that_do_the_same_work_are_not_said_to_be_the_agents() {
    let wanted = [WantedEni { card: 1, ..eni(1) }];
    let (mut set_up, mut ledger) = (node(&[1]), Ledger::default());
    turn_as(OURS, &mut set_up, &mut ledger, &wanted);
    let multi_eni = ("multi-eni".to_owned(), "Configured".to_owned());
    assert_eq!(said(&look(&set_up, &ledger, &wanted)), multi_eni);
    let with = |of_rules: u8, of_routes: u8| {
        let mut node = set_up.clone();
        let rules = node.rules.iter_mut().filter(|rule| rule.protocol == OURS);
        rules.for_each(|rule| rule.protocol = of_rules);
        let routes = node.routes.iter_mut().filter(|route| route.protocol == OURS);
        routes.for_each(|route| route.protocol = of_routes);
        let planned = look(&node, &ledger, &wanted);
        assert_eq!(planned.steps, []);
        said(&planned)
    };
    let by_other = |name: &str| (name.to_owned(), "ConfiguredByOther".to_owned());
    assert_eq!(with(0, 3), by_other("amazon-vpc-cni-k8s"));
    assert_eq!(with(4, 16), by_other("another program (protocol 4), another program (protocol 16)"));
    assert_eq!(with(218, 218), by_other("multi-eni-agent with the protocol 218"));
    assert_eq!(with(0, OURS), ("multi-eni, amazon-vpc-cni-k8s".to_owned(), "Configured".to_owned()));
    // Without a rule of the VPC CNI, a route that names no program is anybody's.
    assert_eq!(with(OURS, 3).0, "multi-eni, another program (protocol 3)");
    // The agent's own stands for the wanted one, also beside another program's.
    let mut both = set_up.clone();
    both.rules.extend(
        set_up.rules.iter().filter(|rule| rule.protocol == OURS).map(|rule| Rule { protocol: 0, ..rule.clone() }),
    );
    assert_eq!(said(&look(&both, &ledger, &wanted)), multi_eni);
}

#[test]
fn after_a_change_of_the_protocol_number_everything_stays_and_is_the_agents() {
    let wanted = with_route("10.9.0.0/16");
    let (mut node, mut ledger) = (node_with_networks(), Ledger::default());
    turn_as(OURS, &mut node, &mut ledger, &wanted);
    let (before, entry) = (node.clone(), ledger.links.clone());
    let planned = turn_as(100, &mut node, &mut ledger, &wanted);
    assert!(planned.steps.iter().all(|planned| planned.step.is_bookkeeping()), "{:?}", planned.steps);
    assert_eq!((&node, &ledger.links), (&before, &entry));
    let planned = plan(&node, &ledger, &wanted, &with_protocol(100));
    assert_eq!((planned.steps.as_slice(), said(&planned).0.as_str()), ([].as_slice(), "multi-eni"));
    // What is new has the new number. What nobody asks for goes, whatever its number.
    let mut changed = wanted.clone();
    changed[0].prefixes = vec!["10.0.1.224/28".parse().unwrap()];
    turn_as(100, &mut node, &mut ledger, &changed);
    let of_prefix = |node: &Node, prefix: &str| {
        let is_of = |rule: &&Rule| rule.source == prefix.parse().ok();
        node.rules.iter().find(is_of).map(|rule| rule.protocol)
    };
    assert_eq!((of_prefix(&node, "10.0.1.224/28"), of_prefix(&node, "10.0.1.208/28")), (Some(100), None));
    turn_as(100, &mut node, &mut ledger, &[]);
    assert_eq!((node, ledger), (node_with_networks(), Ledger::default()));
}

/// A device is bound for DPDK although its link has things of the agent with a number of before.
#[test]
fn what_has_a_number_of_before_looks_like_what_has_the_one_of_now() {
    let (mut node, mut ledger) = (node_with_networks(), Ledger::default());
    turn_as(218, &mut node, &mut ledger, &[eni(1)]);
    node.routes.push(Route { protocol: 219, ..foreign_default(9) });
    let seen = with_current_protocol(&node, &settings(), &ledger);
    let protocols = |node: &Node| {
        let routes = node.routes.iter().map(|route| route.protocol);
        let others = node.rules.iter().map(|rule| rule.protocol).chain(node.addresses.iter().map(|a| a.protocol));
        routes.chain(others).collect::<Vec<u8>>()
    };
    let expected: Vec<u8> = protocols(&node).into_iter().map(|p| if p == 218 { OURS } else { p }).collect();
    assert!(expected.contains(&OURS) && expected.contains(&219));
    assert_eq!(protocols(&seen), expected);
    assert_eq!(protocols(&with_current_protocol(&node, &settings(), &Ledger::default())), protocols(&node));
}

/// The new number is in the ledger before the first thing has it, although the ledger knows the link.
#[test]
fn a_new_protocol_number_is_recorded_before_it_is_used() {
    let (mut node, mut ledger) = (node(&[1]), Ledger::default());
    turn_as(OURS, &mut node, &mut ledger, &[eni(1)]);
    assert_eq!(ledger.protocols.iter().copied().collect::<Vec<_>>(), [OURS]);
    let mut wanted = [eni(1)];
    wanted[0].prefixes.push("10.0.1.224/28".parse().unwrap());
    let steps = plan(&node, &ledger, &wanted, &with_protocol(218)).steps;
    let words: Vec<String> = steps.iter().map(|planned| planned.step.to_string()).collect();
    assert!(words[0].starts_with("record link") && words[1].starts_with("add rule"), "{words:?}");
    make_as(218, &mut node, &mut ledger, &steps);
    assert_eq!(ledger.protocols.iter().copied().collect::<Vec<_>>(), [OURS, 218]);
}

#[test]
fn without_the_ledger_what_has_another_number_stays_and_is_named() {
    let (mut node, _) = {
        let (mut node, mut ledger) = (node(&[1]), Ledger::default());
        turn_as(218, &mut node, &mut ledger, &[eni(1)]);
        (node, ledger)
    };
    let rules = node.rules.len();
    let planned = turn_as(OURS, &mut node, &mut Ledger::default(), &[eni(1)]);
    assert_eq!(node.rules.len(), rules, "{:?}", planned.steps);
    assert_eq!(
        planned.reports[0].link.as_ref().unwrap().routed_by.others,
        [Author::OtherAgent { protocol: 218 }].into()
    );
    turn_as(OURS, &mut node, &mut Ledger::default(), &[]);
    assert_eq!(node.rules.len(), rules);
    // `clean` with the number of before takes it back.
    turn_as(218, &mut node, &mut Ledger::default(), &[]);
    assert!(!node.rules.iter().any(|rule| rule.protocol == 218));
}

#[test]
fn an_eni_with_ipv6_alone_needs_no_ipv4_network_of_its_subnet() {
    let only =
        WantedEni { addresses: vec!["2001:db8::1".parse().unwrap()], prefixes: Vec::new(), subnet: None, ..eni(1) };
    let routes = vec![WantedRoute { to: "2001:db8:9::/48".parse().unwrap(), table: RouteTable::Main }];
    let wanted = [WantedEni { routes, ..only }];
    let (mut node, mut ledger) = (node(&[1]), Ledger::default());
    turn_as(OURS, &mut node, &mut ledger, &wanted);
    let of_link = node.addresses.iter().filter(|address| address.link == 3);
    assert_eq!(of_link.map(|address| address.cidr.to_string()).collect::<Vec<_>>(), ["2001:db8::1/128"]);
    let ours = node.routes.iter().filter(|route| route.protocol == OURS);
    let ours: Vec<_> = ours.map(|route| (route.table, route.destination.to_string(), route.source)).collect();
    let source = wanted[0].addresses.first().copied();
    assert_eq!(ours, [(10_001, "::/0".to_owned(), None), (TABLE_MAIN, "2001:db8:9::/48".to_owned(), source)]);
    let rules: Vec<_> = node.rules.iter().filter(|rule| rule.protocol == OURS).collect();
    assert!(matches!(rules.as_slice(), [rule] if rule.is_ipv6 && rule.table == 10_001), "{rules:?}");
    assert_eq!(look(&node, &ledger, &wanted).reports[0].outcome, Outcome::Configured);
    let link = [WantedEni { mode: NodeMode::Link, routes: Vec::new(), ..wanted[0].clone() }];
    turn_as(OURS, &mut node, &mut ledger, &link);
    assert!(!node.rules.iter().any(|rule| rule.protocol == OURS));
}
