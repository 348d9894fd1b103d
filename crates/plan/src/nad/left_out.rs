//! Why a NodeENI or one of its ENIs has no NetworkAttachmentDefinition, as sentences.

use std::fmt;

/// A NodeENI without a definition, or one of its ENIs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The NodeENI.
    pub nodeeni: String,
    /// The Node of the ENI. None: the NodeENI as a whole.
    pub node: Option<String>,
    /// Why.
    pub reason: Reason,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Some(node) => write!(f, "NodeENI {} on node {node}: {}", self.nodeeni, self.reason),
            None => write!(f, "NodeENI {}: {}", self.nodeeni, self.reason),
        }
    }
}

/// Why there is no definition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Nothing says how a Pod could get the ENIs.
    #[error(
        "a pod has no way to its ENIs: set nodeConfig.interfaceName, an alternative name that the links have on each node, or \
         dpdkResourceName, a resource that pods request"
    )]
    NotForPods,
    /// The NodeENI is being deleted.
    #[error("it is being deleted")]
    Deleting,
    /// The spec cannot be used.
    #[error("its spec cannot be used: {0}")]
    Unreadable(String),
    /// The mode is none.
    #[error("nodeConfig.mode is none, so that the node agent gives no link the alternative name")]
    ModeNone,
    /// The devices are bound for DPDK, and no resource offers them.
    #[error("enableDPDK leaves no link: set dpdkResourceName, so that pods can request the devices")]
    DpdkNeedsResource,
    /// The devices are bound for DPDK.
    #[error("enableDPDK leaves no link for ipvlan: use --type host-device")]
    DpdkHasNoLink,
    /// No ENIAttachment exists.
    #[error("it has no ENIAttachment yet, and a definition of ipvlan has the addresses of one ENI")]
    NoAttachment,
    /// The ENI is not attached.
    #[error("its ENI is not attached (phase {0})")]
    NotAttached(String),
    /// The agent has not reported.
    #[error("the node agent has not reported on the ENI yet, so that the name of its link is not known")]
    NotReported,
    /// The agent sees no link that ipvlan could use.
    #[error("the node agent reports no link that ipvlan could use: {0}")]
    NoLink(String),
    /// The mode is none.
    #[error("nodeConfig.mode is none, so that the node agent does not set its link up")]
    LinkOfModeNone,
    /// The agent has not set the link up.
    #[error("the node agent does not set its link up, and reports {0}")]
    LinkDown(String),
    /// The subnet is not known.
    #[error("the ENIAttachment has no IPv4 CIDR of the subnet, and definitions have IPv4 addresses only")]
    NoSubnet,
    /// The ENI has no address for Pods.
    #[error(
        "its ENI has no IPv4 address for pods: set ipv4PrefixCount, or privateIPCount without the mode addresses, in which the \
         node itself has the addresses"
    )]
    NoAddresses,
    /// The status has a text that is no address.
    #[error("the ENIAttachment has {0:?}, which is no IPv4 address or network")]
    NotAnAddress(String),
}

impl Reason {
    /// Whether the NodeENI is for something else than Pods with this plugin. That is no failure if the definitions of all NodeENIs are
    /// asked for.
    pub fn is_for_something_else(&self) -> bool {
        matches!(self, Self::NotForPods | Self::NoAddresses | Self::DpdkHasNoLink)
    }
}
