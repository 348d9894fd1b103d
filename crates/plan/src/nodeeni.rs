//! Parses a NodeENI once. A spec that passes the schema and cannot be used gives an error as data. This file uses only the stored
//! object and looks nothing up.

use crate::ec2_terms::{GroupTerm, SubnetTerm};
use crate::max_removals::MaxRemovals;
use crate::max_unavailable::MaxUnavailable;
use crate::node_selector::NodeSelectorTerm;
use crate::observed::ObservedNode;
use crate::spec_validation;
use crate::string_map::StringMap;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use multi_eni_api::ids::{EniId, InstanceId, MalformedId, SecurityGroupId, SubnetId};
use multi_eni_api::names::{ANNOTATION_ALLOW_REMOVALS, NODEENI_FINALIZER};
use multi_eni_api::nodeeni_status::AttachmentEntry;
use multi_eni_api::{ConnectionTracking, DeviceIndexPolicy, NodeENI, NodeEniSpec, NodeSettings};
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
    pub has_finalizer: bool,
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
    #[error("the spec names no subnet: set subnetID, subnetIDs, subnetName, subnetNames or subnetSelectorTerms")]
    NoSubnet,
    /// A term of `subnetSelectorTerms` cannot be used: a sentence.
    #[error("subnetSelectorTerms: {0}")]
    SubnetTerm(String),
    /// The selector is empty.
    #[error("nodeSelector is empty and would match every node: name at least one label, or set nodeSelectorTerms")]
    NoSelector,
    /// A term of `nodeSelectorTerms` cannot be used: a sentence.
    #[error("nodeSelectorTerms: {0}")]
    NodeSelectorTerm(String),
    /// A term of `securityGroupSelectorTerms` cannot be used: a sentence.
    #[error("securityGroupSelectorTerms: {0}")]
    GroupTerm(String),
    /// `deviceIndex` is out of bounds, 0 to 63, or 0 on network card 0.
    #[error(
        "deviceIndex {0} is out of bounds: it must be 1 to 63, or from 0 where networkCardIndex is 1 or higher (index 0 of card \
         0 is the node's primary network interface)"
    )]
    DeviceIndex(i32),
    /// `rollout.maxRemovals` is neither a number nor a percentage.
    #[error("rollout.maxRemovals {0:?} is neither a number of at least 1 nor a percentage from 1% to 100%")]
    MaxRemovals(String),
    /// `rollout.maxUnavailable` is neither a number nor a percentage.
    #[error("rollout.maxUnavailable {0:?} is neither a number of at least 1 nor a percentage from 1% to 100%")]
    MaxUnavailable(String),
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
    /// Label selectors, of which a node must match at least one. Empty: `selector` alone decides.
    pub selector_terms: Vec<NodeSelectorTerm>,
    /// Subnets in the order of the spec; those by ID come first, as in upstream.
    pub subnets: Vec<SubnetRef>,
    /// Terms that select one subnet for each node. If there are any, `subnets` is empty.
    pub subnet_terms: Vec<SubnetTerm>,
    /// Groups by ID.
    pub groups: Vec<SecurityGroupId>,
    /// Groups by name.
    pub group_names: Vec<String>,
    /// Terms that select groups. If there are any, `groups` and `group_names` are empty.
    pub group_terms: Vec<GroupTerm>,
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
    /// Timeouts of connection tracking. A value that is not set stays as EC2 has it.
    pub connection_tracking: ConnectionTracking,
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
    /// How many nodes may be without their ENIs during a replacement.
    pub max_unavailable: MaxUnavailable,
    /// How many nodes may lose their ENIs within the window because of labels or an edit. None: the default.
    pub max_removals: Option<MaxRemovals>,
}

impl EniSpec {
    /// Whether the selector and one of the terms match these labels.
    pub fn matches(&self, labels: &StringMap) -> bool {
        self.selector.iter().all(|(key, value)| labels.get(key) == Some(value))
            && (self.selector_terms.is_empty() || self.selector_terms.iter().any(|term| term.matches(labels)))
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
            has_finalizer: meta.finalizers.iter().flatten().any(|f| f == NODEENI_FINALIZER),
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

    /// The fields of the spec that select nodes, for a sentence.
    pub fn selector_fields(&self) -> &'static str {
        match self.spec.as_ref().map(|spec| (spec.selector.is_empty(), spec.selector_terms.is_empty())) {
            Ok((true, false)) => "nodeSelectorTerms",
            Ok((false, false)) => "nodeSelector and nodeSelectorTerms",
            Ok((_, true)) | Err(_) => "nodeSelector",
        }
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
    let subnet_terms = subnet_terms(spec, &subnets)?;
    if subnets.is_empty() && subnet_terms.is_empty() {
        return Err(Unreadable::NoSubnet);
    }
    let terms = spec.node_selector_terms.iter().flatten().map(NodeSelectorTerm::read);
    let selector_terms = terms.collect::<Result<Vec<_>, _>>().map_err(Unreadable::NodeSelectorTerm)?;
    if spec.node_selector.is_empty() && selector_terms.is_empty() {
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
    let group_terms = group_terms(spec)?;
    spec_validation::of_spec(spec).map_err(Unreadable::OutOfBounds)?;
    let max_unavailable =
        spec.rollout.as_ref().and_then(|r| r.max_unavailable.as_ref()).map(max_unavailable).transpose()?;
    let max_removals = spec.rollout.as_ref().and_then(|r| r.max_removals.as_ref()).map(max_removals).transpose()?;
    Ok(EniSpec {
        selector: spec.node_selector.clone(),
        selector_terms,
        subnets,
        subnet_terms,
        groups,
        group_names: spec.security_group_names.clone().unwrap_or_default(),
        group_terms,
        index: spec.device_index,
        index_policy: spec.device_index_policy.unwrap_or_default(),
        card: spec.network_card_index.unwrap_or(0),
        delete_on_termination: spec.delete_on_termination,
        source_dest_check: spec.source_dest_check.unwrap_or(true),
        connection_tracking: spec.connection_tracking.unwrap_or_default(),
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
        max_unavailable: max_unavailable.unwrap_or_default(),
        max_removals,
    })
}

fn subnet_terms(spec: &NodeEniSpec, listed: &[SubnetRef]) -> Result<Vec<SubnetTerm>, Unreadable> {
    let terms = spec.subnet_selector_terms.iter().flatten().map(SubnetTerm::read);
    let terms = terms.collect::<Result<Vec<_>, _>>().map_err(Unreadable::SubnetTerm)?;
    if !terms.is_empty() && !listed.is_empty() {
        let why = "they exclude subnetID, subnetIDs, subnetName and subnetNames: keep the terms or the list";
        return Err(Unreadable::SubnetTerm(why.to_owned()));
    }
    Ok(terms)
}

fn group_terms(spec: &NodeEniSpec) -> Result<Vec<GroupTerm>, Unreadable> {
    let terms = spec.security_group_selector_terms.iter().flatten().map(GroupTerm::read);
    let terms = terms.collect::<Result<Vec<_>, _>>().map_err(Unreadable::GroupTerm)?;
    let lists = [&spec.security_group_ids, &spec.security_group_names];
    if !terms.is_empty() && lists.into_iter().flatten().flatten().next().is_some() {
        let why = "they exclude securityGroupIDs and securityGroupNames: write those as terms";
        return Err(Unreadable::GroupTerm(why.to_owned()));
    }
    Ok(terms)
}

fn max_removals(stored: &IntOrString) -> Result<MaxRemovals, Unreadable> {
    let text = match stored {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(text) => text.clone(),
    };
    MaxRemovals::parse(&text).ok_or(Unreadable::MaxRemovals(text))
}

fn max_unavailable(stored: &IntOrString) -> Result<MaxUnavailable, Unreadable> {
    match stored {
        // A number that is stored without the rule of the schema and is below 1 counts as 1.
        IntOrString::Int(number) => Ok(MaxUnavailable::Nodes(usize::try_from(*number).unwrap_or(1).max(1))),
        IntOrString::String(text) => {
            MaxUnavailable::parse(text).ok_or_else(|| Unreadable::MaxUnavailable(text.clone()))
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use multi_eni_api::NodeEniSpec;
    use multi_eni_api::nodeeni::Rollout;

    #[test]
    fn max_unavailable_is_a_number_or_a_percentage() {
        let read = |stored: Option<IntOrString>| {
            let spec = NodeEniSpec {
                node_selector: [("a".to_owned(), "b".to_owned())].into(),
                subnet_id: Some("subnet-0f59b4f14737be9ad".to_owned()),
                device_index: 1,
                rollout: Some(Rollout { max_unavailable: stored, max_removals: None }),
                ..NodeEniSpec::default()
            };
            NodeEni::read(&NodeENI::new("a", spec)).spec.map(|spec| spec.max_unavailable)
        };
        let text = |text: &str| Some(IntOrString::String(text.to_owned()));
        assert_eq!(read(None), Ok(MaxUnavailable::Nodes(1)));
        assert_eq!(read(Some(IntOrString::Int(3))), Ok(MaxUnavailable::Nodes(3)));
        assert_eq!(read(Some(IntOrString::Int(-1))), Ok(MaxUnavailable::Nodes(1)), "as before");
        assert_eq!(read(text("3")), Ok(MaxUnavailable::Nodes(3)));
        assert_eq!(read(text("25%")), Ok(MaxUnavailable::Percent(25)));
        assert_eq!(read(text("0%")), Err(Unreadable::MaxUnavailable("0%".to_owned())));
    }
}
