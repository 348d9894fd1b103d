//! What each field of the spec becomes on the link, and what changes when it changes.

use super::{blocked, look, outcome, set_up, turn};
use crate::ledger::Ledger;
use crate::netlink::Change;
use crate::node::TABLE_MAIN;
use crate::plan::model::{OURS, eni, new_link, node};
use crate::plan::report::{Obstacle, Outcome};
use crate::plan::step::Step;
use crate::wanted::{WantedEni, WantedRoute};
use multi_eni_api::node_config::{NodeMode, RouteTable};

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
    assert_eq!((node, ledger), (crate::plan::model::node(&[1]), Ledger::default()));
}

#[test]
fn without_eniattachments_nothing_of_ours_is_left() {
    let (mut node, mut ledger) = set_up(&[eni(1), eni(2)]);
    turn(&mut node, &mut ledger, &[]);
    assert_eq!((node, ledger), (crate::plan::model::node(&[1, 2]), Ledger::default()));
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

#[test]
fn an_mtu_that_the_device_cannot_have_changes_nothing() {
    let wanted = [WantedEni { mtu: Some(9500), ..eni(1) }];
    blocked(&node(&[1]), &Ledger::default(), &wanted, "9216");
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
