//! The commands of `ip` for a change of a link, as plain text. The router routes to each ENI by its own link, and drops what comes
//! by a link from a source that the ENI does not own, as EC2 does.

use super::eni_link::EniLink;
use super::link_changes::LinkChange;

/// Priority of the rules that let the sources of an ENI pass.
const PASS: u32 = 100;
/// Priority of the rules that drop all else.
const DROP: u32 = 1000;
/// The router's IPv6 address on each link. EC2's is the same.
pub const ROUTER_V6: &str = "fe80:ec2::1";

/// Commands for `ip -batch`, in the order of the fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commands {
    /// In the namespace of the router.
    pub router: Vec<String>,
    /// In the namespace of the router, with `-6`: `ip` does not take the family of a rule from its source.
    pub router_ipv6: Vec<String>,
    /// In the namespace of the node.
    pub node: Vec<String>,
}

/// The commands for a change. `node_namespace` is the full name of the node's namespace.
pub fn commands(change: &LinkChange, node_namespace: &str) -> Commands {
    match change {
        LinkChange::Plug(link) => plug(link, node_namespace),
        LinkChange::Unplug(link) => Commands {
            router: with_last(rules("del", link, false), format!("link del {}", link.router_name)),
            router_ipv6: rules("del", link, true),
            node: Vec::new(),
        },
        LinkChange::Reroute { before, after } => {
            let rules = |is_ipv6| [rules("del", before, is_ipv6), rules("add", after, is_ipv6)].concat();
            Commands {
                router: [routes("del", before), routes("add", after), rules(false)].concat(),
                router_ipv6: rules(true),
                node: Vec::new(),
            }
        }
    }
}

fn with_last(mut lines: Vec<String>, last: String) -> Vec<String> {
    lines.push(last);
    lines
}

fn plug(link: &EniLink, node_namespace: &str) -> Commands {
    let (router_name, name, mac) = (&link.router_name, &link.name, &link.mac);
    let mut router = vec![
        // Jumbo frames pass, as in a VPC.
        format!("link add {router_name} mtu 9001 type veth peer name {name} address {mac} netns {node_namespace}"),
        format!("addr add {ROUTER_V6}/64 dev {router_name} nodad"),
        format!("link set {router_name} up"),
    ];
    if let Some(subnet) = link.subnet {
        router.push(format!("addr add {}/32 dev {router_name}", subnet.gateway));
    }
    router.extend(routes("add", link));
    router.extend(rules("add", link, false));
    let node = if link.is_primary { primary(link) } else { Vec::new() };
    Commands { router, router_ipv6: rules("add", link, true), node }
}

/// The node's own configuration of its primary interface, which an image does by DHCP.
fn primary(link: &EniLink) -> Vec<String> {
    let name = &link.name;
    let mut lines = vec![format!("link set {name} up")];
    for address in &link.addresses {
        match (address.is_ipv6(), link.subnet) {
            (true, _) => lines.push(format!("addr add {address}/64 dev {name} nodad")),
            (false, Some(subnet)) => lines.push(format!("addr add {address}/{} dev {name}", subnet.length)),
            (false, None) => {}
        }
    }
    if let Some(subnet) = link.subnet {
        lines.push(format!("route add default via {} dev {name} proto dhcp metric 512", subnet.gateway));
    }
    if link.addresses.iter().any(std::net::IpAddr::is_ipv6) {
        lines.push(format!("route add ::/0 via {ROUTER_V6} dev {name} proto ra metric 512"));
    }
    lines
}

fn routes(verb: &str, link: &EniLink) -> Vec<String> {
    link.owned().map(|network| format!("route {verb} {network} dev {}", link.router_name)).collect()
}

fn rules(verb: &str, link: &EniLink, is_ipv6: bool) -> Vec<String> {
    if !link.has_source_check {
        return Vec::new();
    }
    let dev = &link.router_name;
    let owned = link.owned().filter(|network| network.contains(':') == is_ipv6);
    let pass = owned.map(|network| format!("rule {verb} from {network} iif {dev} lookup main priority {PASS}"));
    let drop = format!("rule {verb} iif {dev} blackhole priority {DROP}");
    with_last(pass.collect(), drop)
}

#[cfg(test)]
mod tests {
    use super::super::eni_link::SubnetV4;
    use super::*;

    fn link(is_primary: bool) -> EniLink {
        EniLink {
            node: "node1".to_owned(),
            name: "ens6".to_owned(),
            router_name: "v1".to_owned(),
            mac: "02:00:00:00:00:01".to_owned(),
            is_primary,
            addresses: vec!["10.0.1.4".parse().unwrap(), "2001:db8:1::4".parse().unwrap()],
            prefixes: vec!["10.0.1.16/28".to_owned()],
            subnet: Some(SubnetV4 { gateway: "10.0.1.1".parse().unwrap(), length: 24 }),
            has_source_check: true,
        }
    }

    #[test]
    fn a_link_appears_bare_and_the_primary_one_is_configured() {
        let plugged = commands(&LinkChange::Plug(link(false)), "ns-node1");
        assert!(plugged.router[0].ends_with("peer name ens6 address 02:00:00:00:00:01 netns ns-node1"));
        assert_eq!(plugged.node, Vec::<String>::new(), "the rest is for the agent to do");
        let primary = commands(&LinkChange::Plug(link(true)), "ns-node1").node;
        assert!(primary.contains(&"addr add 10.0.1.4/24 dev ens6".to_owned()), "{primary:?}");
        assert!(primary.iter().any(|line| line.starts_with("route add default via 10.0.1.1 dev ens6")), "{primary:?}");
    }

    #[test]
    fn all_rules_that_plug_adds_unplug_removes() {
        let of = |change: LinkChange, verb: &str| -> Vec<String> {
            let Commands { router, router_ipv6, .. } = commands(&change, "ns");
            let lines = router.into_iter().chain(router_ipv6);
            lines.filter_map(|line| line.strip_prefix(&format!("rule {verb} ")).map(ToOwned::to_owned)).collect()
        };
        let added = of(LinkChange::Plug(link(false)), "add");
        assert_eq!(added.len(), 5, "two addresses, a prefix, and all else of both families: {added:?}");
        assert_eq!(added, of(LinkChange::Unplug(link(false)), "del"));
    }

    #[test]
    fn without_the_source_check_nothing_is_dropped() {
        let after = EniLink { has_source_check: false, ..link(false) };
        let lines = commands(&LinkChange::Reroute { before: link(false), after }, "ns").router;
        assert!(lines.iter().any(|line| line.starts_with("rule del iif v1 blackhole")), "{lines:?}");
        assert!(!lines.iter().any(|line| line.starts_with("rule add")), "{lines:?}");
        assert!(lines.contains(&"route add 10.0.1.4/32 dev v1".to_owned()), "{lines:?}");
    }
}
