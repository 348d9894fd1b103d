//! Whether the node may have a route to a network by an ENI. The schema of NodeENI refuses the same destinations, but a stored NodeENI
//! may be older than the schema. It is given plain data, and reads nothing of the node.

use crate::node::Cidr;
use multi_eni_api::node_config::RouteTable;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// No addresses of other hosts, or those of multicast and broadcast.
const NOT_UNICAST: &[Cidr] = &[
    ipv4([0, 0, 0, 0], 8),
    ipv4([127, 0, 0, 0], 8),
    ipv4([224, 0, 0, 0], 4),
    ipv4([255, 255, 255, 255], 32),
    ipv6([0, 0], 16),
    ipv6([0xff00, 0], 8),
];

/// Where the node asks the instance metadata service, the DNS server and the clock of EC2.
const LINK_LOCAL_SERVICES: &[Cidr] = &[ipv4([169, 254, 0, 0], 16), ipv6([0xfd00, 0xec2], 32), ipv6([0xfe80, 0], 10)];

const fn ipv4([a, b, c, d]: [u8; 4], prefix_len: u8) -> Cidr {
    Cidr { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix_len }
}

const fn ipv6([first, second]: [u16; 2], prefix_len: u8) -> Cidr {
    Cidr { address: IpAddr::V6(Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0)), prefix_len }
}

/// Checks the destination of a route in this table.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn check(to: Cidr, table: RouteTable) -> Result<(), String> {
    if !to.is_network() {
        return Err(format!("nodeConfig.routes: {to} has bits after its prefix"));
    }
    let shortest = if to.address.is_ipv6() { 16 } else { 8 };
    if to.prefix_len < shortest {
        return Err(format!(
            "nodeConfig.routes: {to} would take the traffic of the default route; the prefix must have at least {shortest} bits"
        ));
    }
    if let Some(network) = NOT_UNICAST.iter().find(|network| network.contains(&to)) {
        return Err(format!("nodeConfig.routes: {to} is no network of unicast addresses, but a part of {network}"));
    }
    let is_near = |network: &&Cidr| network.contains(&to) || to.contains(network);
    match (table, LINK_LOCAL_SERVICES.iter().find(is_near)) {
        (RouteTable::Main, Some(network)) => Err(format!(
            "nodeConfig.routes: {to} in the table main would reach {network}, where the node asks the services of EC2"
        )),
        (RouteTable::Main, None) | (RouteTable::Own, _) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(to: &str, table: RouteTable) -> Option<String> {
        check(to.parse().unwrap(), table).err()
    }

    /// The networks in quotes of the rule of the NodeENI's schema that has these words.
    fn networks_of_rule(schema: &serde_json::Value, words: &str) -> Vec<String> {
        let rules = schema["x-kubernetes-validations"].as_array().unwrap();
        let rule = rules.iter().find(|rule| rule["message"].as_str().unwrap().contains(words)).unwrap();
        let quoted = rule["rule"].as_str().unwrap().split('\'').skip(1).step_by(2);
        quoted.filter(|text| text.contains('/')).map(str::to_owned).collect()
    }

    #[test]
    fn the_networks_are_those_of_the_schema() {
        let crd = serde_json::to_value(&multi_eni_api::crds::all()[0]).unwrap();
        let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
        let route = &spec["nodeConfig"]["properties"]["routes"]["items"];
        let texts = |networks: &[Cidr]| networks.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(texts(NOT_UNICAST), networks_of_rule(&route["properties"]["to"], "unicast"));
        assert_eq!(texts(LINK_LOCAL_SERVICES), networks_of_rule(route, "table main"));
    }

    #[test]
    fn a_route_needs_a_network_of_unicast_addresses_with_a_long_prefix() {
        for (to, part) in [
            ("10.9.0.1/16", "bits after its prefix"),
            ("0.0.0.0/0", "default route"),
            ("128.0.0.0/1", "default route"),
            ("224.0.0.0/4", "default route"),
            ("2000::/3", "default route"),
            ("0.0.0.0/8", "a part of 0.0.0.0/8"),
            ("127.0.0.53/32", "a part of 127.0.0.0/8"),
            ("239.1.0.0/16", "a part of 224.0.0.0/4"),
            ("255.255.255.255/32", "a part of 255.255.255.255/32"),
            ("::1/128", "a part of ::/16"),
            ("::ffff:10.1.0.0/112", "a part of ::/16"),
            ("ff02::/16", "a part of ff00::/8"),
        ] {
            for table in [RouteTable::Own, RouteTable::Main] {
                let why = refusal(to, table).unwrap_or_default();
                assert!(why.contains(part), "{to}: {why:?}");
            }
        }
        for to in ["10.0.0.0/8", "1.0.0.0/8", "126.0.0.0/8", "128.0.0.0/8", "240.0.0.0/8", "64:ff9b::/96", "fe00::/16"]
        {
            assert_eq!(refusal(to, RouteTable::Main), None, "{to}");
        }
    }

    #[test]
    fn a_route_to_the_services_of_ec2_is_for_the_enis_own_table() {
        for to in ["169.254.169.253/32", "169.254.0.0/15", "fd00:ec2::253/128", "fd00::/16", "fe80::/64"] {
            assert_eq!(refusal(to, RouteTable::Own), None, "{to}");
            let why = refusal(to, RouteTable::Main).unwrap_or_default();
            assert!(why.contains("the services of EC2"), "{to}: {why:?}");
        }
    }
}
