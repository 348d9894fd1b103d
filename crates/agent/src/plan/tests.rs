//! Each behaviour of the plan, by example.

use super::model::{OURS, eni, foreign_default, mac, make, new_link, node, settings};
use super::report::{Obstacle, Outcome};
use super::{Plan, plan};
use crate::ledger::Ledger;
use crate::netlink::Change;
use crate::node::{Address, Link, Manager, Node, Route, Rule, TABLE_MAIN};
use crate::plan::step::Step;
use crate::wanted::{WantedEni, WantedRoute};
use multi_eni_api::node_config::{NodeMode, RouteTable};

fn look(node: &Node, ledger: &Ledger, wanted: &[WantedEni]) -> Plan {
    plan(node, ledger, wanted, &settings())
}

/// Plans and makes the steps.
fn turn(node: &mut Node, ledger: &mut Ledger, wanted: &[WantedEni]) -> Plan {
    let planned = look(node, ledger, wanted);
    make(node, ledger, &planned.steps);
    planned
}

/// A node on which the ENIs are set up.
fn set_up(wanted: &[WantedEni]) -> (Node, Ledger) {
    let numbers: Vec<u8> = wanted.iter().map(|eni| u8::try_from(eni.index).unwrap()).collect();
    let (mut node, mut ledger) = (node(&numbers), Ledger::default());
    turn(&mut node, &mut ledger, wanted);
    (node, ledger)
}

fn outcome(plan: &Plan) -> &Outcome {
    &plan.reports[0].outcome
}

/// Asserts that the ENI is left as it is, for a reason with these words.
fn blocked(node: &Node, ledger: &Ledger, wanted: &[WantedEni], words: &str) {
    let planned = look(node, ledger, wanted);
    assert_eq!(planned.steps, [], "nothing may be changed");
    let Outcome::Blocked(obstacle) = outcome(&planned) else { panic!("{:?}", planned.reports) };
    assert!(obstacle.to_string().contains(words), "{obstacle}");
}

#[test]
fn addresses_sets_the_link_up_with_a_table_and_rules_of_its_own() {
    let wanted = [eni(1)];
    let (node, ledger) = set_up(&wanted);
    let link = &node.links[2];
    assert!(link.is_up);
    assert_eq!((link.mtu, link.accept_ra, link.alt_names.as_slice()), (9001, Some(0), ["net1".to_owned()].as_slice()));
    let addresses: Vec<_> = node.addresses.iter().filter(|a| a.link == 3).map(|a| a.cidr.to_string()).collect();
    assert_eq!(addresses, ["10.0.1.11/32", "10.0.1.101/32", "2001:db8::1/128"]);
    let routes: Vec<_> =
        node.routes.iter().filter(|r| r.protocol == OURS).map(|r| (r.table, r.gateway.unwrap().to_string())).collect();
    assert_eq!(routes, [(10_001, "10.0.1.1".to_owned()), (10_001, "fe80:ec2::1".to_owned())]);
    let rules: Vec<_> = node.rules.iter().filter(|r| r.protocol == OURS).collect();
    assert!(rules.iter().all(|rule| (rule.table, rule.priority) == (10_001, 32_765)));
    let sources: Vec<_> = rules.iter().map(|rule| rule.source.unwrap().to_string()).collect();
    assert_eq!(sources, ["10.0.1.11/32", "10.0.1.101/32", "2001:db8::1/128", "10.0.1.208/28"]);
    assert_eq!(outcome(&look(&node, &ledger, &wanted)), &Outcome::Configured);
}

#[test]
fn the_ledger_is_written_before_the_link_is_touched() {
    let planned = look(&node(&[1]), &Ledger::default(), &[eni(1)]);
    let Step::Remember(entry) = &planned.steps[0].step else { panic!("{:?}", planned.steps[0]) };
    assert_eq!((entry.was_up, entry.mtu_before, entry.accept_ra_before), (false, 1500, Some(1)));
    assert_eq!(planned.steps.iter().filter(|planned| planned.step.is_bookkeeping()).count(), 1);
}

#[test]
fn router_advertisements_are_off_before_the_link_is_up() {
    let steps = look(&node(&[1]), &Ledger::default(), &[WantedEni { mode: NodeMode::Link, ..eni(1) }]).steps;
    let place = |is: fn(&Step) -> bool| steps.iter().position(|planned| is(&planned.step)).unwrap();
    let ra = place(|step| matches!(step, Step::SetAcceptRa { value: 0, .. }));
    assert!(ra < place(|step| matches!(step, Step::Kernel(Change::SetUp { up: true, .. }))));
}

#[test]
fn link_sets_no_address_and_no_route() {
    let wanted = [WantedEni { mode: NodeMode::Link, ..eni(1) }];
    let (node, ledger) = set_up(&wanted);
    assert!(node.links[2].is_up);
    assert!(!node.addresses.iter().any(|address| address.link == 3));
    assert!(!node.rules.iter().any(|rule| rule.protocol == OURS));
    assert_eq!(outcome(&look(&node, &ledger, &wanted)), &Outcome::Configured);
}

#[test]
fn none_takes_everything_back() {
    let (mut node, mut ledger) = set_up(&[eni(1)]);
    let planned = turn(&mut node, &mut ledger, &[WantedEni { mode: NodeMode::None, ..eni(1) }]);
    assert_eq!(outcome(&planned), &Outcome::NotManaged);
    assert_eq!((node, ledger), (super::model::node(&[1]), Ledger::default()));
}

#[test]
fn without_eniattachments_nothing_of_ours_is_left() {
    let (mut node, mut ledger) = set_up(&[eni(1), eni(2)]);
    turn(&mut node, &mut ledger, &[]);
    assert_eq!((node, ledger), (super::model::node(&[1, 2]), Ledger::default()));
}

#[test]
fn from_addresses_to_link_the_addresses_go_and_the_link_stays_up() {
    let (mut node, mut ledger) = set_up(&[eni(1)]);
    let wanted = [WantedEni { mode: NodeMode::Link, ..eni(1) }];
    turn(&mut node, &mut ledger, &wanted);
    assert!(node.links[2].is_up);
    assert!(!node.addresses.iter().any(|address| address.link == 3));
    assert!(!node.rules.iter().any(|rule| rule.protocol == OURS));
    assert_eq!(look(&node, &ledger, &wanted).steps, []);
}

#[test]
fn an_address_that_the_eni_lost_goes_with_its_rule_and_the_others_stay() {
    let (mut node, mut ledger) = set_up(&[eni(1)]);
    let mut wanted = [eni(1)];
    let gone = wanted[0].addresses.remove(1);
    let planned = turn(&mut node, &mut ledger, &wanted);
    assert!(!node.addresses.iter().any(|address| address.cidr.address == gone));
    assert!(!node.rules.iter().any(|rule| rule.source.is_some_and(|source| source.address == gone)));
    let changes = planned.steps.iter().filter(|planned| !planned.step.is_bookkeeping()).count();
    assert_eq!(changes, 2, "{:?}", planned.steps);
    assert_eq!(look(&node, &ledger, &wanted).steps, []);
}

#[test]
fn a_new_address_comes_before_the_old_one_goes() {
    let only = |address: &str| [WantedEni { addresses: vec![address.parse().unwrap()], ..eni(1) }];
    let (node, ledger) = set_up(&only("10.0.1.11"));
    let steps = look(&node, &ledger, &only("10.0.1.12")).steps;
    let place = |words: &str| steps.iter().position(|planned| planned.step.to_string().starts_with(words)).unwrap();
    assert!(place("add address 10.0.1.12/32") < place("remove address 10.0.1.11/32"), "{steps:?}");
}

#[test]
fn a_new_name_and_a_new_mtu_replace_the_old_ones_and_no_mtu_brings_the_first_back() {
    let (mut node, mut ledger) = set_up(&[eni(1)]);
    let wanted = [WantedEni { interface_name: Some("other".to_owned()), mtu: None, ..eni(1) }];
    turn(&mut node, &mut ledger, &wanted);
    assert_eq!((node.links[2].mtu, node.links[2].alt_names.as_slice()), (1500, ["other".to_owned()].as_slice()));
    assert_eq!(look(&node, &ledger, &wanted).steps, []);
}

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

#[test]
fn an_mtu_that_the_device_cannot_have_changes_nothing() {
    let wanted = [WantedEni { mtu: Some(9500), ..eni(1) }];
    blocked(&node(&[1]), &Ledger::default(), &wanted, "9216");
}

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

fn foreign_rule(table: u32, priority: u32) -> Rule {
    let source = Some("10.0.1.11/32".parse().unwrap());
    Rule { source, is_ipv6: false, table, priority, protocol: 0, is_plain: true }
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
fn an_interface_name_that_two_enis_want_goes_to_the_one_that_has_it() {
    let both = || [1, 2].map(|number| WantedEni { interface_name: Some("storage".to_owned()), ..eni(number) });
    // Neither has it: both are left alone.
    let planned = look(&node(&[1, 2]), &Ledger::default(), &both());
    assert_eq!(planned.steps, []);
    assert!(
        planned.reports.iter().all(|report| matches!(report.outcome, Outcome::Blocked(Obstacle::NameTaken { .. })))
    );
    // The first has it.
    let (mut node, mut ledger) = set_up(&[both()[0].clone()]);
    node.links.push(new_link(2));
    let planned = turn(&mut node, &mut ledger, &both());
    assert_eq!(outcome(&planned), &Outcome::Configured);
    assert!(matches!(planned.reports[1].outcome, Outcome::Blocked(Obstacle::NameTaken { .. })));
}

#[test]
fn the_mode_none_claims_no_interface_name() {
    let mut wanted = [1, 2].map(|number| WantedEni { interface_name: Some("storage".to_owned()), ..eni(number) });
    wanted[1].mode = NodeMode::None;
    let (node, ledger) = set_up(&wanted);
    assert_eq!(outcome(&look(&node, &ledger, &wanted)), &Outcome::Configured);
}

#[test]
fn an_entry_of_the_ledger_stays_until_its_link_is_given_back() {
    let (mut node, mut ledger) = set_up(&[eni(1)]);
    node.links.push(Link { index: 8, name: "ens9".to_owned(), ..new_link(1) });
    turn(&mut node, &mut ledger, &[]);
    assert!(ledger.entry(mac(1)).is_some());
    node.links.pop();
    turn(&mut node, &mut ledger, &[]);
    assert_eq!((node, ledger), (super::model::node(&[1]), Ledger::default()));
}

#[test]
fn an_interface_name_that_another_link_has_is_refused() {
    let wanted = [WantedEni { interface_name: Some("ens5".to_owned()), ..eni(1) }];
    blocked(&node(&[1]), &Ledger::default(), &wanted, "link ens5");
}

#[test]
fn a_route_of_the_table_main_has_the_enis_source_and_comes_after_those_of_others() {
    let routes = vec![WantedRoute { to: "10.9.0.0/16".parse().unwrap(), table: RouteTable::Main }];
    let wanted = [1, 2].map(|number| WantedEni { routes: routes.clone(), ..eni(number) });
    let (node, ledger) = set_up(&wanted);
    let main: Vec<_> = node.routes.iter().filter(|r| r.table == TABLE_MAIN && r.protocol == OURS).collect();
    let seen: Vec<_> = main.iter().map(|r| (r.link, r.source.unwrap().to_string(), r.metric)).collect();
    assert_eq!(seen, [(3, "10.0.1.11".to_owned(), 10_001), (4, "10.0.1.12".to_owned(), 10_002)]);
    assert_eq!(look(&node, &ledger, &wanted).steps, []);
}

#[test]
fn a_route_of_a_family_that_the_eni_lacks_is_refused() {
    let mut wanted = [eni(1)];
    wanted[0].addresses.pop();
    wanted[0].routes.push(WantedRoute { to: "2001:db8:9::/48".parse().unwrap(), table: RouteTable::Own });
    blocked(&node(&[1]), &Ledger::default(), &wanted, "no IPv6 address");
}

#[test]
fn ipv6_addresses_on_a_link_without_ipv6_are_said() {
    let mut node = node(&[1]);
    node.links[2].accept_ra = None;
    blocked(&node, &Ledger::default(), &[eni(1)], "IPv6 is off");
    (node.links[2].accept_ra, node.links[2].is_ipv6_disabled) = (Some(1), true);
    blocked(&node, &Ledger::default(), &[eni(1)], "IPv6 is off");
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
