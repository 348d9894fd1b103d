//! `ENIAttachment`: one ENI for one slot of one instance; to an ENI what VolumeAttachment is to a disk.

use crate::connection_tracking::ConnectionTracking;
use crate::node_status::NodeStatus;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One ENI for one slot. The controller stores the object before it calls EC2.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[kube(
    group = "networking.k8s.aws",
    version = "v1alpha1",
    kind = "ENIAttachment",
    plural = "eniattachments",
    shortname = "enia",
    category = "multi-eni",
    status = "EniAttachmentStatus",
    derive = "PartialEq",
    doc = "ENIAttachment is one ENI for one slot of one instance. The controller creates it.",
    selectable = ".spec.nodeName",
    printcolumn(name = "Node", type_ = "string", json_path = ".spec.nodeName"),
    printcolumn(name = "Index", type_ = "integer", json_path = ".spec.request.deviceIndex"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "ENI", type_ = "string", json_path = ".status.eniID"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Subnet", type_ = "string", json_path = ".spec.request.subnetID", priority = 1),
    printcolumn(name = "Instance", type_ = "string", json_path = ".spec.instanceID", priority = 1),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].message",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "self.instanceID == oldSelf.instanceID && self.nodeENIUID == oldSelf.nodeENIUID && self.request == oldSelf.request && has(self.adoptedENIID) == has(oldSelf.adoptedENIID) && (!has(self.adoptedENIID) || self.adoptedENIID == oldSelf.adoptedENIID)"
).message("instance, NodeENI and request of an ENIAttachment are immutable: the controller replaces the object instead"))]
pub struct EniAttachmentSpec {
    /// Name of the Node.
    #[schemars(length(max = 253))]
    pub node_name: String,
    /// UID of the Node when the object was created.
    #[serde(rename = "nodeUID")]
    #[schemars(length(max = 64))]
    pub node_uid: String,
    /// The EC2 instance. It identifies the node.
    #[serde(rename = "instanceID")]
    #[schemars(length(max = 32))]
    pub instance_id: String,
    /// Name of the NodeENI.
    #[serde(rename = "nodeENIName")]
    #[schemars(length(max = 253))]
    pub node_eni_name: String,
    /// UID of the NodeENI.
    #[serde(rename = "nodeENIUID")]
    #[schemars(length(max = 64))]
    pub node_eni_uid: String,
    /// The parameters of CreateNetworkInterface and the slot, resolved. They are immutable.
    pub request: EniRequest,
    /// The ENI that this object adopts instead of creating one. The ENI keeps its slot.
    #[serde(rename = "adoptedENIID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub adopted_eni_id: Option<String>,
    /// The adopted ENI belongs to this cluster, and its former ENIAttachment was lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recovered: bool,
    /// Settings for the node agent. They follow the NodeENI, and nothing on EC2 depends on them.
    #[serde(default, skip_serializing_if = "NodeSettings::is_empty")]
    pub node_settings: NodeSettings,
    /// No longer written: the annotation multi-eni.networking.k8s.aws/deselected-since has this time. A stored value is still
    /// read if the annotation is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deselected_since: Option<Time>,
}

/// What the node agent does with the interface.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeSettings {
    /// MTU. If it is not set, the node's own applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<i32>,
    /// Bind the interface to a DPDK driver.
    #[serde(rename = "enableDPDK", default, skip_serializing_if = "Option::is_none")]
    pub enable_dpdk: Option<bool>,
    /// DPDK driver to bind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub dpdk_driver: Option<String>,
    /// Resource name under which a device plugin offers the interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub dpdk_resource_name: Option<String>,
    /// PCI address of the device to bind.
    #[serde(rename = "dpdkPCIAddress", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub dpdk_pci_address: Option<String>,
    /// The NodeENI's nodeConfig, unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::anything")]
    pub node_config: Option<BTreeMap<String, serde_json::Value>>,
}

impl NodeSettings {
    /// Nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The parameters of CreateNetworkInterface and AttachNetworkInterface.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EniRequest {
    /// The subnet.
    #[serde(rename = "subnetID")]
    #[schemars(length(max = 64))]
    pub subnet_id: String,
    /// IPv4 CIDR of the subnet, for users and for the node agent.
    #[serde(rename = "subnetCIDR", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub subnet_cidr: Option<String>,
    /// Security groups; none means the VPC's default group.
    #[serde(rename = "securityGroupIDs", default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 64)), extend("x-kubernetes-list-type" = "atomic"))]
    pub security_group_ids: Vec<String>,
    /// Device index of the slot.
    pub device_index: i32,
    /// Network card of the slot.
    #[serde(default)]
    pub network_card_index: i32,
    /// Description on EC2.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 255))]
    pub description: String,
    /// Further tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 40, "additionalProperties" = {"type": "string", "maxLength": 256}))]
    pub tags: BTreeMap<String, String>,
    /// IPv4 prefixes to delegate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4_prefix_count: Option<i32>,
    /// IPv6 addresses to assign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6_address_count: Option<i32>,
    /// IPv6 prefixes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6_prefix_count: Option<i32>,
    /// Private IPv4 addresses in all.
    #[serde(rename = "privateIPCount", default, skip_serializing_if = "Option::is_none")]
    pub private_ip_count: Option<i32>,
    /// Timeouts of connection tracking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_tracking: Option<ConnectionTracking>,
}

/// The phase of an attachment.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum Phase {
    /// Nothing exists on EC2 yet.
    #[default]
    Pending,
    /// The ENI exists and is being attached.
    Attaching,
    /// EC2 shows it attached in its slot.
    Attached,
    /// It cannot continue until somebody changes something.
    Blocked,
    /// It is being detached.
    Detaching,
    /// It is being deleted.
    Deleting,
}

/// What the controller reports.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EniAttachmentStatus {
    /// The phase.
    #[serde(default)]
    pub phase: Phase,
    /// Created, Attached, Ready; Configured, which the node agent writes.
    #[serde(default)]
    #[schemars(schema_with = "crate::schema::conditions")]
    pub conditions: Vec<Condition>,
    /// The ENI.
    #[serde(rename = "eniID", default, skip_serializing_if = "Option::is_none")]
    pub eni_id: Option<String>,
    /// The account that owns the ENI.
    #[serde(rename = "ownerID", default, skip_serializing_if = "Option::is_none")]
    pub owner_id: Option<String>,
    /// The ENI's Availability Zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability_zone: Option<String>,
    /// The ENI's Region. With the account it proves that a controller acts where the ENI was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// EC2's attachment ID. An ENI that is being removed keeps the last one.
    #[serde(rename = "attachmentID", default, skip_serializing_if = "Option::is_none")]
    pub attachment_id: Option<String>,
    /// Since when EC2 has shown that attachment as detaching, if this has lasted for a minute. A forced detach comes no earlier
    /// than `--force-detach-after` after this time, whichever process leads then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detaching_since: Option<Time>,
    /// Tags of the NodeENI's `spec.tags` that were set after the ENI was created. A tag that is removed from `spec.tags` is
    /// removed from the ENI.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 100, "additionalProperties" = {"type": "string", "maxLength": 256}))]
    pub tags_set: BTreeMap<String, String>,
    /// MAC address, by which the node agent finds the interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac_address: Option<String>,
    /// Private IPv4 addresses, the primary one first.
    #[serde(rename = "privateIPs", default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub private_ips: Vec<String>,
    /// IPv6 addresses.
    #[serde(rename = "ipv6Addresses", default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub ipv6_addresses: Vec<String>,
    /// IPv4 prefixes (/28) that are delegated to the ENI.
    #[serde(rename = "ipv4Prefixes", default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub ipv4_prefixes: Vec<String>,
    /// IPv6 prefixes (/80) that are delegated to the ENI.
    #[serde(rename = "ipv6Prefixes", default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub ipv6_prefixes: Vec<String>,
    /// Number of the Create attempt; part of its ClientToken.
    #[serde(default)]
    pub attempt: i32,
    /// When that attempt began, if it is not the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_started_at: Option<Time>,
    /// The last error that is still relevant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
    /// What the node agent reports. The controller never writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Box<NodeStatus>>,
}

/// An error of EC2.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastError {
    /// EC2 action, such as CreateNetworkInterface.
    pub action: String,
    /// EC2 error code.
    pub code: String,
    /// EC2's message.
    pub message: String,
    /// When the error began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    /// How often the call has failed in a row. Only the first few failures are counted.
    #[serde(default)]
    pub count: i32,
}
