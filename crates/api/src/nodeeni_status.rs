//! The status of a NodeENI: what the controller reports of its ENIs.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the controller reports.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeEniStatus {
    /// Generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Nodes that the selector matches.
    #[serde(default)]
    pub matched_nodes: i32,
    /// Matching nodes that get no ENI because no subnet of the NodeENI is in their zone. They are no failure, and Ready does not wait
    /// for them.
    #[serde(default)]
    pub nodes_without_subnet: i32,
    /// Device indexes of the ENIs on all nodes, from low to high: at most five, then the number of the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_indexes: Option<String>,
    /// ENIs that should be attached.
    #[serde(default)]
    pub desired: i32,
    /// ENIs that EC2 shows attached.
    #[serde(default)]
    pub attached: i32,
    /// ENIs that are ready for use.
    #[serde(default)]
    pub ready: i32,
    /// ENIs that are blocked, or missing for a reason that a person must act on. An ENI that is ready is not counted.
    #[serde(default)]
    pub failed: i32,
    /// Ready, Progressing, Degraded.
    #[serde(default)]
    #[schemars(schema_with = "crate::schema::conditions")]
    pub conditions: Vec<Condition>,
    /// The attachments: all of them, up to 500. If there are more, the list has 100, and those that are not ready come first.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub attachments: Vec<AttachmentEntry>,
    /// Attachments left out of the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachments_omitted: Option<i32>,
    /// Nodes that lost ENIs recently because of labels or of an edit. The next leader needs this for `rollout.maxRemovals`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removals: Option<RemovalRecord>,
}

/// The recent removals that count toward the pace.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemovalRecord {
    /// Nodes that the NodeENI had when the removals began.
    #[serde(default)]
    pub of_nodes: i32,
    /// Nodes that lost ENIs, by time; only the last 5 minutes count.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub recent: Vec<RecentRemovals>,
}

/// Nodes that lost ENIs at one time.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecentRemovals {
    /// Time of the removals.
    pub at: Time,
    /// Number of nodes.
    pub nodes: i32,
}

/// One attachment in the status, with upstream's field names.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttachmentEntry {
    /// Name of the Node.
    #[serde(rename = "nodeID")]
    pub node_id: String,
    /// The EC2 instance.
    #[serde(rename = "instanceID")]
    pub instance_id: String,
    /// The ENI; empty until it exists.
    #[serde(rename = "eniID", default)]
    pub eni_id: String,
    /// EC2's attachment ID; empty until attached.
    #[serde(rename = "attachmentID", default)]
    pub attachment_id: String,
    /// The subnet of the ENI.
    #[serde(rename = "subnetID", default, skip_serializing_if = "Option::is_none")]
    pub subnet_id: Option<String>,
    /// IPv4 CIDR of the subnet.
    #[serde(rename = "subnetCIDR", default, skip_serializing_if = "Option::is_none")]
    pub subnet_cidr: Option<String>,
    /// Requested MTU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<i32>,
    /// Device index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_index: Option<i32>,
    /// `pending`, `attaching`, `attached`, `detaching`, `deleting` or `blocked`.
    #[serde(default)]
    pub status: String,
    /// When this entry last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_updated: Option<Time>,
    /// Whether the node agent has bound the interface to DPDK.
    #[serde(rename = "dpdkBound", default, skip_serializing_if = "Option::is_none")]
    pub dpdk_bound: Option<bool>,
    /// DPDK driver.
    #[serde(rename = "dpdkDriver", default, skip_serializing_if = "Option::is_none")]
    pub dpdk_driver: Option<String>,
    /// DPDK resource name.
    #[serde(rename = "dpdkResourceName", default, skip_serializing_if = "Option::is_none")]
    pub dpdk_resource_name: Option<String>,
    /// DPDK PCI address.
    #[serde(rename = "dpdkPCIAddress", default, skip_serializing_if = "Option::is_none")]
    pub dpdk_pci_address: Option<String>,
}
