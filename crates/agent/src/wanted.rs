//! What an ENIAttachment asks of the node, as plain data.

use crate::dpdk::driver::{DpdkDriver, NotADpdkDriver};
use crate::node::{Cidr, Mac};
use crate::pci_address::PciAddress;
use crate::route_destination;
use multi_eni_api::ENIAttachment;
use multi_eni_api::eniattachment::{NodeSettings, Phase};
use multi_eni_api::node_config::{NodeConfig, NodeMode, NodeRoute, RouteTable, check_interface_name};
use std::net::IpAddr;

/// One ENI of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedEni {
    /// Name of the ENIAttachment.
    pub name: String,
    /// UID of the ENIAttachment.
    pub uid: String,
    /// Generation of its spec.
    pub generation: Option<i64>,
    /// Network card.
    pub card: u32,
    /// Device index.
    pub index: u32,
    /// The ENI.
    pub eni_id: Option<String>,
    /// The MAC address. EC2 gives it when the ENI is created.
    pub mac: Option<Mac>,
    /// Whether the ENIAttachment says that EC2 shows the ENI attached: from then on its link is to appear.
    pub is_attached: bool,
    /// What to do.
    pub mode: NodeMode,
    /// An alternative name for the link.
    pub interface_name: Option<String>,
    /// Further routes.
    pub routes: Vec<WantedRoute>,
    /// The MTU. None: the link's own.
    pub mtu: Option<u32>,
    /// Private IPv4 addresses and IPv6 addresses, the primary ones first.
    pub addresses: Vec<IpAddr>,
    /// Delegated prefixes of both families.
    pub prefixes: Vec<Cidr>,
    /// IPv4 CIDR of the subnet.
    pub subnet: Option<Cidr>,
    /// The driver for DPDK to which the device is to be bound. The mode then counts for nothing.
    pub dpdk: Option<WantedDpdk>,
    /// The resource under which pods get the interface.
    pub resource_name: Option<String>,
    /// Why the ENIAttachment cannot be followed, if so.
    pub unusable: Option<String>,
}

/// A device that is to be bound to a driver for DPDK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedDpdk {
    /// The driver: vfio-pci if the spec names none.
    pub driver: Result<DpdkDriver, NotADpdkDriver>,
    /// The device that it must be.
    pub pci_address: Option<PciAddress>,
}

/// A route to a network by the ENI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WantedRoute {
    /// The destination.
    pub to: Cidr,
    /// The table.
    pub table: RouteTable,
}

/// The first number of the agent's route tables.
pub(crate) const TABLES: u32 = 10_000;

impl WantedEni {
    /// The route table of the ENI: the number that Amazon's own tools use for this card and index.
    pub fn table(&self) -> u32 {
        TABLES.saturating_add(self.card.saturating_mul(100)).saturating_add(self.index)
    }

    /// Reads an ENIAttachment. An ENIAttachment that is being deleted asks for nothing.
    pub fn read(object: &ENIAttachment) -> Option<Self> {
        if object.metadata.deletion_timestamp.is_some() {
            return None;
        }
        let (spec, status) = (&object.spec, object.status.clone().unwrap_or_default());
        let mut wanted = Self {
            name: object.metadata.name.clone().unwrap_or_default(),
            uid: object.metadata.uid.clone().unwrap_or_default(),
            generation: object.metadata.generation,
            card: u32::try_from(spec.request.network_card_index).unwrap_or_default(),
            index: u32::try_from(spec.request.device_index).unwrap_or_default(),
            eni_id: status.eni_id.clone(),
            mac: None,
            is_attached: status.phase == Phase::Attached,
            mode: NodeMode::default(),
            interface_name: None,
            routes: Vec::new(),
            mtu: spec.node_settings.mtu.and_then(|mtu| u32::try_from(mtu).ok()).filter(|mtu| *mtu != 0),
            addresses: Vec::new(),
            prefixes: Vec::new(),
            subnet: None,
            dpdk: None,
            resource_name: spec.node_settings.dpdk_resource_name.clone().filter(|name| !name.is_empty()),
            unusable: None,
        };
        wanted.unusable = wanted.fill(object, &status).err();
        Some(wanted)
    }

    /// Reads what is left of an object that is no ENIAttachment of this version: enough to leave its link as it is.
    pub fn read_remains(object: &serde_json::Value, error: &str) -> Option<Self> {
        if object.pointer("/metadata/deletionTimestamp").is_some() {
            return None;
        }
        let text = |path: &str| object.pointer(path).and_then(|value| value.as_str()).unwrap_or_default();
        let number = |path: &str| object.pointer(path).and_then(|value| value.as_u64()).unwrap_or_default();
        Some(Self {
            name: text("/metadata/name").to_owned(),
            uid: text("/metadata/uid").to_owned(),
            generation: object.pointer("/metadata/generation").and_then(|value| value.as_i64()),
            card: u32::try_from(number("/spec/request/networkCardIndex")).unwrap_or_default(),
            index: u32::try_from(number("/spec/request/deviceIndex")).unwrap_or_default(),
            eni_id: None,
            mac: text("/status/macAddress").parse().ok(),
            is_attached: text("/status/phase") == "Attached",
            mode: NodeMode::default(),
            interface_name: None,
            routes: Vec::new(),
            mtu: None,
            addresses: Vec::new(),
            prefixes: Vec::new(),
            subnet: None,
            dpdk: None,
            resource_name: None,
            unusable: Some(format!("the ENIAttachment cannot be read: {error}")),
        })
    }

    fn fill(&mut self, object: &ENIAttachment, status: &multi_eni_api::EniAttachmentStatus) -> Result<(), String> {
        let spec = &object.spec;
        // The MAC first: what the agent has on the link stays as it is while the rest cannot be read.
        self.mac =
            status.mac_address.as_deref().map(str::parse).transpose().map_err(|e| format!("status.macAddress: {e}"))?;
        if self.card == 0 && self.index == 0 {
            return Err("device index 0 of network card 0 is the node's primary network interface".to_owned());
        }
        self.dpdk = read_dpdk(&spec.node_settings)?;
        let config = match &spec.node_settings.node_config {
            Some(config) => NodeConfig::parse(config)?,
            None => NodeConfig::default(),
        };
        self.mode = config.mode.unwrap_or_default();
        if let Some(name) = config.interface_name.filter(|name| !name.is_empty()) {
            check_interface_name(&name)?;
            self.interface_name = Some(name);
        }
        for ip in status.private_ips.iter().chain(&status.ipv6_addresses) {
            self.addresses.push(ip.parse().map_err(|_| format!("the status has {ip:?}, which is no IP address"))?);
        }
        for prefix in status.ipv4_prefixes.iter().chain(&status.ipv6_prefixes) {
            self.prefixes
                .push(prefix.parse().map_err(|e| format!("the status has a prefix that cannot be read: {e}"))?);
        }
        self.subnet =
            spec.request.subnet_cidr.as_deref().map(str::parse).transpose().map_err(|e| format!("subnetCIDR: {e}"))?;
        for route in config.routes.iter().flatten() {
            self.routes.push(read_route(route)?);
        }
        if !self.routes.is_empty() && self.mode != NodeMode::Addresses {
            return Err("nodeConfig.routes needs the mode addresses".to_owned());
        }
        Ok(())
    }
}

fn read_dpdk(settings: &NodeSettings) -> Result<Option<WantedDpdk>, String> {
    if settings.enable_dpdk != Some(true) {
        return Ok(None);
    }
    // Upstream writes empty texts.
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let pci_address = given(&settings.dpdk_pci_address).map(|text| text.parse()).transpose();
    Ok(Some(WantedDpdk {
        driver: given(&settings.dpdk_driver).map_or(Ok(DpdkDriver::VfioPci), |name| name.parse()),
        pci_address: pci_address.map_err(|error| format!("dpdkPCIAddress: {error}"))?,
    }))
}

fn read_route(route: &NodeRoute) -> Result<WantedRoute, String> {
    let to: Cidr = route.to.parse().map_err(|e| format!("nodeConfig.routes: {e}"))?;
    let table = route.table.unwrap_or_default();
    route_destination::check(to, table)?;
    Ok(WantedRoute { to, table })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// An ENIAttachment as the controller writes it.
    fn attachment(node_settings: Value) -> ENIAttachment {
        serde_json::from_value(json!({
            "apiVersion": "networking.k8s.aws/v1alpha1",
            "kind": "ENIAttachment",
            "metadata": { "name": "one", "uid": "u-1", "generation": 2 },
            "spec": {
                "nodeName": "node1", "nodeUID": "n-1", "instanceID": "i-00000000000000001",
                "nodeENIName": "one", "nodeENIUID": "u-0",
                "request": { "subnetID": "subnet-00000001", "subnetCIDR": "10.0.1.0/24", "deviceIndex": 2, "networkCardIndex": 1 },
                "nodeSettings": node_settings,
            },
            "status": {
                "macAddress": "02:00:00:00:00:01", "privateIPs": ["10.0.1.5"], "ipv6Addresses": ["2001:db8::5"],
                "ipv4Prefixes": ["10.0.1.16/28"],
            },
        }))
        .unwrap()
    }

    fn read(node_settings: Value) -> WantedEni {
        WantedEni::read(&attachment(node_settings)).unwrap()
    }

    #[test]
    fn an_eniattachment_is_read_with_the_numbers_of_amazons_tools() {
        let wanted = read(json!({
            "mtu": 9001,
            "nodeConfig": { "mode": "addresses", "interfaceName": "storage", "routes": [{ "to": "10.9.0.0/16", "table": "main" }] },
        }));
        assert_eq!(wanted.unusable, None);
        assert_eq!((wanted.table(), wanted.mode, wanted.mtu), (10_102, NodeMode::Addresses, Some(9001)));
        assert_eq!(wanted.interface_name.as_deref(), Some("storage"));
        assert_eq!(wanted.addresses.len(), 2);
        assert_eq!(wanted.prefixes, ["10.0.1.16/28".parse().unwrap()]);
        assert_eq!(wanted.routes, [WantedRoute { to: "10.9.0.0/16".parse().unwrap(), table: RouteTable::Main }]);
    }

    #[test]
    fn without_node_config_the_mode_is_link_and_mtu_0_is_the_links_own() {
        let wanted = read(json!({ "mtu": 0 }));
        assert_eq!((wanted.mode, wanted.mtu, wanted.unusable), (NodeMode::Link, None, None));
    }

    #[test]
    fn what_cannot_be_followed_says_why_and_keeps_the_mac() {
        for (settings, part) in [
            (json!({ "enableDPDK": true, "dpdkPCIAddress": "6" }), "dpdkPCIAddress"),
            (json!({ "nodeConfig": { "queues": { "rx": 1 } } }), "queues"),
            (json!({ "nodeConfig": { "mode": "everything" } }), "everything"),
            (json!({ "nodeConfig": { "interfaceName": "eth7" } }), "eth7"),
            (json!({ "nodeConfig": { "mode": "addresses", "routes": [{ "to": "0.0.0.0/0" }] } }), "default route"),
            (
                json!({ "nodeConfig": { "mode": "addresses", "routes": [{ "to": "128.0.0.0/1", "table": "main" }] } }),
                "default route",
            ),
            (json!({ "nodeConfig": { "mode": "addresses", "routes": [{ "to": "10.9.0.1/16" }] } }), "10.9.0.1/16"),
            (json!({ "nodeConfig": { "mode": "addresses", "routes": [{ "to": "010.9.0.0/16" }] } }), "010.9.0.0/16"),
            (json!({ "nodeConfig": { "mode": "addresses", "routes": [{ "to": "224.1.0.0/16" }] } }), "unicast"),
            (json!({ "nodeConfig": { "routes": [{ "to": "10.9.0.0/16" }] } }), "mode addresses"),
        ] {
            let wanted = read(settings.clone());
            let why = wanted.unusable.unwrap_or_default();
            assert!(why.contains(part), "{settings}: {why:?}");
            assert!(wanted.mac.is_some(), "{settings}");
        }
    }

    #[test]
    fn dpdk_is_asked_for_with_a_driver_and_perhaps_a_device() {
        let dpdk = |settings: Value| read(settings).dpdk;
        assert_eq!(dpdk(json!({ "dpdkDriver": "vfio-pci" })), None);
        let plain = WantedDpdk { driver: Ok(DpdkDriver::VfioPci), pci_address: None };
        assert_eq!(dpdk(json!({ "enableDPDK": true, "dpdkDriver": "", "dpdkPCIAddress": "" })), Some(plain));
        let full = json!({ "enableDPDK": true, "dpdkDriver": "igb_uio", "dpdkPCIAddress": "0000:00:0A.0" });
        let address = "0000:00:0a.0".parse().ok();
        assert_eq!(dpdk(full), Some(WantedDpdk { driver: Ok(DpdkDriver::IgbUio), pci_address: address }));
        // A driver that is not known is no reason to leave the ENIAttachment unread.
        let unknown = read(json!({ "enableDPDK": true, "dpdkDriver": "ena" }));
        assert!(unknown.unusable.is_none() && unknown.dpdk.is_some_and(|dpdk| dpdk.driver.is_err()));
    }

    #[test]
    fn the_primary_interface_is_never_followed() {
        let mut object = attachment(json!({}));
        (object.spec.request.device_index, object.spec.request.network_card_index) = (0, 0);
        let why = WantedEni::read(&object).unwrap().unusable.unwrap_or_default();
        assert!(why.contains("primary"), "{why}");
    }

    #[test]
    fn an_eniattachment_that_is_being_deleted_asks_for_nothing() {
        let mut object = attachment(json!({}));
        object.metadata.deletion_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH));
        assert_eq!(WantedEni::read(&object), None);
    }
}
