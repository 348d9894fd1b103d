//! Why a pair of NodeENI and Node gets no ENI, as data; the sentence is made from it.

use crate::lookup_failure::LookupFailure;
use crate::nodeeni::SubnetRef;
use crate::observed::NotOnEc2;
use jiff::Timestamp;
use multi_eni_api::ids::{EniId, InstanceId, SubnetId};
use std::fmt;

/// Reason where an instance has gone before its Node.
pub const INSTANCE_GONE: &str = "InstanceGone";

/// Reason where sources name different zones for a node.
pub const ZONE_CONTRADICTION: &str = "ZoneContradiction";

/// A pair that gets nothing (or not all) now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unassigned {
    /// UID of the NodeENI.
    pub nodeeni_uid: String,
    /// The Node.
    pub node: String,
    /// Why.
    pub why: UnassignedReason,
}

/// Why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnassignedReason {
    /// The Node has no EC2 instance.
    NotOnEc2(String),
    /// The Node is being deleted.
    NodeDeleting,
    /// The Node says no Availability Zone.
    NoZone,
    /// The providerID says a zone of a Region that this process does not call.
    OtherRegion {
        /// The node's zone.
        zone: String,
        /// The Region that is called.
        region: String,
    },
    /// EC2 itself says two things of where the node is: a sentence.
    ZoneContradiction(String),
    /// The instance is gone, and its Node is still there.
    InstanceGone {
        /// The instance.
        instance: InstanceId,
        /// Since when looks say so.
        since: Timestamp,
        /// For longer than a Node usually outlives its instance.
        is_lasting: bool,
    },
    /// The instance lives by what DescribeInstances says, and EC2 does not show its primary interface.
    PrimaryNotShown {
        /// The instance.
        instance: InstanceId,
        /// Since when looks do not show it.
        since: Timestamp,
        /// For longer than EC2 lags.
        is_lasting: bool,
    },
    /// EC2 does not know the subnet.
    SubnetMissing(SubnetRef),
    /// No listed subnet is in the node's zone.
    NoSubnetInZone {
        /// The node's zone.
        zone: String,
        /// The zones of the listed subnets.
        zones: Vec<String>,
    },
    /// A name stands for no subnet of the node's zone, and lately it may have: what is there stays for a while.
    NameMayMove {
        /// The subnets' tag Name.
        name: String,
        /// The node's zone.
        zone: String,
        /// The subnet of the ENI that stays.
        subnet: String,
        /// Until when.
        until: Timestamp,
    },
    /// The subnet is in another VPC than the node: EC2 would create the ENI, and never attach it.
    SubnetInOtherVpc {
        /// The subnet and its VPC.
        subnet: (SubnetId, String),
        /// The node's VPC.
        vpc: String,
    },
    /// A name stands for several subnets of the VPC and zone.
    SubnetAmbiguous(String),
    /// No group, or several, of that name in the VPC.
    GroupUnresolved(String, usize),
    /// Another ENIAttachment holds the slot.
    SlotHeld {
        /// Network card and device index.
        slot: (i32, i32),
        /// NodeENI that holds it.
        holder: String,
        /// The holder is on its way out.
        leaving: bool,
    },
    /// The NodeENI's own ENI of another of its subnets holds the slot: it was taken over from upstream and keeps its place.
    SlotPinned {
        /// Network card and device index.
        slot: (i32, i32),
        /// The ENIAttachment that holds it.
        name: String,
    },
    /// On EC2, somebody else's ENI is in the slot.
    SlotTaken {
        /// Network card and device index.
        slot: (i32, i32),
        /// The occupant.
        eni: EniId,
        /// Its description.
        description: String,
    },
    /// The instance has as many interfaces as its type, or the card, takes.
    InstanceFull {
        /// Instance type.
        kind: String,
        /// Network card, where the card is what is full.
        card: Option<i32>,
        /// Interfaces that it takes.
        most: i32,
    },
    /// The instance type has no such network card.
    NoSuchCard {
        /// Instance type.
        kind: String,
        /// The card that is asked for.
        card: i32,
        /// Cards that it has.
        cards: usize,
    },
    /// More addresses than the instance type takes on one interface.
    TooManyAddresses {
        /// Instance type.
        kind: String,
        /// IPv4 or IPv6.
        family: &'static str,
        /// Asked for; a prefix counts as one.
        asked: i32,
        /// What it takes.
        most: i32,
    },
    /// It comes to more than an ENIAttachment can hold.
    OutOfBounds(String),
    /// EC2 refused to attach an ENI there for good, in these words.
    AttachRefused(String),
    /// A look at EC2 must end first.
    LookupPending(&'static str),
    /// The look at EC2 failed.
    LookupFailed(LookupFailure),
    /// The old ENI must go first.
    Replacing,
    /// Other nodes are replaced first.
    AwaitingRollout,
}

impl UnassignedReason {
    /// CamelCase reason for a condition.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotOnEc2(_) => "NodeNotOnEC2",
            Self::NodeDeleting => "NodeDeleting",
            Self::NoZone => "NodeHasNoZone",
            Self::OtherRegion { .. } => "NodeInOtherRegion",
            Self::ZoneContradiction(_) => ZONE_CONTRADICTION,
            Self::InstanceGone { .. } => INSTANCE_GONE,
            Self::PrimaryNotShown { .. } => "PrimaryInterfaceNotShown",
            Self::SubnetMissing(_) => "SubnetNotFound",
            Self::NoSubnetInZone { .. } => "NoSubnetInZone",
            Self::NameMayMove { .. } => "SubnetNameMoved",
            Self::SubnetInOtherVpc { .. } => "SubnetInOtherVPC",
            Self::SubnetAmbiguous(_) => "SubnetNameAmbiguous",
            Self::GroupUnresolved(..) => "SecurityGroupNotResolved",
            Self::SlotHeld { .. } | Self::SlotPinned { .. } => "DeviceIndexConflict",
            Self::SlotTaken { .. } => "DeviceIndexTaken",
            Self::InstanceFull { .. } => "InstanceFull",
            Self::NoSuchCard { .. } => "NetworkCardNotFound",
            Self::TooManyAddresses { .. } => "TooManyAddresses",
            Self::OutOfBounds(_) => "OutOfBounds",
            Self::AttachRefused(_) => "AttachRefused",
            Self::LookupPending(_) => "Looking",
            Self::LookupFailed(failure) => failure.reason(),
            Self::Replacing => "Replacing",
            Self::AwaitingRollout => "AwaitingRollout",
        }
    }

    /// It ends by itself: no person needs to act.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NodeDeleting | Self::LookupPending(_) | Self::Replacing | Self::AwaitingRollout => true,
            Self::SlotHeld { leaving, .. } => *leaving,
            Self::InstanceGone { is_lasting, .. } | Self::PrimaryNotShown { is_lasting, .. } => !is_lasting,
            Self::ZoneContradiction(_) | Self::OtherRegion { .. } => false,
            Self::NotOnEc2(_) | Self::NoZone | Self::SubnetMissing(_) | Self::NoSubnetInZone { .. } => false,
            Self::NameMayMove { .. } => false,
            Self::SubnetInOtherVpc { .. } | Self::SlotPinned { .. } | Self::AttachRefused(_) => false,
            Self::InstanceFull { .. } | Self::NoSuchCard { .. } | Self::TooManyAddresses { .. } => false,
            Self::OutOfBounds(_) => false,
            Self::SubnetAmbiguous(_) | Self::GroupUnresolved(..) | Self::SlotTaken { .. } | Self::LookupFailed(_) => {
                false
            }
        }
    }
}

impl From<&NotOnEc2> for UnassignedReason {
    fn from(why: &NotOnEc2) -> Self {
        Self::NotOnEc2(why.to_string())
    }
}

impl fmt::Display for UnassignedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOnEc2(why) => f.write_str(why),
            Self::NodeDeleting => f.write_str("the Node is being deleted: it gets nothing new"),
            Self::NoZone => f.write_str(
                "the Node has no label topology.kubernetes.io/zone and no zone in its providerID, so no subnet can be chosen",
            ),
            Self::OtherRegion { zone, region } => write!(
                f,
                "the Node is in {zone} by its providerID, and this controller calls Region {region}: it makes nothing there; leave such \
                 nodes out of nodeSelector, or check AWS_REGION"
            ),
            Self::ZoneContradiction(sentence) => write!(f, "{sentence}, and nothing is made until they agree"),
            Self::InstanceGone { instance, since, is_lasting: false } => {
                write!(f, "its instance {instance} is gone since {since}: nothing is made for it, and its Node is expected to go")
            }
            Self::InstanceGone { instance, since, is_lasting: true } => write!(
                f,
                "its instance {instance} is gone since {since}, and its Node is still there: delete the Node, or find out why its \
                 cloud controller does not"
            ),
            Self::PrimaryNotShown { instance, since, .. } => write!(
                f,
                "EC2 does not show the primary interface of {instance} since {since}, so nothing is made for it: it is looked for again; \
                 check that the Node's providerID is right, and that the IAM role may see the instance"
            ),
            Self::SubnetMissing(SubnetRef::Id(id)) => {
                write!(f, "EC2 knows no subnet {id} in this account and Region: correct the NodeENI or create the subnet")
            }
            Self::SubnetMissing(SubnetRef::Name(name)) => {
                write!(f, "EC2 knows no subnet with the tag Name={name} in the node's VPC: correct the NodeENI or tag a subnet")
            }
            Self::NoSubnetInZone { zone, zones } => write!(
                f,
                "none of its subnets is in the node's zone {zone} (they are in {}): add a subnet of that zone",
                zones.join(", ")
            ),
            Self::NameMayMove { name, zone, subnet, until } => write!(
                f,
                "no subnet of the node's zone {zone} has the tag Name={name}: the ENI in {subnet} stays until {until}, in case the tag is on \
                 its way to another subnet; tag a subnet of that zone to keep it"
            ),
            Self::SubnetInOtherVpc { subnet: (subnet, theirs), vpc } => write!(
                f,
                "{subnet} is in {theirs} and the node in {vpc}: use a subnet of the node's VPC"
            ),
            Self::SubnetAmbiguous(name) => {
                write!(f, "several subnets of the node's VPC and zone have the tag Name={name}: use subnetID to say which")
            }
            Self::GroupUnresolved(name, 0) => {
                write!(f, "the node's VPC has no security group named {name}: correct the NodeENI or create the group")
            }
            Self::GroupUnresolved(name, n) => {
                write!(f, "the node's VPC has {n} security groups named {name}: use securityGroupIDs to say which")
            }
            Self::SlotHeld { slot: (card, index), holder, leaving: false } => write!(
                f,
                "device index {index} on network card {card} is held by NodeENI {holder}: give one of them another deviceIndex"
            ),
            Self::SlotHeld { slot: (card, index), holder, leaving: true } => {
                write!(f, "waits until the ENI of NodeENI {holder} has left device index {index} on network card {card}")
            }
            Self::SlotPinned { slot: (card, index), name } => write!(
                f,
                "device index {index} on network card {card} keeps the ENI of another of its subnets, which was taken over from \
                 upstream: to have that one made anew where the spec asks for it, run kubectl delete enia {name}"
            ),
            Self::SlotTaken { slot: (card, index), eni, description } => write!(
                f,
                "device index {index} on network card {card} is taken on EC2 by {eni} ({description:?}), which is not ours and is not touched: \
                 use another deviceIndex"
            ),
            Self::InstanceFull { kind, card: None, most } => write!(
                f,
                "the instance has {most} network interfaces, as many as a {kind} takes (the type by the Node's label): free one, or use a \
                 larger instance type"
            ),
            Self::InstanceFull { kind, card: Some(card), most } => write!(
                f,
                "network card {card} has {most} network interfaces, as many as it takes on a {kind} (the type by the Node's label): free one, use \
                 another networkCardIndex or a larger instance type"
            ),
            Self::NoSuchCard { kind, card, cards } => write!(
                f,
                "a {kind} (the type by the Node's label) has {cards} network card(s), and no card {card}: correct networkCardIndex, or select \
                 other nodes"
            ),
            Self::TooManyAddresses { kind, family, asked, most } => write!(
                f,
                "a {kind} (the type by the Node's label) takes {most} {family} addresses on an interface (a prefix counts as one), and {asked} \
                 are asked for: ask for fewer"
            ),
            Self::OutOfBounds(why) => f.write_str(why),
            Self::AttachRefused(words) => write!(
                f,
                "EC2 refused to attach an ENI here ({words}), and it was deleted: another one is made when the instance's \
                 interfaces, its type or the spec change, or after 6 hours; free an interface of the instance, or use a larger instance type"
            ),
            Self::LookupPending(what) => write!(f, "waits for a look at {what} on EC2"),
            Self::LookupFailed(why) => write!(f, "EC2 could not be asked: {why}"),
            Self::Replacing => f.write_str("the spec changed: waits until the old ENI is gone"),
            Self::AwaitingRollout => {
                f.write_str("the spec changed: waits for its turn (rollout.maxUnavailable) while other nodes are replaced")
            }
        }
    }
}
