//! `nodeConfig` of a NodeENI: what the node agent does with the interface. The controller copies it to the ENIAttachments as it is
//! stored, because an older NodeENI may have a `nodeConfig` that this schema refuses. The agent parses it.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the node agent does with the interface.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
        "!has(self.routes) || size(self.routes) == 0 || (has(self.mode) && self.mode == 'addresses')"
    ).message("nodeConfig.routes needs nodeConfig.mode addresses: without addresses on the node, no route can use the ENI")
)]
pub struct NodeConfig {
    /// `none`: the agent sets nothing on the interface, and takes back what it has set before. `link` (the default): the agent sets
    /// the link up, and sets its MTU and its alternative name. `addresses`: besides, the agent sets the addresses of the ENI with a
    /// route table and rules of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::node_mode")]
    pub mode: Option<NodeMode>,

    /// An alternative name of the interface on every node, at most 15 characters. The kernel's name stays. It needs one ENI of the
    /// NodeENI on a node: two links of a node cannot have one name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxLength" = 64))]
    #[x_kube(validation = Rule::new("size(self) > 0").message("nodeConfig.interfaceName must not be empty: leave it out if the interface needs no alternative name"))]
    #[x_kube(validation = Rule::new("self == '' || self.matches('^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$') && !self.startsWith('en') && !self.startsWith('eth') && self != 'lo'").message("nodeConfig.interfaceName must have at most 15 letters, digits, '_', '.' and '-', must not begin with en or eth, because network managers and CNI plugins take such names for theirs, and must not be lo, the loopback"))]
    pub interface_name: Option<String>,

    /// Networks that the node reaches by the ENI, with the mode `addresses`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(validation = Rule::new("self.all(a, !isCIDR(a.to) || self.exists_one(b, isCIDR(b.to) && cidr(b.to) == cidr(a.to) && (has(b.table) ? b.table : 'own') == (has(a.table) ? a.table : 'own')))").message("nodeConfig.routes has two routes to one network in one table: remove one of them"))]
    pub routes: Option<Vec<NodeRoute>>,
}

/// What the node agent does with the interface.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "lowercase")]
pub enum NodeMode {
    /// Nothing.
    None,
    /// Up, MTU and alternative name.
    #[default]
    Link,
    /// The addresses, a route table and rules, too.
    Addresses,
}

/// The mode that a stored `nodeConfig` asks for. One whose mode cannot be read asks for the default, and the agent refuses it.
pub fn mode_of(config: Option<&BTreeMap<String, serde_json::Value>>) -> NodeMode {
    let mode = config.and_then(|config| config.get("mode"));
    mode.and_then(|mode| NodeMode::deserialize(mode).ok()).unwrap_or_default()
}

/// A route by the ENI to one network.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
        "!has(self.table) || self.table != 'main' || !isCIDR(self.to) || ['169.254.0.0/16', 'fd00:ec2::/32', 'fe80::/10'].all(n, !cidr(n).containsCIDR(cidr(self.to)) && !cidr(self.to).containsCIDR(cidr(n)))"
    ).message("a route with table main must not reach 169.254.0.0/16, fd00:ec2::/32 or fe80::/10: the node asks the instance metadata service, the DNS server and the clock of EC2 there")
)]
pub struct NodeRoute {
    /// The destination, such as 10.1.0.0/16.
    #[schemars(extend("maxLength" = 64))]
    #[x_kube(validation = Rule::new("isCIDR(self) && self.matches('^((0|[1-9][0-9]{0,2})([.](0|[1-9][0-9]{0,2})){3}|[0-9a-fA-F:]+)/(0|[1-9][0-9]{0,2})$')").message("to must be a network such as 10.1.0.0/16 or 2001:db8::/32. The numbers of an IPv4 address have no leading zeros: 10.1.0.0/16, not 010.001.0.0/16"))]
    #[x_kube(validation = Rule::new("!isCIDR(self) || cidr(self).prefixLength() >= (self.contains(':') ? 16 : 8)").message("the prefix of to must have at least 8 bits (IPv4) or 16 bits (IPv6): a shorter one would take the traffic of the default route"))]
    #[x_kube(validation = Rule::new("!isCIDR(self) || cidr(self) == cidr(self).masked()").message("to must be the address of a network, without bits after the prefix: 10.1.0.0/16, not 10.1.2.3/16"))]
    #[x_kube(validation = Rule::new("!isCIDR(self) || ['0.0.0.0/8', '127.0.0.0/8', '224.0.0.0/4', '255.255.255.255/32', '::/16', 'ff00::/8'].all(n, !cidr(n).containsCIDR(cidr(self)))").message("to must be a network of unicast addresses, and no part of 0.0.0.0/8, 127.0.0.0/8, 224.0.0.0/4, 255.255.255.255/32, ::/16 or ff00::/8: these are no addresses of other hosts, or are those of multicast and broadcast"))]
    pub to: String,

    /// `own` (the default): the route table of the ENI, which the ENI's own addresses use. `main`: the table that all traffic of
    /// the node uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::route_table")]
    pub table: Option<RouteTable>,
}

/// A route table of the node.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "lowercase")]
pub enum RouteTable {
    /// The ENI's own.
    #[default]
    Own,
    /// The table main.
    Main,
}

impl NodeConfig {
    /// Reads a stored `nodeConfig`.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(stored: &BTreeMap<String, serde_json::Value>) -> Result<Self, String> {
        let routes = stored.get("routes").and_then(|routes| routes.as_array()).into_iter().flatten();
        let of_routes = routes.filter_map(|route| route.as_object()).flat_map(|route| route.keys());
        let known = |names: &'static [&str]| move |name: &&String| !names.contains(&name.as_str());
        let mut unknown = stored.keys().filter(known(FIELDS)).chain(of_routes.filter(known(ROUTE_FIELDS)));
        if let Some(field) = unknown.next() {
            return Err(format!("nodeConfig cannot be used: this version does not know the field {field}"));
        }
        let object = serde_json::Value::Object(stored.clone().into_iter().collect());
        serde_json::from_value(object).map_err(|error| format!("nodeConfig cannot be used: {error}"))
    }
}

/// The fields of nodeConfig. The API server removes others from new objects; stored ones may have them.
const FIELDS: &[&str] = &["mode", "interfaceName", "routes"];
/// The fields of an entry of nodeConfig.routes.
const ROUTE_FIELDS: &[&str] = &["to", "table"];

/// Checks an alternative name, as the schema does. A stored name may be older than the schema.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn check_interface_name(name: &str) -> Result<(), String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let is_named = name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(is_allowed);
    if !is_named || name.len() > 15 {
        return Err(format!(
            "nodeConfig.interfaceName {name:?} must have at most 15 letters, digits, '_', '.' and '-'"
        ));
    }
    if name.starts_with("en") || name.starts_with("eth") || name == "lo" {
        return Err(format!("nodeConfig.interfaceName {name:?} must not begin with en or eth, and must not be lo"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::CustomResourceExt;
    use serde_json::{Value, json};

    fn parse(value: Value) -> Result<NodeConfig, String> {
        NodeConfig::parse(&serde_json::from_value(value).unwrap())
    }

    #[test]
    fn a_stored_config_is_read_and_an_unknown_field_is_refused_by_name() {
        let config =
            parse(json!({ "mode": "addresses", "routes": [{ "to": "10.1.0.0/16", "table": "main" }] })).unwrap();
        assert_eq!(config.mode, Some(NodeMode::Addresses));
        assert_eq!(config.routes.unwrap()[0].table, Some(RouteTable::Main));
        assert_eq!(parse(json!({})).unwrap(), NodeConfig::default());
        let refused = parse(json!({ "queues": { "rx": 2 } })).unwrap_err();
        assert!(refused.contains("queues"), "{refused}");
        let refused = parse(json!({ "routes": [{ "to": "10.1.0.0/16", "via": "10.0.0.1" }] })).unwrap_err();
        assert!(refused.contains("via"), "{refused}");
    }

    #[test]
    fn the_fields_are_those_of_the_schema_and_the_words_are_those_of_the_types() {
        let crd = serde_json::to_value(crate::NodeENI::crd()).unwrap();
        let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
        let config = &spec["nodeConfig"]["properties"];
        let names =
            |schema: &Value| schema.as_object().unwrap().keys().cloned().collect::<std::collections::BTreeSet<_>>();
        let expected = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(names(config), expected(FIELDS));
        let route = &config["routes"]["items"]["properties"];
        assert_eq!(names(route), expected(ROUTE_FIELDS));
        assert_eq!(config["mode"]["enum"], json!([NodeMode::None, NodeMode::Link, NodeMode::Addresses]));
        assert_eq!(route["table"]["enum"], json!([RouteTable::Own, RouteTable::Main]));
    }

    #[test]
    fn names_that_others_take_for_theirs_are_refused() {
        for name in ["storage", "net1", "a.b-c_d", "x23456789012345"] {
            assert_eq!(check_interface_name(name), Ok(()), "{name}");
        }
        for name in
            ["", "lo", "eth1", "ens5", "eni0", "enp0s6", "x234567890123456", "a/b", "a b", ".", "..", "-a", "a:b", "ü"]
        {
            assert!(check_interface_name(name).is_err(), "{name}");
        }
    }
}
