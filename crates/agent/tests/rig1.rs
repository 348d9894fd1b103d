//! The agent with real links, routes, rules and packets, in network namespaces.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test says what it needs")]

mod rig;

use multi_eni_agent::node::Cidr;
use multi_eni_agent::plan::report::{Obstacle, Outcome};
use multi_eni_agent::wanted::{WantedEni, WantedRoute};
use multi_eni_api::node_config::{NodeMode, RouteTable};
use rig::{OURS, PRIMARY_V4, PRIMARY_V6, Rig, eni, link_name, run};
use std::fs;
use std::net::IpAddr;

/// A rig with these ENIs attached.
fn attached(wanted: &[WantedEni]) -> Rig {
    let rig = Rig::new();
    wanted.iter().for_each(|eni| rig.attach(eni));
    rig
}

/// Asserts that traffic flows in both directions with each address, and with the node's primary ones.
fn traffic_flows(rig: &Rig, wanted: &[WantedEni]) {
    let primary = [PRIMARY_V4, PRIMARY_V6].map(|address| address.parse().unwrap());
    for address in wanted.iter().flat_map(|eni| eni.addresses.iter().copied()).chain(primary) {
        flows(rig, address);
    }
}

/// Asserts that traffic flows in both directions with an address. The carrier of a link comes a moment after the link is up.
fn flows(rig: &Rig, address: IpAddr) {
    let state = rig.state();
    let both = || rig.answers(address) && rig.reaches_client(address);
    assert!((0..5).any(|_| both()), "{address} does not reach the client, or the client not {address}:\n{state}");
}

#[test]
fn the_rig_itself_drops_what_leaves_by_the_wrong_eni() {
    let rig = attached(&[eni(1)]);
    let link = link_name(1);
    let node = rig.namespace("node");
    run(&format!("ip -n {node} link set {link} up"));
    run(&format!("ip -n {node} addr add 10.0.1.11/32 dev {link}"));
    run(&format!("ip -n {node} addr add 2001:db8:1::1/128 dev {link} nodad"));
    // Without rules the answers leave by the primary interface.
    for address in ["10.0.1.11", "2001:db8:1::1"] {
        assert!(!rig.answers(address.parse().unwrap()), "{address}");
    }
    traffic_flows(&rig, &[]);
}

#[test]
fn packets_flow_both_ways_through_two_enis_in_one_subnet() {
    let wanted = [eni(1), eni(2)];
    let rig = attached(&wanted);
    let turn = rig.turn(&wanted);
    assert!(turn.reports.iter().all(|report| report.outcome == Outcome::Configured), "{:?}", turn.reports);
    traffic_flows(&rig, &wanted);
}

/// A subnet with IPv6 alone has no IPv4 network, and the ENI no IPv4 address.
#[test]
fn packets_flow_both_ways_through_an_eni_with_ipv6_alone() {
    let wanted = [WantedEni { addresses: vec!["2001:db8:1::1".parse().unwrap()], subnet: None, ..eni(1) }, eni(2)];
    let rig = attached(&wanted);
    let bare = rig.state();
    let turn = rig.turn(&wanted);
    assert!(turn.reports.iter().all(|report| report.outcome == Outcome::Configured), "{:?}", turn.reports);
    traffic_flows(&rig, &wanted);
    assert_eq!(rig.turn(&wanted).steps, Vec::<String>::new());
    rig.turn(&[]);
    assert_eq!(rig.state(), bare);
}

#[test]
fn a_second_run_changes_nothing() {
    let mut wanted = [eni(1), eni(2)];
    // amazonlinux/amazon-ec2-net-utils#68: rules of prefixes were deleted and made again each time.
    wanted[0].prefixes.push("10.0.1.208/28".parse().unwrap());
    let rig = attached(&wanted);
    rig.turn(&wanted);
    let before = rig.state();
    let turn = rig.turn(&wanted);
    assert_eq!((turn.steps, rig.state()), (Vec::<String>::new(), before));
}

#[test]
fn each_mode_says_what_it_leaves_and_clean_leaves_nothing() {
    let wanted = [eni(1)];
    let rig = attached(&wanted);
    let bare = rig.state();
    for mode in [NodeMode::Link, NodeMode::Addresses, NodeMode::None, NodeMode::Addresses, NodeMode::Link] {
        let wanted = [WantedEni { mode, ..eni(1) }];
        rig.turn(&wanted);
        let state = rig.state();
        assert_eq!(state == bare, mode == NodeMode::None, "{mode:?}:\n{state}");
        assert_eq!(state.contains("lookup 10001"), mode == NodeMode::Addresses, "{mode:?}:\n{state}");
        assert_eq!(state.contains("altname net1"), mode != NodeMode::None, "{mode:?}:\n{state}");
        assert_eq!(state.contains("mtu 1400"), mode != NodeMode::None, "{mode:?}:\n{state}");
    }
    // What `clean` does: a turn with no ENIAttachment.
    rig.turn(&[]);
    assert_eq!(rig.state(), bare);
}

#[test]
fn a_link_that_vanishes_half_way_stops_no_other_eni_and_leaves_no_rule() {
    let wanted = [eni(1), eni(2)];
    let rig = attached(&wanted);
    let mut agent = rig.agent();
    let plan = agent.plan(&wanted).unwrap();
    rig.detach(1);
    let turn = agent.apply(&plan, &wanted).unwrap();
    assert_eq!(turn.failed.len(), 1, "{:?}", turn.failed);
    assert_eq!(turn.failed[0].attachment.as_deref(), Some("eni-1"));
    assert_eq!(turn.reports[0].outcome, Outcome::Blocked(Obstacle::LinkAbsent));
    assert_eq!(turn.reports[1].outcome, Outcome::Configured);
    traffic_flows(&rig, &wanted[1..]);
    // A link that vanishes later leaves its rules to the agent.
    rig.detach(2);
    assert!(run(&format!("ip -n {} rule", rig.namespace("node"))).contains("lookup 10002"));
    rig.turn(&wanted);
    let state = rig.state();
    assert!(!state.contains("lookup 1000") && !state.contains("table 1000"), "{state}");
    traffic_flows(&rig, &[]);
    // amazonlinux/amazon-ec2-net-utils#166: it comes back, and works.
    rig.attach(&wanted[0]);
    rig.turn(&wanted);
    traffic_flows(&rig, &wanted[..1]);
}

/// k8snetworkplumbingwg/multus-cni#1134, google/dranet#33.
#[test]
fn a_link_that_goes_into_a_pod_and_returns_down_and_bare_is_set_up_again() {
    let wanted = [eni(1)];
    let rig = attached(&wanted);
    rig.turn(&wanted);
    let (node, pod, link) = (rig.namespace("node"), rig.namespace("client"), link_name(1));
    run(&format!("ip -n {node} link set {link} netns {pod}"));
    let turn = rig.turn(&wanted);
    assert_eq!(turn.reports[0].outcome, Outcome::Blocked(Obstacle::LinkAbsent));
    assert!(!rig.state().contains("10001"), "{}", rig.state());
    run(&format!("ip -n {pod} link set {link} name renamed"));
    run(&format!("ip -n {pod} link set renamed netns {node}"));
    let turn = rig.turn(&wanted);
    assert_eq!(turn.reports[0].outcome, Outcome::Configured);
    assert_eq!(turn.reports[0].link.as_ref().unwrap().name, "renamed");
    traffic_flows(&rig, &wanted);
}

/// aws/amazon-vpc-cni-k8s#3309.
#[test]
fn a_link_that_went_down_and_up_gets_its_routes_again() {
    let wanted = [eni(1)];
    let rig = attached(&wanted);
    rig.turn(&wanted);
    let (node, link) = (rig.namespace("node"), link_name(1));
    run(&format!("ip -n {node} link set {link} down"));
    run(&format!("ip -n {node} link set {link} up"));
    assert!(!rig.answers(wanted[0].addresses[0]));
    rig.turn(&wanted);
    traffic_flows(&rig, &wanted);
}

/// aws/amazon-vpc-cni-k8s#2684.
#[test]
fn a_macvlan_with_the_mac_of_the_eni_is_not_touched() {
    let wanted = [eni(1)];
    let rig = attached(&wanted);
    let (node, link) = (rig.namespace("node"), link_name(1));
    run(&format!("ip -n {node} link add link {link} name child address 02:00:00:00:00:01 type macvlan mode passthru"));
    let turn = rig.turn(&wanted);
    assert_eq!(turn.reports[0].link.as_ref().unwrap().name, link);
    let child = run(&format!("ip -n {node} addr show child"));
    assert!(child.contains("state DOWN") && !child.contains("inet"), "{child}");
}

#[test]
fn a_link_with_a_macvlan_on_it_keeps_its_mtu_and_stays_up() {
    let wanted = [eni(1)];
    let rig = attached(&wanted);
    rig.turn(&wanted);
    let (node, link) = (rig.namespace("node"), link_name(1));
    run(&format!("ip -n {node} link add link {link} name child type macvlan"));
    let mtu =
        |of: String| of.split("mtu ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default().to_owned();
    let before = run(&format!("ip -n {node} link show {link}"));
    rig.turn(&[]);
    let after = run(&format!("ip -n {node} link show {link}"));
    assert!(after.contains(",UP"), "{after}");
    assert_eq!(mtu(after), mtu(before));
}

/// amazonlinux/amazon-ec2-net-utils#96 and #167.
#[test]
fn routes_rules_and_addresses_of_others_stay() {
    let wanted = [eni(1)];
    let rig = attached(&wanted);
    let (node, link) = (rig.namespace("node"), link_name(1));
    run(&format!("ip -n {node} link set {link} up"));
    run(&format!("ip -n {node} addr add 192.168.7.1/24 dev {link}"));
    run(&format!("ip -n {node} route add 10.99.0.0/16 dev {link} proto static"));
    run(&format!("ip -n {node} rule add from 10.0.1.11 fwmark 7 lookup 10001 priority 100"));
    run(&format!("ip -n {node} rule add from 10.0.99.0/24 lookup 10001 priority 32765 protocol boot"));
    let before = rig.state();
    rig.turn(&wanted);
    let during = rig.state();
    for part in ["192.168.7.1/24", "10.99.0.0/16", "fwmark 0x7", "from 10.0.99.0/24"] {
        assert!(during.contains(part), "{part}:\n{during}");
    }
    rig.turn(&[]);
    assert_eq!(rig.state(), before);
}

/// rustyrazorblade/easy-db-lab#805.
#[test]
fn a_link_with_a_default_route_and_the_primary_interface_are_never_touched() {
    let wanted = [eni(1)];
    let rig = attached(&wanted);
    let (node, link) = (rig.namespace("node"), link_name(1));
    run(&format!("ip -n {node} link set {link} up"));
    run(&format!("ip -n {node} route add default via 10.0.1.1 dev {link} onlink proto dhcp metric 1024"));
    let before = rig.state();
    let turn = rig.turn(&wanted);
    assert!(matches!(turn.reports[0].outcome, Outcome::Blocked(Obstacle::HasDefaultRoute(_))));
    let primary = WantedEni { mac: Some("02:00:00:00:00:00".parse().unwrap()), ..eni(1) };
    rig.turn(&[primary]);
    assert_eq!(rig.state(), before);
}

/// moby/moby#43466 and the trap of a second default route: the router's advertisements are ignored on the ENI.
#[test]
fn router_advertisements_are_off_on_the_eni_and_on_no_other_link() {
    let wanted = [WantedEni { mode: NodeMode::Link, ..eni(1) }];
    let rig = attached(&wanted);
    let accept_ra = |link: &str| {
        fs::read_to_string(format!("/proc/thread-self/root/proc/sys/net/ipv6/conf/{link}/accept_ra")).unwrap()
    };
    let before = (accept_ra("ens5"), accept_ra(&link_name(1)));
    assert_eq!(before.1.trim(), "1");
    rig.turn(&wanted);
    assert_eq!((accept_ra("ens5"), accept_ra(&link_name(1)).trim()), (before.0.clone(), "0"));
    rig.turn(&[]);
    assert_eq!((accept_ra("ens5"), accept_ra(&link_name(1))), before);
}

/// acassen/keepalived#246: the same rule again and again.
#[test]
fn a_rule_that_is_added_twice_is_there_once() {
    use multi_eni_agent::netlink::{Change, NetlinkSocket, change};
    use multi_eni_agent::node::Rule;
    rig::empty_namespace();
    let mut socket = NetlinkSocket::open().unwrap();
    let source = Some(Cidr::host("10.0.1.11".parse().unwrap()));
    let rule = Rule { source, is_ipv6: false, table: 10_001, priority: 32_765, protocol: OURS, is_plain: true };
    // The same rule of another program stands beside ours, and stays when ours goes.
    let theirs = Rule { protocol: 4, ..rule.clone() };
    for wanted in [&rule, &rule, &theirs] {
        change::make(&mut socket, &Change::AddRule(wanted.clone())).unwrap();
    }
    let mut rules = || multi_eni_agent::netlink::dump::everything(&mut socket).unwrap().rules;
    let ours = rules().into_iter().filter(|rule| rule.source == source).collect::<Vec<_>>();
    assert_eq!(ours.len(), 2, "{ours:?}");
    change::make(&mut socket, &Change::RemoveRule(rule.clone())).unwrap();
    let left: Vec<_> = multi_eni_agent::netlink::dump::everything(&mut socket).unwrap().rules;
    assert_eq!(left.into_iter().filter(|rule| rule.source == source).collect::<Vec<_>>(), [theirs]);
}

/// awslabs/amazon-eks-ami#2180: the link is down; and #2791: networkd configures it, with the same numbers.
#[test]
fn a_link_that_networkd_manages_is_ceded_until_networkd_lets_it_go() {
    let wanted = [eni(1)];
    let rig = attached(&wanted);
    let before = rig.state();
    let index = rig.agent().plan(&wanted).unwrap().reports[0].link.as_ref().unwrap().index;
    let state = rig.run_dir().join(format!("systemd/netif/links/{index}"));
    fs::create_dir_all(state.parent().unwrap()).unwrap();
    fs::write(&state, "ADMIN_STATE=configuring\nNETWORK_FILE=/run/systemd/network/70-eks-ens6.network\n").unwrap();
    let turn = rig.turn(&wanted);
    assert!(matches!(turn.reports[0].outcome, Outcome::Blocked(Obstacle::ManagedByOther { .. })));
    assert_eq!(rig.state(), before);
    fs::write(&state, "ADMIN_STATE=unmanaged\n").unwrap();
    rig.turn(&wanted);
    traffic_flows(&rig, &wanted);
}

#[test]
fn an_mtu_that_the_device_cannot_have_leaves_the_node_untouched() {
    let wanted = [WantedEni { mtu: Some(70_000), ..eni(1) }];
    let rig = attached(&[eni(1)]);
    let before = rig.state();
    let turn = rig.turn(&wanted);
    assert!(matches!(turn.reports[0].outcome, Outcome::Blocked(Obstacle::MtuOutOfBounds { .. })), "{:?}", turn.reports);
    assert_eq!(rig.state(), before);
}

#[test]
fn a_route_of_the_table_main_goes_by_the_eni_with_its_address() {
    let to = |to: &str| WantedRoute { to: to.parse().unwrap(), table: RouteTable::Main };
    let mut wanted = [eni(1), eni(2)];
    for eni in &mut wanted {
        eni.routes = vec![to("10.20.0.0/16"), to("2001:db8:20::/48")];
    }
    let rig = attached(&wanted);
    rig.turn(&wanted);
    let source = |target: &str| {
        let socket = std::net::UdpSocket::bind(if target.contains(':') { "[::]:0" } else { "0.0.0.0:0" }).unwrap();
        socket.connect((target, 9)).unwrap();
        socket.local_addr().unwrap().ip()
    };
    assert_eq!(source(rig::CLIENT_V4), wanted[0].addresses[0]);
    assert_eq!(source(rig::CLIENT_V6), wanted[0].addresses[2]);
    wanted.iter().flat_map(|eni| &eni.addresses).for_each(|address| flows(&rig, *address));
    // The price of a route in the table main: the primary address answers this network by the ENI, and the VPC drops that.
    assert!(!rig.answers(PRIMARY_V4.parse().unwrap()));
    assert_eq!(rig.turn(&wanted).steps, Vec::<String>::new());
    rig.turn(&[]);
    assert_eq!(source(rig::CLIENT_V4).to_string(), PRIMARY_V4);
}

/// USBGuard/usbguard#349 and little-dude/netlink#139: a full socket ended the agent.
#[test]
fn lost_events_are_told_and_the_socket_goes_on() {
    use multi_eni_agent::netlink::events::{Event, EventSocket};
    use multi_eni_agent::netlink::{Change, NetlinkSocket, change};
    rig::empty_namespace();
    let events = EventSocket::open().unwrap();
    events.set_room(1).unwrap();
    let mut socket = NetlinkSocket::open().unwrap();
    for _ in 0..50 {
        for up in [true, false] {
            change::make(&mut socket, &Change::SetUp { link: 1, up }).unwrap();
        }
    }
    let mut seen = Vec::new();
    rig::until("an event says that events were lost", || {
        seen.push(events.wait().unwrap());
        seen.last() == Some(&Event::Lost)
    });
    // The socket still works: whatever was left in it comes before the new event.
    let thread = std::thread::spawn(move || (0..200).any(|_| events.wait().unwrap() == Event::Changed));
    for up in [true, false] {
        change::make(&mut socket, &Change::SetUp { link: 1, up }).unwrap();
    }
    assert!(thread.join().unwrap());
}

#[test]
fn rules_with_more_conditions_than_a_source_are_told_apart() {
    use multi_eni_agent::netlink::{NetlinkSocket, dump};
    let rig = Rig::new();
    let node = rig.namespace("node");
    let rules = [
        "from 10.0.1.11 lookup 7",
        "from 10.0.1.11 to 10.0.0.0/8 lookup 7",
        "from 10.0.1.11 iif lo lookup 7",
        "from 10.0.1.11 fwmark 7 lookup 7",
        "from 10.0.1.11 tos 0x10 lookup 7",
        "not from 10.0.1.11 lookup 7",
        "from 10.0.1.11 uidrange 0-7 lookup 7",
        "from 10.0.1.11 ipproto tcp dport 80 lookup 7",
        "from 10.0.1.11 lookup 7 suppress_prefixlength 0",
        "from 10.0.1.11 blackhole",
    ];
    for (rule, priority) in rules.iter().zip(100..) {
        run(&format!("ip -n {node} rule add {rule} priority {priority}"));
    }
    let seen = dump::everything(&mut NetlinkSocket::open().unwrap()).unwrap().rules;
    for (rule, priority) in rules.iter().zip(100..) {
        let seen = seen.iter().find(|seen| seen.priority == priority).unwrap();
        assert_eq!(seen.is_plain, priority == 100, "{rule}: {seen:?}");
    }
}

#[test]
fn a_default_route_with_several_next_hops_is_one_of_each_link() {
    let wanted = [eni(1)];
    let rig = attached(&wanted);
    let (node, link) = (rig.namespace("node"), link_name(1));
    run(&format!("ip -n {node} link set {link} up"));
    run(&format!(
        "ip -n {node} route add default metric 900 nexthop via 10.0.0.1 dev ens5 onlink nexthop via 10.0.1.1 dev {link} onlink"
    ));
    let turn = rig.turn(&wanted);
    assert!(matches!(turn.reports[0].outcome, Outcome::Blocked(Obstacle::HasDefaultRoute(_))), "{:?}", turn.reports);
}
