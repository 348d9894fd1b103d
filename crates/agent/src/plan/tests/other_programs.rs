//! Other programs on the node: what they undo, what they hold, and what they did already.

use super::{blocked, foreign_rule, look, outcome, set_up, turn};
use crate::ledger::Ledger;
use crate::node::{Address, Link, Manager, Node, Route, Rule, TABLE_MAIN};
use crate::plan::model::{OURS, eni, foreign_default, new_link, node};
use crate::plan::report::Outcome;
use crate::wanted::{WantedEni, WantedRoute};
use multi_eni_api::node_config::{NodeMode, RouteTable};

/// aws/amazon-vpc-cni-k8s#3309: a restart of networkd took links down and rules away.
#[test]
fn what_somebody_removed_is_restored() {
    let wanted = [eni(1)];
    let (mut node, mut ledger) = set_up(&wanted);
    node.links[2].is_up = false;
    node.routes.retain(|route| route.link != 3);
    node.rules.retain(|rule| rule.protocol != OURS);
    turn(&mut node, &mut ledger, &wanted);
    assert_eq!(outcome(&look(&node, &ledger, &wanted)), &Outcome::Configured);
}

fn managed(node: &mut Node) {
    node.links[2].managed_by =
        Some(Manager::Networkd { file: Some("/run/systemd/network/70-eks-ens6.network".to_owned()) });
}

/// aws/amazon-vpc-cni-k8s#3162 and #3524: two programs configured one link.
#[test]
fn a_link_that_networkd_manages_is_ceded_and_the_report_says_what_is_missing() {
    let mut node = node(&[1]);
    managed(&mut node);
    blocked(&node, &Ledger::default(), &[eni(1)], "70-eks-ens6.network");
    blocked(&node, &Ledger::default(), &[eni(1)], "add address 10.0.1.11/32");
}

/// awslabs/amazon-eks-ami#2791: networkd sets what the agent would set, with the same table and priority.
#[test]
fn the_agent_agrees_with_another_program_that_did_all_of_it() {
    let wanted = [WantedEni { interface_name: None, ..eni(1) }];
    let (mut node, _) = set_up(&wanted);
    managed(&mut node);
    for route in &mut node.routes {
        (route.protocol, route.metric) = (16, 512);
    }
    node.rules.iter_mut().for_each(|rule| rule.protocol = 4);
    node.addresses.iter_mut().for_each(|address| address.protocol = 0);
    let planned = look(&node, &Ledger::default(), &wanted);
    assert_eq!((outcome(&planned), planned.steps.as_slice()), (&Outcome::Configured, [].as_slice()));
}

#[test]
fn a_rule_of_the_vpc_cni_for_the_enis_address_is_in_the_way() {
    let mut node = node(&[1]);
    node.rules.push(foreign_rule(2, 1536));
    blocked(&node, &Ledger::default(), &[eni(1)], "another program sends the traffic");
    node.rules.pop();
    // So is a rule for a network that has the address.
    node.rules.push(Rule { source: Some("10.0.0.0/16".parse().unwrap()), ..foreign_rule(2, 1536) });
    blocked(&node, &Ledger::default(), &[eni(1)], "another program sends the traffic");
    node.rules.pop();
    // A rule after ours changes nothing.
    node.rules.push(foreign_rule(2, 32_800));
    assert!(matches!(outcome(&look(&node, &Ledger::default(), &[eni(1)])), Outcome::Changing { .. }));
}

#[test]
fn what_another_program_did_counts_only_if_it_works() {
    let routes = vec![WantedRoute { to: "10.9.0.0/16".parse().unwrap(), table: RouteTable::Main }];
    let wanted = [WantedEni { routes, ..eni(1) }];
    let (mut node, ledger) = set_up(&wanted);
    for rule in node.rules.iter_mut().filter(|rule| rule.protocol == OURS) {
        (rule.protocol, rule.priority) = (0, 1536);
    }
    for route in node.routes.iter_mut().filter(|route| route.table == TABLE_MAIN && route.protocol == OURS) {
        (route.protocol, route.metric) = (4, 512);
    }
    assert_eq!(look(&node, &ledger, &wanted).steps, []);
    // The table main comes before such a rule, and EC2 drops the packets of such a route.
    node.rules.iter_mut().filter(|rule| rule.priority == 1536).for_each(|rule| rule.priority = 32_767);
    node.routes.iter_mut().filter(|route| route.metric == 512 && route.link == 3).for_each(|route| route.source = None);
    let planned = turn(&mut node, &mut ledger.clone(), &wanted);
    let words: Vec<_> = planned.steps.iter().map(|planned| planned.step.to_string()).collect();
    assert_eq!(words.iter().filter(|step| step.starts_with("add rule")).count(), 4, "{words:?}");
    assert_eq!(
        words.iter().filter(|step| step.starts_with("add route 10.9.0.0/16 of table 254")).count(),
        1,
        "{words:?}"
    );
    assert_eq!(outcome(&look(&node, &ledger, &wanted)), &Outcome::Configured);
}

#[test]
fn a_foreign_route_in_the_enis_table_is_in_the_way() {
    let mut node = node(&[1]);
    node.routes.push(Route { table: 10_001, ..foreign_default(2) });
    blocked(&node, &Ledger::default(), &[eni(1)], "uses the route table");
}

/// amazonlinux/amazon-ec2-net-utils#96 and #167: routes and rules of users disappeared.
#[test]
fn routes_rules_and_addresses_of_others_stay_in_every_case() {
    let (mut node, mut ledger) = set_up(&[eni(1)]);
    let route = Route { destination: "10.99.0.0/16".parse().unwrap(), metric: 0, protocol: 3, ..foreign_default(3) };
    let rule = Rule { is_plain: false, ..foreign_rule(10_001, 100) };
    let address = Address { link: 3, cidr: "192.168.7.1/24".parse().unwrap(), protocol: 0, is_global: true };
    node.routes.push(route.clone());
    node.rules.push(rule.clone());
    node.addresses.push(address.clone());
    for wanted in [vec![eni(1)], vec![WantedEni { mode: NodeMode::Link, ..eni(1) }], vec![]] {
        turn(&mut node, &mut ledger, &wanted);
        assert!(node.routes.contains(&route) && node.rules.contains(&rule) && node.addresses.contains(&address));
    }
    // Somebody uses the link, so it stays up.
    assert!(node.links[2].is_up);
}

/// The address may come from a DHCP client, with the prefix of the subnet.
#[test]
fn an_address_that_another_program_set_first_stays_its_own() {
    let mut node = node(&[1]);
    let theirs = Address { link: 3, cidr: "10.0.1.11/24".parse().unwrap(), protocol: 0, is_global: true };
    node.addresses.push(theirs.clone());
    let mut ledger = Ledger::default();
    turn(&mut node, &mut ledger, &[eni(1)]);
    assert_eq!(outcome(&look(&node, &ledger, &[eni(1)])), &Outcome::Configured);
    turn(&mut node, &mut ledger, &[]);
    assert_eq!(node.addresses.iter().filter(|address| address.link == 3).collect::<Vec<_>>(), [&theirs]);
    assert!(node.links[2].is_up);
}

#[test]
fn a_link_that_somebody_else_holds_by_now_keeps_its_mtu_and_stays_up() {
    let hold: [fn(&mut Node); 3] = [
        |node| node.links[2].controller = Some(7),
        |node| node.links.push(Link { index: 9, kind: Some("vlan".to_owned()), lower: Some(3), ..new_link(1) }),
        managed,
    ];
    for hold in hold {
        let (mut node, mut ledger) = set_up(&[eni(1)]);
        hold(&mut node);
        turn(&mut node, &mut ledger, &[]);
        assert_eq!((node.links[2].mtu, node.links[2].is_up), (9001, true), "{:?}", node.links);
        assert_eq!(node.links[2].alt_names, Vec::<String>::new());
        assert_eq!(ledger, Ledger::default());
    }
}

#[test]
fn an_address_that_somebody_set_in_place_of_ours_is_not_ours() {
    let (old_kernel, ledger) = {
        let (mut node, ledger) = set_up(&[eni(1)]);
        node.addresses.iter_mut().for_each(|address| address.protocol = 0);
        (node, ledger)
    };
    let first = |node: &mut Node, change: fn(&mut Address)| {
        let address = node.addresses.iter_mut().find(|address| address.link == 3).unwrap();
        change(address);
        address.clone()
    };
    // With another prefix length.
    let mut node = old_kernel.clone();
    let theirs = first(&mut node, |address| address.cidr.prefix_len = 24);
    turn(&mut node, &mut ledger.clone(), &[]);
    assert_eq!(node.addresses.iter().filter(|address| address.link == 3).collect::<Vec<_>>(), [&theirs]);
    // Without a protocol on a kernel that keeps it, as the loopback's address shows.
    let mut node = old_kernel;
    node.addresses.push(Address { link: 1, cidr: "127.0.0.1/8".parse().unwrap(), protocol: 1, is_global: false });
    turn(&mut node, &mut ledger.clone(), &[]);
    assert_eq!(node.addresses.iter().filter(|address| address.link == 3).count(), 3);
}
