//! `NodeENI`: which nodes get an ENI, in which subnet, at which device index.

use crate::connection_tracking::ConnectionTracking;
use crate::ec2_selector_terms::{SecurityGroupSelectorTerm, SubnetSelectorTerm};
use crate::node_selector_term::NodeSelectorTerm;
use crate::nodeeni_status::NodeEniStatus;
use crate::resource_name::{ENDS, NAME, OF_KUBERNETES, OF_QUOTAS, PREFIX};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which nodes get an ENI, in which subnet, with which security groups, and at which device index.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[kube(
    group = "networking.k8s.aws",
    version = "v1alpha1",
    kind = "NodeENI",
    plural = "nodeenis",
    shortname = "neni",
    category = "multi-eni",
    status = "NodeEniStatus",
    derive = "PartialEq",
    doc = "NodeENI attaches an AWS Elastic Network Interface to every node that its selector matches.",
    printcolumn(
        name = "Index",
        type_ = "string",
        json_path = ".status.deviceIndexes",
        description = "Device indexes of the ENIs"
    ),
    printcolumn(
        name = "Desired",
        type_ = "integer",
        json_path = ".status.desired",
        description = "ENIs that should be attached"
    ),
    printcolumn(
        name = "Attached",
        type_ = "integer",
        json_path = ".status.attached",
        description = "ENIs that EC2 shows attached"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Nodes", type_ = "integer", json_path = ".status.matchedNodes", priority = 1),
    printcolumn(name = "Failed", type_ = "integer", json_path = ".status.failed", priority = 1),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].message",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
        "(has(self.nodeSelector) && size(self.nodeSelector) > 0) || (has(self.nodeSelectorTerms) && size(self.nodeSelectorTerms) > 0)"
    ).message("nodeSelector must name at least one label, because an empty selector would match every node: or set nodeSelectorTerms"),
    validation = Rule::new(
        "has(self.subnetID) || has(self.subnetName) || (has(self.subnetIDs) && size(self.subnetIDs) > 0) || (has(self.subnetNames) && size(self.subnetNames) > 0) || (has(self.subnetSelectorTerms) && size(self.subnetSelectorTerms) > 0)"
    ).message("a NodeENI needs a subnet: set subnetID, subnetIDs, subnetName, subnetNames or subnetSelectorTerms"),
    validation = Rule::new(
        "!has(self.subnetSelectorTerms) || (!has(self.subnetID) && !has(self.subnetName) && (!has(self.subnetIDs) || size(self.subnetIDs) == 0) && (!has(self.subnetNames) || size(self.subnetNames) == 0))"
    ).message("subnetSelectorTerms excludes subnetID, subnetIDs, subnetName and subnetNames: terms give one ENI on a node, lists one for each subnet of its zone"),
    validation = Rule::new(
        "!(has(self.ipv4PrefixCount) && self.ipv4PrefixCount > 0 && has(self.privateIPCount) && self.privateIPCount > 1)"
    ).message("ipv4PrefixCount and privateIPCount exclude each other on EC2: set one of them"),
    validation = Rule::new(
        "!(has(self.ipv6PrefixCount) && self.ipv6PrefixCount > 0 && has(self.ipv6AddressCount) && self.ipv6AddressCount > 0)"
    ).message("ipv6PrefixCount and ipv6AddressCount exclude each other on EC2: set one of them"),
    validation = Rule::new(
        "!has(self.securityGroupSelectorTerms) || ((!has(self.securityGroupIDs) || size(self.securityGroupIDs) == 0) && (!has(self.securityGroupNames) || size(self.securityGroupNames) == 0))"
    ).message("securityGroupSelectorTerms excludes securityGroupIDs and securityGroupNames: write them as terms, {id: …} and {name: …}"),
    validation = Rule::new(
        "!has(self.deviceIndex) || self.deviceIndex > 0 || (has(self.networkCardIndex) && self.networkCardIndex > 0)"
    ).message("deviceIndex 0 of network card 0 is the node's primary network interface: use deviceIndex 1 or higher, or another networkCardIndex"),
    validation = Rule::new(
        "!has(self.deviceIndexPolicy) || self.deviceIndexPolicy != 'highestFree' || !has(self.deviceIndex) || self.deviceIndex == 1"
    ).message("deviceIndex has no effect with deviceIndexPolicy highestFree, where the controller chooses the index: leave it out")
)]
pub struct NodeEniSpec {
    /// Labels that a node must have, all of them, to get the ENI. It may be left out if nodeSelectorTerms is set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64, "additionalProperties" = {"type": "string", "maxLength": 63}))]
    #[x_kube(validation = Rule::new("self.all(k, size(k) <= 317 && k.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$') && self[k].matches('^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$'))").message("nodeSelector must have label keys such as example.com/pool and label values such as storage-1"))]
    pub node_selector: BTreeMap<String, String>,

    /// Label selectors, of which a node must match at least one, besides nodeSelector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(validation = Rule::new("size(self) > 0").message("nodeSelectorTerms must have at least one term, or be left out"))]
    pub node_selector_terms: Option<Vec<NodeSelectorTerm>>,

    /// The subnet by ID. All subnets that are given by ID or by name are united.
    #[serde(rename = "subnetID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^subnet-[0-9a-f]{8,17}$')").message("subnetID must be a subnet ID such as subnet-0f59b4f14737be9ad: 'subnet-' and 8 to 17 hex digits"))]
    pub subnet_id: Option<String>,

    /// Several subnets by ID: those in the node's Availability Zone count, in this order, one ENI each. A subnet that is listed
    /// twice, also by its name, gets one ENI, in its first place.
    #[serde(rename = "subnetIDs", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(max = 64)), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(validation = Rule::new("self.all(s, s.matches('^subnet-[0-9a-f]{8,17}$'))").message("every entry of subnetIDs must be a subnet ID such as subnet-0f59b4f14737be9ad: 'subnet-' and 8 to 17 hex digits"))]
    pub subnet_ids: Option<Vec<String>>,

    /// The subnet by its tag Name, looked up in the node's VPC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    #[x_kube(validation = Rule::new("size(self) > 0").message("subnetName must not be empty"))]
    pub subnet_name: Option<String>,

    /// Several subnets by their tag Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(max = 255)), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(validation = Rule::new("self.all(s, size(s) > 0)").message("subnetNames must not have empty entries"))]
    pub subnet_names: Option<Vec<String>>,

    /// Subnets of the node's VPC by ID, Name or tags: one ENI in one of the subnets of the node's zone that match one of the terms.
    /// A new ENI gets the subnet with the most free addresses, and stays in it while a term matches that subnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(validation = Rule::new("size(self) > 0").message("subnetSelectorTerms must have at least one term, or be left out"))]
    pub subnet_selector_terms: Option<Vec<SubnetSelectorTerm>>,

    /// Security groups by ID. With no group at all the VPC's default group applies.
    #[serde(rename = "securityGroupIDs", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), inner(length(max = 64)), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(validation = Rule::new("self.all(s, s.matches('^sg-[0-9a-f]{8,17}$'))").message("every entry of securityGroupIDs must be a security group ID such as sg-05da196f3314d4af8: 'sg-' and 8 to 17 hex digits"))]
    pub security_group_ids: Option<Vec<String>>,

    /// Security groups by name, looked up in the node's VPC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), inner(length(max = 255)), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(validation = Rule::new("self.all(s, size(s) > 0)").message("securityGroupNames must not have empty entries"))]
    pub security_group_names: Option<Vec<String>>,

    /// Security groups of the subnet's VPC by ID, name or tags: all groups that match one of the terms. At least one must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(validation = Rule::new("size(self) > 0").message("securityGroupSelectorTerms must have at least one term, or be left out"))]
    pub security_group_selector_terms: Option<Vec<SecurityGroupSelectorTerm>>,

    /// Device index of the first ENI, 1 to 63, or from 0 where networkCardIndex is 1 or higher; further subnets
    /// of the zone take the next ones. The controller uses no other index, unless deviceIndexPolicy is highestFree.
    #[serde(default = "one")]
    #[x_kube(validation = Rule::new("self >= 0 && self <= 63").message("deviceIndex must be from 0 to 63"))]
    pub device_index: i32,

    /// How the device index of an ENI is chosen. `exact` (the default): as deviceIndex says. `highestFree`: the highest free
    /// index of the network card, below the maximum that EC2 shows for the instance type. The AWS VPC CNI takes the lowest free
    /// index. An ENI keeps its index for as long as its ENIAttachment exists, which shows the index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::device_index_policy")]
    pub device_index_policy: Option<DeviceIndexPolicy>,

    /// Whether EC2 deletes the ENI when its instance is terminated. If false, the controller still deletes the ENI when
    /// the node is gone for good.
    #[serde(default = "yes")]
    pub delete_on_termination: bool,

    /// Description of the ENI on EC2: at most 255 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxLength" = 1024))]
    #[x_kube(validation = Rule::new("size(self) <= 255").message("description must have at most 255 characters: EC2 allows no more"))]
    pub description: Option<String>,

    /// MTU of the interface on the node: 576 to 9001. 0 means the node's own, as upstream writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self == 0 || (self >= 576 && self <= 9001)").message("mtu must be from 576 to 9001 bytes, or 0"))]
    pub mtu: Option<i32>,

    /// Bind the interface to a DPDK driver on the node.
    #[serde(rename = "enableDPDK", default, skip_serializing_if = "Option::is_none")]
    pub enable_dpdk: Option<bool>,

    /// DPDK driver to bind. The node agent takes vfio-pci if none is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new("self == '' || self.matches('^(vfio-pci|igb_uio|uio_pci_generic)$')").message("dpdkDriver must be vfio-pci, igb_uio or uio_pci_generic"))]
    pub dpdk_driver: Option<String>,

    /// Resource name under which a device plugin offers the interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(
        validation = Rule::new("self == '' || !self.contains('/') || (self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*/') && self.matches('^[^/]{1,244}/'))").message(refused_resource_name(PREFIX).as_str()),
        validation = Rule::new("!self.matches('^[^/]*kubernetes[.]io[^/]*/')").message(refused_resource_name(OF_KUBERNETES).as_str()),
        validation = Rule::new("!self.contains('/') || !self.startsWith('requests.')").message(refused_resource_name(OF_QUOTAS).as_str()),
        validation = Rule::new("self == '' || self.matches('^([^/]*/)?[A-Za-z0-9_.-]{1,63}$')").message(refused_resource_name(NAME).as_str()),
        validation = Rule::new("!self.matches('^([^/]*/)?[A-Za-z0-9_.-]{1,63}$') || self.matches('^([^/]*/)?[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$')").message(refused_resource_name(ENDS).as_str())
    )]
    pub dpdk_resource_name: Option<String>,

    /// The PCI address that the device of the ENI must have. It chooses no device: if the ENI's own device has another address, the node
    /// agent binds nothing.
    #[serde(rename = "dpdkPCIAddress", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new("self == '' || self.matches('^[0-9a-fA-F]{4}:[0-9a-fA-F]{2}:[01][0-9a-fA-F][.][0-7]$')").message("dpdkPCIAddress must be a PCI address such as 0000:00:06.0"))]
    pub dpdk_pci_address: Option<String>,

    /// Further tags for the ENI on EC2: at most 40.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 40, "additionalProperties" = {"type": "string", "maxLength": 256}))]
    #[x_kube(validation = Rule::new("self.all(k, size(k) <= 128 && !k.startsWith('aws:') && !k.startsWith('multi-eni.networking.k8s.aws/') && k != 'node.k8s.amazonaws.com/no_manage')").message("tags must not use keys of more than 128 characters, keys that begin with aws: or multi-eni.networking.k8s.aws/, or the key node.k8s.amazonaws.com/no_manage"))]
    pub tags: Option<BTreeMap<String, String>>,

    /// EC2's source/destination check. Set it to false for appliances that forward packets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_dest_check: Option<bool>,

    /// Timeouts of connection tracking for the security groups of the ENI. A value that is not set stays as EC2 has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_tracking: Option<ConnectionTracking>,

    /// Network card of the instance type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 0 && self <= 31").message("networkCardIndex must be from 0 to 31"))]
    pub network_card_index: Option<i32>,

    /// Type of the interface. Only `interface` can be attached to a running instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new("self == 'interface'").message("interfaceType must be 'interface': EFA and trunk interfaces cannot be attached to a running instance"))]
    pub interface_type: Option<String>,

    /// IPv4 prefixes (/28) to delegate to the ENI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 0 && self <= 49").message("ipv4PrefixCount must be from 0 to 49"))]
    pub ipv4_prefix_count: Option<i32>,

    /// IPv6 addresses to assign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 0 && self <= 50").message("ipv6AddressCount must be from 0 to 50"))]
    pub ipv6_address_count: Option<i32>,

    /// IPv6 prefixes (/80) to delegate to the ENI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 0 && self <= 50").message("ipv6PrefixCount must be from 0 to 50"))]
    pub ipv6_prefix_count: Option<i32>,

    /// Private IPv4 addresses in all, the primary one included.
    #[serde(rename = "privateIPCount", default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 50").message("privateIPCount must be from 1 to 50, the primary address included"))]
    pub private_ip_count: Option<i32>,

    /// The pace at which nodes lose or exchange their ENIs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,

    /// What the node agent does with the interface. The controller copies it unchanged to the ENIAttachments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::node_config::NodeConfig>")]
    pub node_config: Option<BTreeMap<String, serde_json::Value>>,
}

/// How the device index of an ENI is chosen.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
#[serde(rename_all = "camelCase")]
pub enum DeviceIndexPolicy {
    /// The index that `deviceIndex` names, and the next ones for further subnets.
    #[default]
    Exact,
    /// The highest free index of the network card.
    HighestFree,
}

/// Pace of replacement.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// Nodes that may be without an ENI at the same time, because their ENIs are replaced: a number, or a percentage such as "25%" of
    /// the nodes that the NodeENI matches, rounded up. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::int_or_percentage")]
    #[x_kube(validation = Rule::new("string(self).matches('^([1-9][0-9]?|100)%$') || (self != string(self) && string(self).matches('^[1-9][0-9]{0,8}$'))").message("rollout.maxUnavailable must be a number from 1 to 999999999, or a whole percentage from \"1%\" to \"100%\". A text without % is neither: write the number without quotes"))]
    pub max_unavailable: Option<IntOrString>,

    /// Nodes that may lose their ENIs within 5 minutes because of labels or of an edit (a selector, a subnet list): a number, or a
    /// percentage such as "25%" of the nodes of the NodeENI. Default: 10 % of them, at least 10. The deletion of a NodeENI and a
    /// Node that is gone are not paced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::int_or_percentage")]
    #[x_kube(validation = Rule::new("string(self).matches('^([1-9][0-9]?|100)%$') || (self != string(self) && string(self).matches('^[1-9][0-9]{0,8}$'))").message("rollout.maxRemovals must be a number from 1 to 999999999, or a whole percentage from \"1%\" to \"100%\". A text without % is neither: write the number without quotes"))]
    pub max_removals: Option<IntOrString>,
}

/// The message of a rule of `dpdkResourceName`.
fn refused_resource_name(why: &str) -> String {
    format!("dpdkResourceName is no name of an extended resource: {why}")
}

fn one() -> i32 {
    1
}
fn yes() -> bool {
    true
}
