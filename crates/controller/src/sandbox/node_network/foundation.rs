//! The names of the namespaces, and the commands of `ip` that make the router and the client, as plain data.

use super::router_rules::ROUTER_V6;

/// The router: what a VPC is to its ENIs.
pub const ROUTER: &str = "vpc";
/// A host in another network, which sends the pings.
pub const CLIENT: &str = "client";
/// The client's IPv4 address.
pub const CLIENT_V4: &str = "192.168.255.10";
/// The client's IPv6 address.
pub const CLIENT_V6: &str = "2001:db8:ffff::10";
const CLIENT_GATEWAY: &str = "192.168.255.1";

/// How the names of all namespaces and directories of sandboxes begin.
const PREFIX: &str = "multi-eni-sandbox-";

/// How the names of the namespaces of one sandbox begin, by its process ID.
pub fn prefix(process: u32) -> String {
    format!("{PREFIX}{process}")
}

/// The process ID of the sandbox to which a namespace or a directory belongs.
pub fn process_of(name: &str) -> Option<u32> {
    let rest = name.strip_prefix(PREFIX)?;
    rest.split('-').next()?.parse().ok()
}

/// The sysctls of the router.
pub const ROUTER_SYSCTLS: [(&str, &str); 2] = [("ipv4/ip_forward", "1"), ("ipv6/conf/all/forwarding", "1")];
/// The sysctl that lets root send pings.
pub const PING_SYSCTL: (&str, &str) = ("ipv4/ping_group_range", "0 0");

/// The commands in the namespace of the router that make the client's link.
pub fn router_commands(client_namespace: &str) -> Vec<String> {
    vec![
        format!("link add client type veth peer name eth0 netns {client_namespace}"),
        format!("addr add {ROUTER_V6}/64 dev client nodad"),
        "link set client up".to_owned(),
        format!("addr add {CLIENT_GATEWAY}/32 dev client"),
        format!("route add {CLIENT_V4}/32 dev client"),
        format!("route add {CLIENT_V6}/128 dev client"),
    ]
}

/// The commands in the namespace of the client.
pub fn client_commands() -> Vec<String> {
    vec![
        "link set eth0 up".to_owned(),
        format!("addr add {CLIENT_V4}/24 dev eth0"),
        format!("addr add {CLIENT_V6}/64 dev eth0 nodad"),
        format!("route add default via {CLIENT_GATEWAY} dev eth0"),
        format!("route add ::/0 via {ROUTER_V6} dev eth0"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_process_and_other_names_tell_none() {
        assert_eq!(process_of(&format!("{}-node1", prefix(4711))), Some(4711));
        assert_eq!(process_of(&prefix(4711)), Some(4711));
        for other in ["multi-eni-sandbox-", "multi-eni-sandbox-x-vpc", "cni-4711", "mea1x0-node"] {
            assert_eq!(process_of(other), None, "{other}");
        }
    }
}
