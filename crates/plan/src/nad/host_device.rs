//! The definition of host-device for one NodeENI: the Pod gets the link, or the device for DPDK, of an ENI. It is the same on all nodes.

use super::cni::{Capabilities, CniPlugin, IpamPlugin, Route};
use super::definition::Definition;
use super::ipv4::Network;
use super::left_out::Reason;
use crate::attachment::Attachment;
use multi_eni_api::NodeSettings;
use multi_eni_api::names::full_resource_name;
use multi_eni_api::node_config::{NodeConfig, NodeMode, check_interface_name};
use multi_eni_api::resource_name::check_resource_name;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// Where the addresses of a Pod come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ipam {
    /// The Pod's annotation.
    Static,
    /// The VPC answers DHCP with the primary address of the ENI.
    Dhcp,
}

/// How a Pod gets the ENI.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By a resource that it requests.
    Resource {
        /// The resource.
        name: String,
        /// The device has a driver for DPDK.
        is_dpdk: bool,
    },
    /// The device has a driver for DPDK, and no resource offers it.
    Driver,
    /// By the alternative name of the link, if it has one.
    Link,
}

/// The way that the settings ask for.
pub(super) fn way(settings: &NodeSettings) -> Way {
    let resource = settings.dpdk_resource_name.as_deref().map(full_resource_name);
    let is_dpdk = settings.enable_dpdk == Some(true);
    match resource.filter(|name| !name.is_empty()) {
        Some(name) => Way::Resource { name: name.into_owned(), is_dpdk },
        None if is_dpdk => Way::Driver,
        None => Way::Link,
    }
}

/// The alternative name that the settings ask for, whatever the mode. None: they ask for none, or cannot be read.
pub(super) fn interface_name(settings: &NodeSettings) -> Option<String> {
    let config = settings.node_config.as_ref().and_then(|config| NodeConfig::parse(config).ok())?;
    config.interface_name.filter(|name| !name.is_empty())
}

/// Whether the definition has the gateway of the ENIs.
pub(super) fn has_gateway(settings: &NodeSettings, ipam: Option<Ipam>) -> bool {
    match way(settings) {
        Way::Resource { is_dpdk: true, .. } | Way::Driver => false,
        Way::Resource { is_dpdk: false, .. } => ipam == Some(Ipam::Static),
        Way::Link => ipam != Some(Ipam::Dhcp),
    }
}

/// A NodeENI, as far as the definition depends on it.
pub(super) struct HostDevice<'a> {
    pub nodeeni: &'a str,
    pub settings: &'a NodeSettings,
    pub attachments: &'a [&'a Attachment],
}

impl HostDevice<'_> {
    /// The definition.
    pub fn definition(&self, namespace: &str, ipam: Option<Ipam>) -> Result<Definition, Reason> {
        match way(self.settings) {
            Way::Resource { name, is_dpdk } => {
                check_resource_name(self.settings.dpdk_resource_name.as_deref().unwrap_or_default())
                    .map_err(Reason::Unreadable)?;
                let mut definition = self.by_resource(namespace, &name, ipam, is_dpdk);
                definition.resource = Some(name);
                Ok(definition)
            }
            Way::Driver => Err(Reason::DpdkNeedsResource),
            Way::Link => self.by_name(namespace, ipam.unwrap_or(Ipam::Static)),
        }
    }

    fn by_resource(&self, namespace: &str, resource: &str, ipam: Option<Ipam>, is_dpdk: bool) -> Definition {
        let mut comments = vec![
            format!(
                "NodeENI {}: a pod gets the ENI that kubelet has chosen for its resource {resource}.",
                self.nodeeni
            ),
            "The node agent must offer it: nodeAgent.devicePlugin.enabled in the chart.".to_owned(),
        ];
        if is_dpdk {
            comments
                .push("The device has a driver for DPDK. No link is moved, and the pod gets no address.".to_owned());
            let capabilities = Capabilities { device_id: true, ..Capabilities::default() };
            let plugin = CniPlugin::HostDevice { device: None, capabilities, ipam: None };
            return Definition::new(self.nodeeni, namespace, vec![plugin], comments);
        }
        let ipam = ipam.unwrap_or(Ipam::Dhcp);
        let addresses = self.addresses(ipam, &mut comments);
        let capabilities = Capabilities { ips: ipam == Ipam::Static, device_id: true };
        let plugin = CniPlugin::HostDevice { device: None, capabilities, ipam: Some(addresses) };
        Definition::new(self.nodeeni, namespace, vec![plugin, CniPlugin::Sbr], comments)
    }

    fn by_name(&self, namespace: &str, ipam: Ipam) -> Result<Definition, Reason> {
        let config = self.settings.node_config.as_ref().map(NodeConfig::parse).transpose();
        let config = config.map_err(Reason::Unreadable)?.unwrap_or_default();
        let name = config.interface_name.filter(|name| !name.is_empty()).ok_or(Reason::NotForPods)?;
        check_interface_name(&name).map_err(Reason::Unreadable)?;
        match config.mode.unwrap_or_default() {
            NodeMode::None => return Err(Reason::ModeNone),
            NodeMode::Link | NodeMode::Addresses => {}
        }
        let mut comments = vec![format!(
            "NodeENI {}: a pod gets the link with the alternative name {name}. One pod on a node can have it.",
            self.nodeeni
        )];
        let addresses = self.addresses(ipam, &mut comments);
        let capabilities = Capabilities { ips: ipam == Ipam::Static, ..Capabilities::default() };
        let plugin = CniPlugin::HostDevice { device: Some(name), capabilities, ipam: Some(addresses) };
        Ok(Definition::new(self.nodeeni, namespace, vec![plugin, CniPlugin::Sbr], comments))
    }

    fn addresses(&self, ipam: Ipam, comments: &mut Vec<String>) -> IpamPlugin {
        match ipam {
            Ipam::Dhcp => {
                comments.push("The daemon of the plugin dhcp must run on the node.".to_owned());
                IpamPlugin::Dhcp
            }
            Ipam::Static => {
                comments.push("The pod's annotation must name an address of its node's ENI (ips).".to_owned());
                IpamPlugin::Static { routes: self.routes(comments) }
            }
        }
    }

    /// The default route, if all ENIs have one gateway.
    fn routes(&self, comments: &mut Vec<String>) -> Vec<Route> {
        let subnets = self.attachments.iter().filter_map(|attachment| attachment.request.subnet_cidr.as_deref());
        let gateways = subnets.filter_map(|cidr| Network::parse(cidr).ok()).map(Network::gateway);
        let gateways: Vec<Ipv4Addr> = gateways.collect::<BTreeSet<_>>().into_iter().collect();
        match gateways.as_slice() {
            [gateway] => vec![Route::default_by(Some(*gateway))],
            [] => {
                let why = "No route: no ENIAttachment shows the subnet yet. Packets reach the subnet only.";
                comments.push(why.to_owned());
                Vec::new()
            }
            [_, _, ..] => {
                let why =
                    "No route: the ENIs are in several subnets. Packets reach the subnet only; --ipam dhcp has routes.";
                comments.push(why.to_owned());
                Vec::new()
            }
        }
    }
}
