//! An ENI as EC2 showed it last: its attributes, its tags and its attachment. Nothing is decided here.

use super::cluster::Cluster;
use crate::string_map::StringMap;
use compact_str::CompactString;
use jiff::Timestamp;
use multi_eni_api::ConnectionTracking;
use multi_eni_api::ids::{EniId, InstanceId, SecurityGroupId, SubnetId};
use multi_eni_api::names;
use serde::{Deserialize, Serialize};

/// Status of an ENI's attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AttachmentState {
    /// The ENI is being attached.
    Attaching,
    /// The ENI is attached. The kernel may not show the link yet.
    Attached,
    /// The ENI is being detached.
    Detaching,
}

/// The device index of an attachment for which EC2's answer has none. It is no slot, and not the slot of the primary interface.
pub const UNKNOWN_INDEX: i32 = -1;

/// The attachment of an ENI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedAttachment {
    /// EC2's attachment ID.
    pub id: String,
    /// The instance; None if EC2 does not show it (instance of another account).
    pub instance: Option<InstanceId>,
    /// Network card index.
    pub card: i32,
    /// Device index; [`UNKNOWN_INDEX`] if EC2's answer has none.
    pub index: i32,
    /// Its state.
    pub state: AttachmentState,
    /// Since when this process has observed this state. For `attaching` it is EC2's own attach time, if known.
    pub since: Timestamp,
    /// deleteOnTermination.
    pub delete_on_termination: bool,
}

/// The IPv6 addresses of an ENI.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObservedIpv6 {
    /// Single addresses.
    pub addresses: Vec<CompactString>,
    /// Prefixes that are delegated to the ENI.
    pub prefixes: Vec<CompactString>,
}

/// An ENI as EC2 showed it last, updated with the answers of this process's own calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedEni {
    /// Its ID.
    pub id: EniId,
    /// Its subnet; None if EC2 does not show it.
    pub subnet: Option<SubnetId>,
    /// Its VPC.
    pub vpc: CompactString,
    /// Availability Zone.
    pub zone: CompactString,
    /// The account that owns it; empty if EC2 does not show it.
    pub owner: CompactString,
    /// The AWS service that manages it, by EC2's `Operator`; None if the account manages it.
    pub operator: Option<CompactString>,
    /// MAC address.
    pub mac: CompactString,
    /// Private IPv4 addresses, the primary one first.
    pub private_ips: Vec<CompactString>,
    /// IPv4 prefixes that are delegated to it.
    pub ipv4_prefixes: Vec<CompactString>,
    /// Its IPv6 addresses and prefixes.
    pub ipv6: ObservedIpv6,
    /// Security groups, sorted.
    pub groups: Vec<SecurityGroupId>,
    /// Description.
    pub description: String,
    /// Source/destination check.
    pub source_dest_check: bool,
    /// Timeouts of connection tracking that EC2 shows. It shows none that was never set.
    pub connection_tracking: ConnectionTracking,
    /// All its tags.
    pub tags: StringMap,
    /// Its attachment; None if the ENI is not attached.
    pub attachment: Option<ObservedAttachment>,
    /// Since when EC2 has shown the ENI in use without an attachment: a branch interface, or an attachment that EC2 hides.
    pub in_use_since: Option<Timestamp>,
    /// When EC2 last showed the whole ENI, with its tags: the start of the Describe, or the answer of the Create. The answers of
    /// other calls do not contain the tags.
    pub shown_at: Timestamp,
    /// The last answered call of this process that changed the ENI.
    pub last_call: Option<Timestamp>,
}

impl ObservedEni {
    /// The time of this observation: the last Describe, or a later answer of this process's own call.
    pub fn as_of(&self) -> Timestamp {
        self.last_call.map_or(self.shown_at, |call| call.max(self.shown_at))
    }

    /// Whether its tags assign it to this cluster.
    pub fn is_of(&self, cluster: &Cluster) -> bool {
        self.tags.get(names::TAG_CLUSTER) == Some(cluster.uid.as_str())
    }

    /// The NodeENI (by name) that upstream's tags name, unless another cluster has adopted the ENI.
    pub fn upstreams(&self, cluster: &Cluster) -> Option<&str> {
        let manager = self.tags.get(names::UPSTREAM_TAG_MANAGED_BY);
        let free = self.tags.get(names::TAG_CLUSTER).is_none_or(|uid| uid == cluster.uid);
        let nodeeni = self.tags.get(names::UPSTREAM_TAG_NODEENI);
        nodeeni.filter(|_| free && manager == Some(names::UPSTREAM_MANAGER))
    }

    /// Whether the ENI is neither of this cluster nor left by upstream's controller. Decisions read little of it: see [`Neighbour`](super::Neighbour).
    pub fn is_foreign(&self, cluster: &Cluster) -> bool {
        !self.is_of(cluster) && self.upstreams(cluster).is_none()
    }

    /// Whether the ENI is in this subnet.
    pub fn is_in(&self, subnet: &str) -> bool {
        self.subnet.as_ref().is_some_and(|id| id.as_str() == subnet)
    }

    /// Whether its tags name this NodeENI: by its UID, or by its name.
    pub fn names_nodeeni(&self, uid: &str, name: &str) -> bool {
        self.tags.get(names::TAG_NODEENI_UID) == Some(uid) || self.tags.get(names::TAG_NODEENI) == Some(name)
    }

    /// The UID of the ENIAttachment that its tags name.
    pub fn attachment_uid(&self) -> Option<&str> {
        self.tags.get(names::TAG_ATTACHMENT_UID)
    }

    /// Whether the ENI is the primary interface of this instance.
    pub fn is_primary_of(&self, instance: &InstanceId) -> bool {
        let here = |at: &ObservedAttachment| (at.card, at.index) == (0, 0) && at.instance.as_ref() == Some(instance);
        self.attachment.as_ref().is_some_and(here)
    }
}
