//! Parses a NodeENI once. A spec that passes the schema and cannot be used gives an error as data. This file uses only the stored
//! object and looks nothing up.

use crate::max_removals::MaxRemovals;
use crate::observed::ObservedNode;
use crate::spec_validation;
use crate::string_map::StringMap;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use multi_eni_api::ids::{EniId, InstanceId, MalformedId, SecurityGroupId, SubnetId};
use multi_eni_api::names::{ANNOTATION_ALLOW_REMOVALS, NODEENI_FINALIZER};
use multi_eni_api::nodeeni::AttachmentEntry;
use multi_eni_api::{DeviceIndexPolicy, NodeENI, NodeSettings};
use std::collections::BTreeMap;

/// A NodeENI as the decisions use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeEni {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// When it was created. The oldest NodeENI gets a free slot.
    pub created: Timestamp,
    /// The generation of its spec.
    pub generation: i64,
    /// Whether it has a deletionTimestamp.
    pub deleting: bool,
    /// Whether it has our finalizer. Nothing is created for a NodeENI without it.
    pub guarded: bool,
    /// Whether the user permits all removals of this generation at once.
    pub allows_removals: bool,
    /// The ENIs in a status that upstream's controller wrote. Empty once this controller has written the status.
    pub upstream: Vec<UpstreamEntry>,
    /// The usable spec, or why it cannot be used.
    pub spec: Result<EniSpec, Unreadable>,
}

/// An ENI in a status that upstream wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamEntry {
    /// The instance.
    pub instance: InstanceId,
    /// The ENI.
    pub eni: EniId,
}

/// Why a stored NodeENI cannot be used. Its existing ENIs are kept meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// An ID is malformed.
    #[error(transparent)]
    Id(#[from] MalformedId),
    /// The spec names no subnet.
    #[error("the spec names no subnet: set subnetID, subnetIDs, subnetName or subnetNames")]
    NoSubnet,
    /// The selector is empty.
    #[error("nodeSelector is empty and would match every node: name at least one label")]
    NoSelector,
    /// `deviceIndex` is out of bounds, 0 to 63, or 0 on network card 0.
    #[error(
        "deviceIndex {0} is out of bounds: it must be 1 to 63, or from 0 where networkCardIndex is 1 or higher (index 0 of card \
         0 is the node's primary network interface)"
    )]
    DeviceIndex(i32),
    /// `rollout.maxRemovals` is neither a number nor a percentage.
    #[error("rollout.maxRemovals {0:?} is neither a number of at least 1 nor a percentage from 1% to 100%")]
    MaxRemovals(String),
    /// `interfaceType` cannot be attached to a running instance.
    #[error("interfaceType {0:?} cannot be attached to a running instance: only 'interface' can")]
    InterfaceType(String),
    /// The spec exceeds what an ENIAttachment or an ENI can hold: a sentence.
    #[error("{0}")]
    OutOfBounds(String),
    /// The fields of the stored object do not have the types of the schema.
    #[error("the stored object cannot be read: {0}")]
    Shape(String),
}

/// A subnet by ID or by its tag Name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SubnetRef {
    /// By ID.
    Id(SubnetId),
    /// By tag Name in the node's VPC.
    Name(String),
}

/// The usable spec of a NodeENI, for each node that it matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EniSpec {
    /// Labels that a node must have.
    pub selector: BTreeMap<String, String>,
    /// Subnets in the order of the spec; those by ID come first, as in upstream.
    pub subnets: Vec<SubnetRef>,
    /// Groups by ID.
    pub groups: Vec<SecurityGroupId>,
    /// Groups by name.
    pub group_names: Vec<String>,
    /// The first device index, 0 to 63, and never 0 on card 0. Each further subnet uses the next index.
    pub index: i32,
    /// How the device indexes are chosen. `index` counts only with `Exact`.
    pub index_policy: DeviceIndexPolicy,
    /// Network card index, 0 to 31.
    pub card: i32,
    /// deleteOnTermination.
    pub delete_on_termination: bool,
    /// Source/destination check.
    pub source_dest_check: bool,
    /// Description of the ENI. If it is empty, the controller uses its own.
    pub description: String,
    /// Additional tags, at most 40.
    pub tags: BTreeMap<String, String>,
    /// Settings for the node agent.
    pub node_settings: NodeSettings,
    /// IPv4 prefixes per ENI, 1 to 49.
    pub ipv4_prefix_count: Option<i32>,
    /// IPv6 addresses per ENI, 1 to 50.
    pub ipv6_address_count: Option<i32>,
    /// IPv6 prefixes per ENI, 1 to 50.
    pub ipv6_prefix_count: Option<i32>,
    /// Private IPv4 addresses per ENI, 2 to 50, the primary one included. None: only the primary one.
    pub private_ip_count: Option<i32>,
    /// How many nodes may be without their ENIs during a replacement, at least 1.
    pub max_unavailable: usize,
    /// How many nodes may lose their ENIs within the window because of labels or an edit. None: the default.
    pub max_removals: Option<MaxRemovals>,
}

impl EniSpec {
    /// Whether the selector matches these labels.
    pub fn matches(&self, labels: &StringMap) -> bool {
        self.selector.iter().all(|(key, value)| labels.get(key) == Some(value))
    }
}

impl NodeEni {
    /// Parses a NodeENI.
    pub fn read(object: &NodeENI) -> Self {
        let meta = &object.metadata;
        Self {
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
            created: meta.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |t| t.0),
            generation: meta.generation.unwrap_or_default(),
            deleting: meta.deletion_timestamp.is_some(),
            guarded: meta.finalizers.iter().flatten().any(|f| f == NODEENI_FINALIZER),
            allows_removals: allows_removals(object),
            upstream: upstream(object),
            spec: spec(object),
        }
    }

    /// Whether upstream's controller may have left ENIs of this NodeENI on the Node: the NodeENI matches, or upstream's status
    /// lists the instance. False once this controller has written the status.
    pub fn may_have_upstreams_on(&self, node: &ObservedNode) -> bool {
        let listed = |entry: &UpstreamEntry| node.instance.as_ref() == Ok(&entry.instance);
        !self.upstream.is_empty() && (self.spec_for(&node.labels).is_some() || self.upstream.iter().any(listed))
    }

    /// The spec if the NodeENI selects a node with these labels now; None if its spec is unusable or it is being deleted.
    pub fn spec_for(&self, labels: &StringMap) -> Option<&EniSpec> {
        match &self.spec {
            Ok(spec) if !self.deleting && spec.matches(labels) => Some(spec),
            _ => None,
        }
    }
}

/// Upstream writes no observedGeneration, and this controller never writes a list without it.
fn upstream(object: &NodeENI) -> Vec<UpstreamEntry> {
    let status = object.status.as_ref().filter(|status| status.observed_generation.is_none());
    let entries = status.into_iter().flat_map(|status| &status.attachments);
    let read = |entry: &AttachmentEntry| {
        Some(UpstreamEntry {
            instance: InstanceId::parse(&entry.instance_id).ok()?,
            eni: EniId::parse(&entry.eni_id).ok()?,
        })
    };
    entries.filter_map(read).collect()
}

fn spec(object: &NodeENI) -> Result<EniSpec, Unreadable> {
    let spec = &object.spec;
    let mut subnets = Vec::new();
    for id in spec.subnet_id.iter().chain(spec.subnet_ids.iter().flatten()) {
        push_new(&mut subnets, SubnetRef::Id(SubnetId::parse(id)?));
    }
    for name in spec.subnet_name.iter().chain(spec.subnet_names.iter().flatten()).filter(|n| !n.is_empty()) {
        push_new(&mut subnets, SubnetRef::Name(name.clone()));
    }
    if subnets.is_empty() {
        return Err(Unreadable::NoSubnet);
    }
    if spec.node_selector.is_empty() {
        return Err(Unreadable::NoSelector);
    }
    let lowest = i32::from(spec.network_card_index.unwrap_or(0) <= 0);
    if !(lowest..=63).contains(&spec.device_index) {
        return Err(Unreadable::DeviceIndex(spec.device_index));
    }
    if let Some(kind) = spec.interface_type.as_deref().filter(|kind| *kind != "interface") {
        return Err(Unreadable::InterfaceType(kind.to_owned()));
    }
    let mut groups = Vec::new();
    for id in spec.security_group_ids.iter().flatten() {
        push_new(&mut groups, SecurityGroupId::parse(id)?);
    }
    spec_validation::of_spec(spec).map_err(Unreadable::OutOfBounds)?;
    let max_unavailable = spec.rollout.as_ref().and_then(|r| r.max_unavailable).unwrap_or(1);
    let max_removals = spec.rollout.as_ref().and_then(|r| r.max_removals.as_ref()).map(max_removals).transpose()?;
    Ok(EniSpec {
        selector: spec.node_selector.clone(),
        subnets,
        groups,
        group_names: spec.security_group_names.clone().unwrap_or_default(),
        index: spec.device_index,
        index_policy: spec.device_index_policy.unwrap_or_default(),
        card: spec.network_card_index.unwrap_or(0),
        delete_on_termination: spec.delete_on_termination,
        source_dest_check: spec.source_dest_check.unwrap_or(true),
        description: spec.description.clone().unwrap_or_default(),
        tags: spec.tags.clone().unwrap_or_default(),
        node_settings: NodeSettings {
            mtu: spec.mtu.filter(|mtu| *mtu > 0),
            enable_dpdk: spec.enable_dpdk,
            dpdk_driver: spec.dpdk_driver.clone().filter(|text| !text.is_empty()),
            dpdk_resource_name: spec.dpdk_resource_name.clone().filter(|text| !text.is_empty()),
            dpdk_pci_address: spec.dpdk_pci_address.clone().filter(|text| !text.is_empty()),
            node_config: spec.node_config.clone().filter(|config| !config.is_empty()),
        },
        ipv4_prefix_count: spec.ipv4_prefix_count.filter(|n| *n > 0),
        ipv6_address_count: spec.ipv6_address_count.filter(|n| *n > 0),
        ipv6_prefix_count: spec.ipv6_prefix_count.filter(|n| *n > 0),
        private_ip_count: spec.private_ip_count.filter(|n| *n > 1),
        max_unavailable: usize::try_from(max_unavailable).unwrap_or(1).max(1),
        max_removals,
    })
}

fn max_removals(stored: &IntOrString) -> Result<MaxRemovals, Unreadable> {
    let text = match stored {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(text) => text.clone(),
    };
    MaxRemovals::parse(&text).ok_or(Unreadable::MaxRemovals(text))
}

/// Whether the annotation names the current generation. An older generation was permitted for another edit.
fn allows_removals(object: &NodeENI) -> bool {
    let annotations = object.metadata.annotations.as_ref();
    let named = annotations.and_then(|annotations| annotations.get(ANNOTATION_ALLOW_REMOVALS));
    let named = named.and_then(|value| value.trim().parse::<i64>().ok());
    named.is_some() && named == object.metadata.generation
}

fn push_new<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}
