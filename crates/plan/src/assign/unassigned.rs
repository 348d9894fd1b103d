//! The reasons why a pair of NodeENI and Node gets no ENI, as data. `Display` gives the sentence for conditions and tells the
//! user what to do. Nothing is decided here.

use crate::lookup_failure::LookupFailure;
use crate::nodeeni::SubnetRef;
use crate::observed::Unattachable;
use jiff::Timestamp;
use multi_eni_api::ids::{EniId, InstanceId, SubnetId};
use std::fmt;

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
    /// No listed subnet is in the node's zone.
    NoSubnetInZone {
        /// The node's zone.
        zone: String,
        /// The zones of the listed subnets.
        zones: Vec<String>,
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
    /// EC2 refused to attach an ENI there with an error that lasts: EC2's words.
    AttachRefused(String),
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
            Self::InstanceTypeUnknown { .. } => "InstanceTypeUnknown",
            Self::NoSuchCard { .. } => "NetworkCardNotFound",
            Self::IndexBeyondCard { .. } => "DeviceIndexTooHigh",
            Self::TooManyAddresses { .. } => "TooManyAddresses",
            Self::OutOfBounds(_) => "OutOfBounds",
            Self::AttachRefused(_) => "AttachRefused",
            Self::LookupPending(_) => "Looking",
            Self::LookupFailed(failure) => failure.reason(),
            Self::Replacing => "Replacing",
            Self::AwaitingRollout => "AwaitingRollout",
        }
    }

    /// Whether the NodeENI does not cover the node: it has no subnet in the node's zone, or the node can have no ENI. Such a node
    /// is counted apart, and is neither a failure nor missing for Ready.
    pub fn is_not_covered(&self) -> bool {
        matches!(self, Self::NoSubnetInZone { .. } | Self::Unsupported(_) | Self::ManagedInstance { .. })
    }

    /// Whether the reason ends without any action of a user.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NodeDeleting | Self::LookupPending(_) | Self::Replacing | Self::AwaitingRollout => true,
            Self::Joining(_) => true,
            Self::SlotHeld { leaving, .. } => *leaving,
            Self::InstanceGone { is_lasting, .. } | Self::PrimaryNotShown { is_lasting, .. } => !is_lasting,
            Self::ZoneContradiction(_) | Self::OtherRegion { .. } => false,
            Self::Unsupported(_) | Self::ManagedInstance { .. } => false,
            Self::NoProviderId | Self::NoZone | Self::SubnetMissing(_) | Self::NoSubnetInZone { .. } => false,
            Self::NameMayMove { .. } | Self::NoGroupMatches(_) | Self::NoSubnetMatches(_) => false,
            Self::SubnetInOtherVpc { .. } | Self::SlotPinned { .. } | Self::AttachRefused(_) => false,
            Self::InstanceFull { .. } | Self::NoSuchCard { .. } | Self::TooManyAddresses { .. } => false,
            Self::OutOfBounds(_) | Self::IndexBeyondCard { .. } | Self::InstanceTypeUnknown { .. } => false,
            Self::SubnetAmbiguous(_) | Self::GroupUnresolved(..) | Self::SlotTaken { .. } | Self::LookupFailed(_) => {
                false
            }
        }
    }
}

impl fmt::Display for UnassignedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoProviderId => f.write_str(
                "the Node has no providerID, which its cloud provider sets as aws:///ZONE/INSTANCE: check the AWS cloud \
                 controller manager",
            ),
            Self::Joining(what) => write!(f, "the Node is joining the cluster: waiting for {what}"),
            Self::Unsupported(what) => write!(f, "it is {what}, which can have no ENI: exclude it by its labels"),
            Self::ManagedInstance { operator: Some(operator) } => write!(
                f,
                "{operator} manages the instance, and EC2 refuses changes of its interfaces to others: exclude the node by its \
                 labels"
            ),
            Self::ManagedInstance { operator: None } => f.write_str(
                "EKS Auto Mode manages the instance (label eks.amazonaws.com/compute-type=auto), and EC2 refuses changes of its \
                 interfaces to others: exclude the node by its labels",
            ),
            Self::NodeDeleting => f.write_str("the Node is being deleted: it gets no new ENI"),
            Self::NoZone => f.write_str(
                "the Node has no label topology.kubernetes.io/zone and no zone in its providerID, so no subnet can be chosen",
            ),
            Self::OtherRegion { zone, region } => write!(
                f,
                "the Node is in zone {zone} according to its providerID, but this controller calls EC2 in Region {region} and \
                 creates no ENI for it: exclude such nodes from nodeSelector, or check AWS_REGION"
            ),
            Self::ZoneContradiction(sentence) => write!(f, "{sentence}, and no ENI is created until the sources agree"),
            Self::InstanceGone { instance, since, is_lasting: false } => {
                write!(
                    f,
                    "its instance {instance} has been gone since {since}: no ENI is created, and the Node is expected to be \
                     deleted"
                )
            }
            Self::InstanceGone { instance, since, is_lasting: true } => write!(
                f,
                "its instance {instance} has been gone since {since}, but the Node still exists: delete the Node, or find out \
                 why the cloud controller does not delete it"
            ),
            Self::PrimaryNotShown { instance, since, .. } => write!(
                f,
                "EC2 has not shown the primary interface of {instance} since {since}, so no ENI is created: the lookup is \
                 repeated; check that the Node's providerID is correct, and that the controller's IAM role can see the instance"
            ),
            Self::SubnetMissing(SubnetRef::Id(id)) => {
                write!(f, "EC2 knows no subnet {id} in this account and Region: correct the NodeENI or create the subnet")
            }
            Self::SubnetMissing(SubnetRef::Name(name)) => {
                write!(
                    f,
                    "EC2 knows no subnet with the tag Name={name} in the node's VPC: correct the NodeENI or tag a subnet. A subnet \
                     that another account shares shows none of its owner's tags: name it by subnetID"
                )
            }
            Self::NoSubnetInZone { zone, zones } => write!(
                f,
                "no subnet of the NodeENI is in the node's zone {zone} (its subnets are in {}): add a subnet of that zone",
                zones.join(", ")
            ),
            Self::NameMayMove { name, zone, subnet, until } => write!(
                f,
                "no subnet of the node's zone {zone} has the tag Name={name}: the ENI in {subnet} stays until {until}, in case \
                 the tag is being moved to another subnet; to keep the ENI, tag a subnet of that zone"
            ),
            Self::SubnetInOtherVpc { subnet: (subnet, theirs), vpc } => write!(
                f,
                "{subnet} is in {theirs}, and the node is in {vpc}: use a subnet of the node's VPC"
            ),
            Self::SubnetAmbiguous(name) => {
                write!(f, "several subnets of the node's VPC and zone have the tag Name={name}: name one of them by subnetID")
            }
            Self::GroupUnresolved(name, 0) => {
                write!(f, "the node's VPC has no security group named {name}: correct the NodeENI or create the group")
            }
            Self::GroupUnresolved(name, n) => {
                write!(f, "the node's VPC has {n} security groups named {name}: name one of them by securityGroupIDs")
            }
            Self::NoSubnetMatches(terms) => write!(
                f,
                "no subnet of the node's VPC matches subnetSelectorTerms ({terms}): correct the terms or tag a subnet. A subnet that \
                 another account shares shows none of its owner's tags: select it by id"
            ),
            Self::NoGroupMatches(terms) => write!(
                f,
                "no security group of the node's VPC matches securityGroupSelectorTerms ({terms}): correct the terms, or tag or \
                 create a group"
            ),
            Self::SlotHeld { slot: (card, index), holder, leaving: false } => write!(
                f,
                "device index {index} on network card {card} is used by NodeENI {holder}: give one of the two NodeENIs another \
                 deviceIndex"
            ),
            Self::SlotHeld { slot: (card, index), holder, leaving: true } => {
                write!(
                    f,
                    "waiting for the ENI of NodeENI {holder} to be detached from device index {index} on network card {card}"
                )
            }
            Self::SlotPinned { slot: (card, index), name } => write!(
                f,
                "device index {index} on network card {card} is occupied by an ENI of another subnet of this NodeENI, which was \
                 adopted from upstream: to replace that ENI by one at the device index of the spec, run kubectl delete enia \
                 {name}"
            ),
            Self::SlotTaken { slot: (card, index), eni, description } => write!(
                f,
                "device index {index} on network card {card} is occupied on EC2 by {eni} ({description:?}), which does not \
                 belong to this cluster and is left unchanged: use another deviceIndex"
            ),
            Self::InstanceFull { kind, card: None, most } => write!(
                f,
                "the instance has {most} network interfaces, the maximum of {kind} (the type by the Node's label): remove one, \
                 or use a larger instance type"
            ),
            Self::InstanceFull { kind, card: Some(card), most } => write!(
                f,
                "network card {card} has {most} network interfaces, its maximum on {kind} (the type by the Node's label): remove \
                 one, use another networkCardIndex or a larger instance type"
            ),
            Self::InstanceTypeUnknown { kind: Some(kind) } => write!(
                f,
                "EC2 knows no instance type {kind} (the type by the Node's label), so deviceIndexPolicy highestFree has no highest \
                 index there and no ENI is created: use deviceIndexPolicy exact, or correct the Node's label"
            ),
            Self::InstanceTypeUnknown { kind: None } => f.write_str(
                "the Node has no label node.kubernetes.io/instance-type, so deviceIndexPolicy highestFree has no highest index \
                 there and no ENI is created: use deviceIndexPolicy exact, or label the Node",
            ),
            Self::NoSuchCard { kind, card, cards } => write!(
                f,
                "{kind} (the type by the Node's label) has {cards} network card(s), and no card {card}: correct \
                 networkCardIndex, or select other nodes"
            ),
            Self::IndexBeyondCard { kind, slot: (card, index), most } => write!(
                f,
                "network card {card} of {kind} (the type by the Node's label) has device indexes 0 to {}, and the spec asks for \
                 {index}: use a lower deviceIndex, or select other nodes",
                most.saturating_sub(1)
            ),
            Self::TooManyAddresses { kind, family, asked, most } => write!(
                f,
                "{kind} (the type by the Node's label) supports {most} {family} addresses on an interface (a prefix counts as \
                 one), and the spec asks for {asked}: ask for fewer addresses"
            ),
            Self::OutOfBounds(why) => f.write_str(why),
            Self::AttachRefused(words) => write!(
                f,
                "EC2 refused to attach the ENI ({words}), and the controller deleted it: it creates another ENI when the \
                 instance's interfaces, its type or the spec change, or after 6 hours; remove an interface from the instance, or \
                 use a larger instance type"
            ),
            Self::LookupPending(what) => write!(f, "waiting for {what}"),
            Self::LookupFailed(why) => write!(f, "the EC2 lookup is not possible: {why}"),
            Self::Replacing => f.write_str("the spec changed: waiting for the old ENI to be deleted"),
            Self::AwaitingRollout => {
                f.write_str("the spec changed: waiting while the ENIs of other nodes are replaced (rollout.maxUnavailable)")
            }
        }
    }
}
