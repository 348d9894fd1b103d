//! `status.node` of an ENIAttachment: what the node agent reports. The agent alone writes it, with a field manager of its own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the node agent sees of the interface.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// The MAC address of the ENI that the report is about. A report of another ENI does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub mac_address: Option<String>,
    /// The kernel's name of the link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub link_name: Option<String>,
    /// The alternative name that nodeConfig.interfaceName asks for, if the link has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub alternative_name: Option<String>,
    /// The PCI address of the device.
    #[serde(rename = "pciAddress", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub pci_address: Option<String>,
    /// The driver of the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub driver: Option<String>,
    /// The NUMA node of the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numa_node: Option<i32>,
    /// The MTU of the link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<i32>,
    /// Addresses of the ENI that the link has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub addresses: Vec<String>,
    /// The route table of the ENI, in the mode addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route_table: Option<i32>,
    /// Who configures the link: multi-eni, or the program that does it instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub managed_by: Option<String>,
    /// The kernel's ID of the boot in which the agent saw this.
    #[serde(rename = "bootID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub boot_id: Option<String>,
    /// The message of the condition Configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub message: Option<String>,
}
