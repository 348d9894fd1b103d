//! `ENIAttachment`: one ENI for one slot of one instance; to an ENI what VolumeAttachment is to a disk.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Intent, stored before EC2 is called.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[kube(
    group = "networking.k8s.aws",
    version = "v1alpha1",
    kind = "ENIAttachment",
    plural = "eniattachments",
    shortname = "enia",
    status = "EniAttachmentStatus",
    derive = "PartialEq",
    doc = "ENIAttachment is one ENI on its way to, in, or on its way out of one slot of one instance. Made by the controller.",
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
).message("an ENIAttachment's instance, NodeENI and request are frozen: the controller replaces the object instead"))]
pub struct EniAttachmentSpec {
    /// Name of the Node.
    #[schemars(length(max = 253))]
    pub node_name: String,
    /// UID of the Node when the object was made.
    #[serde(rename = "nodeUID")]
    #[schemars(length(max = 64))]
    pub node_uid: String,
    /// The EC2 instance: the identity that counts.
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
    /// The Create request and the slot, resolved and frozen.
    pub request: EniRequest,
    /// The ENI that this object took over from upstream's controller: it is not created, and keeps its slot.
    #[serde(rename = "adoptedENIID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub adopted_eni_id: Option<String>,
    /// The adopted ENI was this cluster's own: its former ENIAttachment was lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recovered: bool,
    /// Settings for the node's half. They follow the NodeENI; nothing on EC2 depends on them.
    #[serde(default, skip_serializing_if = "NodeSettings::is_empty")]
    pub node_settings: NodeSettings,
    /// Not written any more: the annotation multi-eni.networking.k8s.aws/deselected-since has this time. What is stored here is still
    /// read where the annotation is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deselected_since: Option<Time>,
}

/// What the node's half is to do with the interface.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeSettings {
    /// MTU; none means the node's own.
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
    /// The NodeENI's nodeConfig, as it is.
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

/// What Create and Attach will be asked for.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EniRequest {
    /// The subnet.
    #[serde(rename = "subnetID")]
    #[schemars(length(max = 64))]
    pub subnet_id: String,
    /// IPv4 CIDR of the subnet, for people and for the node's half.
    #[serde(rename = "subnetCIDR", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub subnet_cidr: Option<String>,
    /// Security groups; none means the VPC's default group.
    #[serde(rename = "securityGroupIDs", default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 64)))]
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
    /// Private IPv4 addresses in all.
    #[serde(rename = "privateIPCount", default, skip_serializing_if = "Option::is_none")]
    pub private_ip_count: Option<i32>,
}

/// Where an attachment is on its way.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum Phase {
    /// Nothing exists on EC2 yet.
    #[default]
    Pending,
    /// The ENI exists and is being attached.
    Attaching,
    /// EC2 shows it attached in its slot.
    Attached,
    /// Cannot go on until somebody changes something.
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
    /// Where it is on its way.
    #[serde(default)]
    pub phase: Phase,
    /// Created, Attached, Ready.
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
    /// The ENI's Region: with the account it proves that a controller acts where the ENI was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// EC2's attachment ID; of an ENI that is on its way out, the last one that it had.
    #[serde(rename = "attachmentID", default, skip_serializing_if = "Option::is_none")]
    pub attachment_id: Option<String>,
    /// Since when EC2 shows that attachment detaching, if that has lasted for a minute: a detach by force comes no earlier than
    /// `--force-detach-after` after that, whichever process leads then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detaching_since: Option<Time>,
    /// Tags of the NodeENI's `spec.tags` that were set after the ENI was made. They go when they are taken out of there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 100, "additionalProperties" = {"type": "string", "maxLength": 256}))]
    pub tags_set: BTreeMap<String, String>,
    /// MAC address, by which the node's half finds the link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac_address: Option<String>,
    /// Private IPv4 addresses, the primary one first.
    #[serde(rename = "privateIPs", default, skip_serializing_if = "Vec::is_empty")]
    pub private_ips: Vec<String>,
    /// Number of the Create attempt; part of its ClientToken.
    #[serde(default)]
    pub attempt: i32,
    /// When that attempt began, if it is not the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_started_at: Option<Time>,
    /// The last error that still matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
}

/// An error of EC2, as it was.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastError {
    /// EC2 action, such as CreateNetworkInterface.
    pub action: String,
    /// EC2 error code.
    pub code: String,
    /// EC2's words.
    pub message: String,
    /// When it was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    /// How often in a row.
    #[serde(default)]
    pub count: i32,
}
