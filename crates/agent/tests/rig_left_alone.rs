//! What the agent leaves as it is, and says why, with real links, routes and rules.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test says what it needs")]

mod rig;

use multi_eni_agent::netlink::{Change, NetlinkSocket, change};
use multi_eni_agent::node::{Cidr, Route, Rule};
use multi_eni_agent::node_agent::NodeAgent;
use multi_eni_agent::plan::Settings;
use multi_eni_agent::plan::report::Outcome;
use multi_eni_agent::status::agent_status;
use multi_eni_agent::wanted::{WantedEni, WantedRoute};
use multi_eni_api::ENIAttachment;
use multi_eni_api::node_config::RouteTable;
use rig::{OURS, PRIMARY_V4, PRIMARY_V6, Rig, eni, link_name, run};
use serde_json::{Value, json};
use std::fs;

/// One turn. The reasons of the condition Configured, and who manages the interfaces.
fn said(rig: &Rig, wanted: &[WantedEni]) -> Vec<(String, Option<String>)> {
    let turn = rig.turn(wanted);
    let status = turn.reports.iter().map(|report| agent_status(report, &turn.failed, "boot"));
    status.map(|status| (status.configured.reason, status.node.managed_by)).collect()
}

/// An agent with another protocol number, in the same directories.
fn turn_as(rig: &Rig, protocol: u8, wanted: &[WantedEni]) {
    let settings = Settings { protocol, link_kinds: vec!["veth".to_owned()] };
    let turn = NodeAgent::open(rig.directories().clone(), settings).unwrap().turn(wanted).unwrap();
    assert_eq!(turn.failed, [], "{:?}", turn.steps);
}

#[test]
fn a_route_of_the_table_main_that_covers_the_node_is_refused_and_the_node_stays_reachable() {
    let rig = Rig::new();
    rig.attach(&eni(1));
    let before = rig.state();
    for to in ["10.0.0.0/8", "10.0.0.0/24", "2001:db8::/32"] {
        let routes = vec![WantedRoute { to: to.parse().unwrap(), table: RouteTable::Main }];
        let reasons = said(&rig, &[WantedEni { routes, ..eni(1) }]);
        assert_eq!(reasons, [("RouteCoversNode".to_owned(), None)], "{to}");
        assert_eq!(rig.state(), before, "{to}");
    }
    for address in [PRIMARY_V4, PRIMARY_V6] {
        assert!((0..5).any(|_| rig.answers(address.parse().unwrap())), "{address}");
    }
}

/// docs/node-agent.md says what these settings lead to.
#[test]
fn an_mtu_without_ipv6_and_a_route_without_an_address_of_its_family_are_said() {
    let rig = Rig::new();
    rig.attach(&eni(1));
    let before = rig.state();
    let to = |to: &str| WantedRoute { to: to.parse().unwrap(), table: RouteTable::Main };
    let mut without_ipv6 = WantedEni { routes: vec![to("10.9.0.0/16"), to("2001:db8:9::/48")], ..eni(1) };
    without_ipv6.addresses.retain(|address| !address.is_ipv6());
    assert_eq!(said(&rig, &[without_ipv6])[0].0, "InvalidNodeConfig");
    assert_eq!(rig.state(), before, "the IPv4 route is not set either");
    // The MTU takes IPv6 from the link, so the IPv6 address of the same turn cannot be set.
    let small = [WantedEni { mtu: Some(1279), ..eni(1) }];
    let settings = Settings { protocol: OURS, link_kinds: vec!["veth".to_owned()] };
    NodeAgent::open(rig.directories().clone(), settings).unwrap().turn(&small).unwrap();
    assert_eq!(said(&rig, &small)[0].0, "NoIPv6");
}

#[test]
fn of_two_routes_to_one_network_in_the_table_main_the_one_with_the_lower_table_carries_the_traffic() {
    let rig = Rig::new();
    let route = || vec![WantedRoute { to: "10.9.0.0/16".parse().unwrap(), table: RouteTable::Main }];
    let wanted = [1, 2].map(|number| WantedEni { routes: route(), ..eni(number) });
    wanted.iter().for_each(|eni| rig.attach(eni));
    assert!(said(&rig, &wanted).iter().all(|(reason, _)| reason == "Configured"));
    let used = || run(&format!("ip -n {} route get 10.9.0.1", rig.namespace("node")));
    assert!(rig.state().contains("metric 10001") && rig.state().contains("metric 10002"), "{}", rig.state());
    assert!(used().contains("src 10.0.1.11"), "{}", used());
    rig.detach(1);
    assert!(used().contains("src 10.0.1.12"), "{}", used());
}

#[test]
fn the_vpc_cni_is_ceded_to_or_agreed_with_and_named() {
    let rig = Rig::new();
    rig.attach(&eni(1));
    let mut socket = NetlinkSocket::open().unwrap();
    let mut make = |wanted: Change| change::make(&mut socket, &wanted).unwrap();
    let rule = |source: &str, table: u32| Rule {
        source: Some(Cidr::host(source.parse().unwrap())),
        is_ipv6: false,
        table,
        priority: 32_765,
        protocol: 0,
        is_plain: true,
    };
    // On card 0 the CNI's table for device index 1 is 2: the agent leaves the ENI alone.
    make(Change::AddRule(rule("10.0.1.11", 2)));
    let before = rig.state();
    let cni = Some("amazon-vpc-cni-k8s".to_owned());
    assert_eq!(said(&rig, &[eni(1)]), [("ForeignRule".to_owned(), cni.clone())]);
    assert_eq!(rig.state(), before);
    make(Change::RemoveRule(rule("10.0.1.11", 2)));

    // On card 1 its numbers are the agent's: the agent adds what is missing on the link, and no rule and no route.
    let wanted = [WantedEni { card: 1, addresses: vec!["10.0.1.11".parse().unwrap()], ..eni(1) }];
    let (node, link) = (rig.namespace("node"), link_name(1));
    run(&format!("ip -n {node} link set {link} up"));
    run(&format!("ip -n {node} addr add 10.0.1.11/24 dev {link} noprefixroute"));
    let index = rig.agent().plan(&wanted).unwrap().reports[0].link.as_ref().unwrap().index;
    make(Change::AddRule(rule("10.0.1.11", 10_101)));
    let default = Route {
        table: 10_101,
        destination: Cidr::everything(false),
        gateway: Some("10.0.1.1".parse().unwrap()),
        link: index,
        source: None,
        protocol: 3,
        metric: 0,
    };
    make(Change::AddRoute(default));
    let before = rig.state();
    assert_eq!(said(&rig, &wanted), [("ConfiguredByOther".to_owned(), cni)]);
    let state = rig.state();
    assert!(!state.contains("proto 217") && state.contains("altname net1"), "{state}");
    assert!((0..5).any(|_| rig.answers(wanted[0].addresses[0])), "{state}");
    rig.turn(&[]);
    assert_eq!(rig.state(), before);
}

#[test]
fn what_an_agent_with_another_protocol_number_left_is_kept_while_it_is_asked_for_and_taken_back_after() {
    let wanted = [eni(1)];
    let rig = Rig::new();
    rig.attach(&wanted[0]);
    let bare = rig.state();
    turn_as(&rig, 218, &wanted);
    let configured = rig.state();
    assert_eq!(said(&rig, &wanted), [("Configured".to_owned(), Some("multi-eni".to_owned()))]);
    assert_eq!(rig.state(), configured);
    for address in &wanted[0].addresses {
        assert!((0..5).any(|_| rig.answers(*address)), "{address}:\n{configured}");
    }
    // What `clean` does, with the number of now.
    rig.turn(&[]);
    assert_eq!(rig.state(), bare);

    // Without the ledger nothing says that it is the agent's.
    turn_as(&rig, 218, &wanted);
    fs::remove_file(rig.directories().state.join("links.json")).unwrap();
    let other = Some("multi-eni-agent with the protocol 218".to_owned());
    assert_eq!(said(&rig, &wanted), [("ConfiguredByOther".to_owned(), other)]);
    rig.turn(&[]);
    assert!(rig.state().contains("proto 218"), "{}", rig.state());
    turn_as(&rig, 218, &[]);
    assert!(!rig.state().contains("proto 218") && !rig.state().contains(&format!("proto {OURS}")), "{}", rig.state());
}

/// An ENIAttachment as the API server has it, with these settings, whatever the schema of today says of them.
fn stored(number: u32, settings: &Value) -> WantedEni {
    let object = json!({
        "apiVersion": "networking.k8s.aws/v1alpha1", "kind": "ENIAttachment",
        "metadata": { "name": format!("eni-{number}"), "uid": format!("uid-{number}") },
        "spec": {
            "nodeName": "node1", "nodeUID": "n", "instanceID": "i-00000000000000001", "nodeENIName": "one", "nodeENIUID": "o",
            "request": { "subnetID": "subnet-00000001", "subnetCIDR": "10.0.1.0/24", "deviceIndex": number },
            "nodeSettings": settings,
        },
        "status": {
            "phase": "Attached", "macAddress": format!("02:00:00:00:00:0{number}"), "privateIPs": [format!("10.0.1.{}", 10 + number)],
        },
    });
    let object: ENIAttachment = serde_json::from_value(object).unwrap();
    WantedEni::read(&object).unwrap()
}

#[test]
fn input_that_cannot_be_followed_has_its_reason_and_leaves_the_node_untouched() {
    let rig = Rig::new();
    [eni(1), eni(2)].iter().for_each(|eni| rig.attach(eni));
    let before = rig.state();
    let storage = json!({ "nodeConfig": { "mode": "addresses", "interfaceName": "storage" } });
    let route = |to: &str, table: &str| json!({ "nodeConfig": { "mode": "addresses", "routes": [{ "to": to, "table": table }] } });
    for (settings, reason) in [
        (vec![json!({ "enableDPDK": true, "dpdkDriver": "igb-uio" })], "DriverUnknown"),
        (vec![json!({ "enableDPDK": true, "dpdkPCIAddress": "6" })], "InvalidNodeConfig"),
        (vec![storage.clone(), storage], "InterfaceNameTaken"),
        (vec![route("0.0.0.0/0", "main")], "InvalidNodeConfig"),
        (vec![route("::/0", "own")], "InvalidNodeConfig"),
        (vec![route("10.0.0.0/8", "main")], "RouteCoversNode"),
        (vec![json!({ "mtu": 65_536, "nodeConfig": { "mode": "addresses" } })], "MTUOutOfBounds"),
        (vec![json!({ "mtu": 67 })], "MTUOutOfBounds"),
        (vec![json!({ "nodeConfig": { "mode": "everything" } })], "InvalidNodeConfig"),
        (vec![json!({ "nodeConfig": { "interfaceName": "eth1" } })], "InvalidNodeConfig"),
    ] {
        let wanted: Vec<WantedEni> = (1..).zip(&settings).map(|(number, settings)| stored(number, settings)).collect();
        let turn = rig.turn(&wanted);
        assert_eq!(turn.reports.len(), settings.len());
        for report in &turn.reports {
            let Outcome::Blocked(obstacle) = &report.outcome else { panic!("{settings:?}: {report:?}") };
            assert_eq!(obstacle.reason(), reason, "{settings:?}: {obstacle}");
        }
        assert_eq!((turn.steps, turn.device_steps), (Vec::new(), Vec::new()), "{settings:?}");
        assert_eq!(rig.state(), before, "{settings:?}");
    }
}
