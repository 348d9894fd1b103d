//! The reasons why a pair of NodeENI and Node gets no ENI, as data. `Display` gives the sentence for conditions and tells the
//! user what to do. Nothing is decided here.

use super::slot_policies::SlotPolicies;
use crate::lookup_failure::LookupFailure;
use crate::nodeeni::SubnetRef;
use crate::observed::{Location, Unattachable};
use jiff::Timestamp;
use multi_eni_api::ids::{EniId, InstanceId, SubnetId};

/// Condition reason: the instance is gone and its Node still exists.
pub const INSTANCE_GONE: &str = "InstanceGone";

/// Condition reason: sources name different zones for a node.
pub const ZONE_CONTRADICTION: &str = "ZoneContradiction";

/// A pair of NodeENI and Node that gets no ENI now, or not all ENIs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unassigned {
    /// UID of the NodeENI.
    pub nodeeni_uid: String,
    /// The Node's name.
    pub node: String,
    /// The reason.
    pub why: UnassignedReason,
}

/// The reason why a NodeENI gets no ENI on a Node, or not all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnassignedReason {
    /// The Node has had no providerID for longer than a Node usually joins.
    NoProviderId,
    /// The Node is joining the cluster. The text names what its cloud provider has not written yet.
    Joining(&'static str),
    /// The Node can never have an ENI of this controller.
    Unsupported(Unattachable),
    /// An AWS service manages the instance. EC2 refuses changes of its interfaces to everybody else.
    ManagedInstance {
        /// The principal that EC2 names; None if only the Node's label shows it.
        operator: Option<String>,
    },
    /// The Node is being deleted.
    NodeDeleting,
    /// No source names the Node's Availability Zone.
    NoZone,
    /// The zone in the providerID is in a Region that this process does not call.
    OtherRegion {
        /// The node's zone.
        zone: String,
        /// The Region that is called.
        region: String,
    },
    /// EC2 itself shows two different zones for the node: a sentence.
    ZoneContradiction(String),
    /// EC2 does not show the instance. Another lookup, at least a minute after the first one, and a whole resync decide whether it is
    /// gone.
    InstanceNotShown {
        /// The instance.
        instance: InstanceId,
        /// Since when lookups do not show it.
        since: Timestamp,
    },
    /// The instance is gone, and its Node still exists.
    InstanceGone {
        /// The instance.
        instance: InstanceId,
        /// Since when lookups show that.
        since: Timestamp,
        /// Whether this lasts longer than a Node usually outlives its instance.
        is_lasting: bool,
    },
    /// DescribeInstances shows the instance alive, and EC2 does not show its primary interface.
    PrimaryNotShown {
        /// The instance.
        instance: InstanceId,
        /// Since when lookups do not show the interface.
        since: Timestamp,
        /// Whether this lasts longer than EC2's eventual consistency explains.
        is_lasting: bool,
    },
    /// EC2 does not know the subnet.
    SubnetMissing(SubnetRef),
    /// No subnet of the node's VPC matches subnetSelectorTerms: the terms as a text.
    NoSubnetMatches(String),
    /// The terms seem to select the subnet of the node's ENI no longer, and select others. EC2 must show its tags for longer before
    /// the ENI is replaced.
    SubnetUnconfirmed {
        /// The subnet of the node's ENI.
        subnet: SubnetId,
        /// When EC2 is asked for the last time.
        until: Timestamp,
        /// Whether only an edit of the terms is the cause: EC2 showed the same tags before the edit.
        is_edit: bool,
        /// The node's zone, if no subnet is in it that the terms select by the last answers.
        bare_zone: Option<String>,
    },
    /// No listed subnet is in the node's zone and on its Outpost.
    NoSubnetInZone {
        /// The node's zone, and its Outpost.
        node: Location,
        /// The places of the listed subnets.
        subnets: Vec<Location>,
    },
    /// A name stands for no subnet of the node's zone, and may have stood for one until recently. Existing ENIs stay for a while.
    NameMayMove {
        /// The subnets' tag Name.
        name: String,
        /// The node's zone.
        zone: String,
        /// The subnet of the ENI that stays.
        subnet: String,
        /// Until when the ENI stays.
        until: Timestamp,
    },
    /// The subnet is in another VPC than the node. EC2 would create the ENI and never attach it.
    SubnetInOtherVpc {
        /// The subnet and its VPC.
        subnet: (SubnetId, String),
        /// The node's VPC.
        vpc: String,
    },
    /// A name stands for several subnets of the VPC and zone.
    SubnetAmbiguous(String),
    /// The VPC has no security group of this name, or several: the name and the number.
    GroupUnresolved(String, usize),
    /// No security group of the node's VPC matches securityGroupSelectorTerms: the terms as a text.
    NoGroupMatches(String),
    /// Another ENIAttachment holds the slot.
    SlotHeld {
        /// Network card and device index.
        slot: (i32, i32),
        /// NodeENI that holds it.
        holder: String,
        /// The holder is leaving the slot.
        leaving: bool,
        /// How the two NodeENIs choose their device indexes, on which the advice depends.
        policies: SlotPolicies,
    },
    /// Another ENI of the same NodeENI, in another of its subnets, holds the slot: it was adopted from upstream and keeps its
    /// slot.
    SlotPinned {
        /// Network card and device index.
        slot: (i32, i32),
        /// The ENIAttachment that holds it.
        name: String,
    },
    /// An ENI of another owner is in the slot on EC2.
    SlotTaken {
        /// Network card and device index.
        slot: (i32, i32),
        /// The ENI in the slot.
        eni: EniId,
        /// Its description.
        description: String,
    },
    /// The instance has as many interfaces as its type, or the network card, supports.
    InstanceFull {
        /// Instance type.
        kind: String,
        /// Network card, if the card is full and not the instance.
        card: Option<i32>,
        /// Interfaces that the instance type or the card supports.
        most: i32,
    },
    /// EC2 has refused a device index for the instance type, and no lower one is free.
    IndexRefused {
        /// Instance type.
        kind: String,
        /// Network card, and the lowest device index on it that EC2 has refused.
        slot: (i32, i32),
    },
    /// The limits of the instance type are not known, and `deviceIndexPolicy: highestFree` needs them.
    InstanceTypeUnknown {
        /// Instance type; None if the Node has no type label.
        kind: Option<String>,
    },
    /// The instance type has no such network card.
    NoSuchCard {
        /// Instance type.
        kind: String,
        /// The network card that the spec asks for.
        card: i32,
        /// The number of network cards that it has.
        cards: usize,
    },
    /// The network card takes no such device index.
    IndexBeyondCard {
        /// Instance type.
        kind: String,
        /// Network card and device index.
        slot: (i32, i32),
        /// Interfaces that the card supports; its indexes are below this number.
        most: i32,
    },
    /// The spec asks for more addresses than the instance type supports on one interface.
    TooManyAddresses {
        /// Instance type.
        kind: String,
        /// IPv4 or IPv6.
        family: &'static str,
        /// Addresses that the spec asks for; a prefix counts as one.
        asked: i32,
        /// Addresses that the instance type supports on one interface.
        most: i32,
    },
    /// The spec, with its names resolved, exceeds what an ENIAttachment can hold: a sentence.
    OutOfBounds(String),
    /// EC2 refused to attach an ENI there with an error that lasts.
    AttachRefused {
        /// EC2's words.
        words: String,
        /// The Node has no type label, and a limit of the type is the cause.
        lacks_type: bool,
    },
    /// A lookup on EC2 must end first. The text names its subject.
    LookupPending(&'static str),
    /// The lookup on EC2 failed.
    LookupFailed(LookupFailure),
    /// The old ENI must be deleted first.
    Replacing,
    /// The ENIs of other nodes are replaced first.
    AwaitingRollout,
}

impl UnassignedReason {
    /// CamelCase reason for a condition.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoProviderId => "NodeHasNoProviderID",
            Self::Joining(_) => "NodeJoining",
            Self::Unsupported(_) => "NodeNotSupported",
            Self::ManagedInstance { .. } => "InstanceManaged",
            Self::NodeDeleting => "NodeDeleting",
            Self::NoZone => "NodeHasNoZone",
            Self::OtherRegion { .. } => "NodeInOtherRegion",
            Self::ZoneContradiction(_) => ZONE_CONTRADICTION,
            Self::InstanceNotShown { .. } => "InstanceNotShown",
            Self::InstanceGone { .. } => INSTANCE_GONE,
            Self::PrimaryNotShown { .. } => "PrimaryInterfaceNotShown",
            Self::SubnetMissing(_) | Self::NoSubnetMatches(_) => "SubnetNotFound",
            Self::NoSubnetInZone { .. } => "NoSubnetInZone",
            Self::NameMayMove { .. } => "SubnetNameMoved",
            Self::SubnetInOtherVpc { .. } => "SubnetInOtherVPC",
            Self::SubnetAmbiguous(_) => "SubnetNameAmbiguous",
            Self::GroupUnresolved(..) | Self::NoGroupMatches(_) => "SecurityGroupNotResolved",
            Self::SlotHeld { .. } | Self::SlotPinned { .. } => "DeviceIndexConflict",
            Self::SlotTaken { .. } => "DeviceIndexTaken",
            Self::InstanceFull { .. } => "InstanceFull",
            Self::IndexRefused { .. } => "DeviceIndexRefused",
            Self::InstanceTypeUnknown { .. } => "InstanceTypeUnknown",
            Self::NoSuchCard { .. } => "NetworkCardNotFound",
            Self::IndexBeyondCard { .. } => "DeviceIndexTooHigh",
            Self::TooManyAddresses { .. } => "TooManyAddresses",
            Self::OutOfBounds(_) => "OutOfBounds",
            Self::AttachRefused { .. } => "AttachRefused",
            Self::LookupPending(_) | Self::SubnetUnconfirmed { .. } => "Looking",
            Self::LookupFailed(failure) => failure.reason(),
            Self::Replacing => "Replacing",
            Self::AwaitingRollout => "AwaitingRollout",
        }
    }

    /// Whether the NodeENI does not cover the node: it has no subnet in the node's zone or on its Outpost, or the node can have no ENI. Such a node
    /// is counted apart, and is neither a failure nor missing for Ready.
    pub fn is_not_covered(&self) -> bool {
        matches!(self, Self::NoSubnetInZone { .. } | Self::Unsupported(_) | Self::ManagedInstance { .. })
    }

    /// Whether it is not known what the NodeENI gets on the node, because EC2 has not answered, or an answer is to be confirmed.
    pub fn awaits_ec2(&self) -> bool {
        matches!(self, Self::LookupPending(_) | Self::LookupFailed(_) | Self::InstanceNotShown { .. })
    }

    /// Whether an answer to a lookup that is under way or comes soon changes it: the Node is decided again within seconds.
    pub fn awaits_lookup(&self) -> bool {
        matches!(self, Self::LookupPending(_) | Self::SubnetUnconfirmed { .. })
    }

    /// Whether a complete resync may change it. No other event tells of that.
    pub fn awaits_resync(&self) -> bool {
        matches!(self, Self::InstanceNotShown { .. })
    }

    /// Whether the reason ends without any action of a user.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NodeDeleting | Self::LookupPending(_) | Self::Replacing | Self::AwaitingRollout => true,
            Self::Joining(_) | Self::SubnetUnconfirmed { .. } | Self::InstanceNotShown { .. } => true,
            Self::SlotHeld { leaving, .. } => *leaving,
            Self::InstanceGone { is_lasting, .. } | Self::PrimaryNotShown { is_lasting, .. } => !is_lasting,
            Self::ZoneContradiction(_) | Self::OtherRegion { .. } => false,
            Self::Unsupported(_) | Self::ManagedInstance { .. } => false,
            Self::NoProviderId | Self::NoZone | Self::SubnetMissing(_) | Self::NoSubnetInZone { .. } => false,
            Self::NameMayMove { .. } | Self::NoGroupMatches(_) | Self::NoSubnetMatches(_) => false,
            Self::SubnetInOtherVpc { .. } | Self::SlotPinned { .. } | Self::AttachRefused { .. } => false,
            Self::InstanceFull { .. } | Self::NoSuchCard { .. } | Self::TooManyAddresses { .. } => false,
            Self::OutOfBounds(_) | Self::IndexBeyondCard { .. } | Self::IndexRefused { .. } => false,
            Self::InstanceTypeUnknown { .. } => false,
            Self::SubnetAmbiguous(_) | Self::GroupUnresolved(..) | Self::SlotTaken { .. } | Self::LookupFailed(_) => {
                false
            }
        }
    }
}
