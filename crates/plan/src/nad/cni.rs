//! The CNI configuration of a definition, with the fields in the order in which a reader expects them.

use serde::Serialize;
use std::net::Ipv4Addr;

/// A list of plugins that are called one after the other.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Config {
    cni_version: &'static str,
    name: String,
    plugins: Vec<CniPlugin>,
}

impl Config {
    /// The list with this name.
    pub fn new(name: &str, plugins: Vec<CniPlugin>) -> Self {
        Self { cni_version: "1.0.0", name: name.to_owned(), plugins }
    }
}

/// A plugin and its settings.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(super) enum CniPlugin {
    /// Moves a link into the Pod.
    HostDevice {
        /// The name of the link. None: Multus gives the device of the Pod's resource.
        #[serde(skip_serializing_if = "Option::is_none")]
        device: Option<String>,
        /// What Multus may add.
        #[serde(skip_serializing_if = "Capabilities::is_empty")]
        capabilities: Capabilities,
        /// The addresses. None: a device for DPDK has none.
        #[serde(skip_serializing_if = "Option::is_none")]
        ipam: Option<IpamPlugin>,
    },
    /// Makes a link on top of another one, with its MAC address.
    Ipvlan {
        /// The link below.
        master: String,
        /// How packets are forwarded.
        mode: &'static str,
        /// The addresses.
        ipam: IpamPlugin,
    },
    /// Routes packets by their source: it moves the routes of the interface into a table of their own.
    Sbr,
}

/// What Multus may add to the configuration of a plugin.
#[derive(Debug, Default, Serialize)]
pub(super) struct Capabilities {
    /// The addresses of the Pod's annotation.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ips: bool,
    /// The device of the Pod's resource.
    #[serde(rename = "deviceID", skip_serializing_if = "std::ops::Not::not")]
    pub device_id: bool,
}

impl Capabilities {
    fn is_empty(&self) -> bool {
        !(self.ips || self.device_id)
    }
}

/// The plugin that gives addresses.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(super) enum IpamPlugin {
    /// The addresses of the Pod's annotation.
    Static {
        /// Routes.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        routes: Vec<Route>,
    },
    /// The DHCP server of the VPC.
    Dhcp,
    /// Addresses of ranges, of which the plugin keeps a list on the node.
    HostLocal {
        /// Sets of ranges. A Pod gets one address of each set.
        ranges: Vec<Vec<Range>>,
        /// Routes.
        routes: Vec<Route>,
    },
}

/// A route.
#[derive(Debug, Serialize)]
pub(super) struct Route {
    dst: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    gw: Option<Ipv4Addr>,
}

impl Route {
    /// The default route, by this gateway or by that of the range.
    pub fn default_by(gw: Option<Ipv4Addr>) -> Self {
        Self { dst: "0.0.0.0/0", gw }
    }
}

/// Addresses of a subnet.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Range {
    /// The subnet.
    pub subnet: String,
    /// The first address.
    pub range_start: Ipv4Addr,
    /// The last address.
    pub range_end: Ipv4Addr,
    /// The gateway.
    pub gateway: Ipv4Addr,
}
