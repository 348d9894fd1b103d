//! Observed state as plain data: Nodes, subnets, security groups, instance types, and ENIs as EC2 showed them last. The cache and
//! the store fill these types and the decisions read them. Nothing is decided here.

use crate::confirmation::tags_confirmed_at;
use crate::ec2_terms::TagTerm;
use crate::lookup_failure::LookupFailure;
use crate::named_groups::NamedGroups;
use crate::string_map::StringMap;
use compact_str::CompactString;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ConnectionTracking;
use multi_eni_api::ids::{EniId, InstanceId, SecurityGroupId, SubnetId};
use multi_eni_api::names;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

mod neighbour;
mod node;

pub use neighbour::Neighbour;
pub use node::{NotOnEc2, ObservedNode, Unattachable, ZONE_LABEL};

/// The identity of this cluster on EC2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// UID of the namespace kube-system: the value of the ownership tag.
    pub uid: String,
    /// Readable name, only for display.
    pub name: String,
}

/// The limits of an instance type, by DescribeInstanceTypes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceLimits {
    /// Network interfaces in total, the primary one included.
    pub enis: i32,
    /// Network interfaces of each network card, by card index.
    pub cards: Vec<i32>,
    /// Private IPv4 addresses per interface; a prefix counts as one.
    pub ipv4_per_eni: i32,
    /// IPv6 addresses per interface.
    pub ipv6_per_eni: i32,
}

/// A subnet as EC2 describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedSubnet {
    /// Its ID.
    pub id: SubnetId,
    /// Availability Zone, such as `eu-west-1a`.
    pub zone: String,
    /// Its VPC.
    pub vpc: String,
    /// IPv4 CIDR.
    pub cidr: String,
    /// The account that owns the subnet. It is another account if the subnet is shared by AWS RAM. Empty if EC2 does not show it.
    pub owner: String,
    /// Tag Name.
    pub name: Option<String>,
    /// All tags that EC2 shows. Of a subnet that another account shares, EC2 shows none of the owner's.
    pub tags: StringMap,
    /// Start of the first Describe that showed these tags, without other tags since. None: earlier Describes do not count.
    pub tags_since: Option<Timestamp>,
    /// Free IPv4 addresses at the time of the Describe.
    pub free_addresses: i32,
    /// Start of the latest Describe that showed more free addresses than the Describe before.
    pub grown: Option<Timestamp>,
    /// When the Describe began.
    pub as_of: Timestamp,
}

impl ObservedSubnet {
    /// When a Describe must begin to confirm the tags. `edited`: when the terms were edited, as far as this process has observed.
    pub fn tags_confirmed_at(&self, edited: Option<Timestamp>) -> Timestamp {
        tags_confirmed_at(self.tags_since.unwrap_or(self.as_of), edited)
    }

    /// Whether EC2 has shown the tags for long enough to replace an ENI because of them.
    pub fn has_confirmed_tags(&self, edited: Option<Timestamp>) -> bool {
        self.tags_since.is_some() && self.as_of >= self.tags_confirmed_at(edited)
    }
}

/// The kinds of lookups that fill the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CatalogLookup {
    /// Subnets by ID.
    SubnetsById,
    /// Subnets by their tag Name.
    SubnetsByName,
    /// Subnets by tags.
    SubnetsByTags,
    /// Security groups by name.
    Groups,
    /// Security groups by tags.
    GroupsByTags,
    /// Limits of instance types.
    InstanceTypes,
}

impl CatalogLookup {
    /// EC2's name of the action.
    pub fn action(self) -> &'static str {
        match self {
            Self::SubnetsById | Self::SubnetsByName | Self::SubnetsByTags => "DescribeSubnets",
            Self::Groups | Self::GroupsByTags => "DescribeSecurityGroups",
            Self::InstanceTypes => "DescribeInstanceTypes",
        }
    }
}

/// Security groups with the tags of a term, as EC2 showed them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaggedGroups {
    /// VPC and ID of each group, in every VPC.
    pub groups: BTreeSet<(String, SecurityGroupId)>,
    /// Start of the first Describe that showed these groups, without others since.
    pub since: Timestamp,
    /// Whether the answers have shown the same groups for minutes (three, see `confirmation.rs`).
    pub is_confirmed: bool,
}

/// The known subnets, security groups and instance types, and those that EC2 does not know. No entry: not looked up yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ec2Catalog {
    /// Subnets by ID.
    pub subnets: BTreeMap<SubnetId, ObservedSubnet>,
    /// Subnet IDs that EC2 does not know, and since when that is known.
    pub missing_subnets: BTreeMap<SubnetId, Timestamp>,
    /// Subnets by tag Name, in every VPC. An empty set: the name was looked up, and no subnet has it.
    pub subnets_named: BTreeMap<String, BTreeSet<SubnetId>>,
    /// Since when each name has stood for the same subnets, as far as this process has observed.
    pub subnets_named_since: BTreeMap<String, Timestamp>,
    /// Subnets by the tags of a term, in every VPC, by the last answer.
    pub subnets_tagged: BTreeMap<TagTerm, BTreeSet<SubnetId>>,
    /// Security groups by name.
    pub groups_named: BTreeMap<String, NamedGroups>,
    /// Security groups by the tags of a term.
    pub groups_tagged: BTreeMap<TagTerm, TaggedGroups>,
    /// Limits by instance type; None: EC2 does not know the type.
    pub instance_types: BTreeMap<String, Option<InstanceLimits>>,
    /// The failure of the last lookup of each kind; no entry if the lookup succeeded.
    pub failures: BTreeMap<CatalogLookup, LookupFailure>,
}

impl Ec2Catalog {
    /// Instance types that EC2 did not know.
    pub fn unknown_types(&self) -> Vec<String> {
        self.instance_types.iter().filter(|(_, limits)| limits.is_none()).map(|(kind, _)| kind.clone()).collect()
    }

    /// The failure of the first of these lookups that failed.
    pub fn failure(&self, lookups: &[CatalogLookup]) -> Option<&LookupFailure> {
        lookups.iter().find_map(|lookup| self.failures.get(lookup))
    }

    /// The IDs of the security groups with these IDs and names in one VPC.
    ///
    /// # Errors
    /// The first name that does not stand for exactly one group in the VPC, and the number of groups; None if the name was not
    /// looked up.
    pub fn groups<'a>(
        &self,
        ids: &[SecurityGroupId],
        names: &'a [String],
        vpc: &str,
    ) -> Result<Vec<SecurityGroupId>, (&'a str, Option<usize>)> {
        let mut groups = ids.to_vec();
        for name in names {
            let found = &self.groups_named.get(name).ok_or((name.as_str(), None))?.groups;
            let in_vpc: Vec<&SecurityGroupId> = found.iter().filter(|(of, _)| of == vpc).map(|(_, id)| id).collect();
            match in_vpc.as_slice() {
                [id] if groups.contains(id) => {}
                [id] => groups.push((*id).clone()),
                several => return Err((name, Some(several.len()))),
            }
        }
        Ok(groups)
    }
}

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

    /// Whether the ENI is neither of this cluster nor left by upstream's controller. Decisions read little of it: see [`Neighbour`].
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
}

/// Successive lookups that did not show an ENI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed {
    /// Start of the first lookup.
    pub since: Timestamp,
    /// Start of the latest lookup.
    pub last: Timestamp,
    /// Whether EC2 answered a Delete of this process with the error that it does not know the ENI.
    pub by_delete: bool,
    /// When EC2 had last shown an ENI or an instance of this cluster, at the start of the latest lookup.
    pub home: Option<Timestamp>,
}

impl Missed {
    /// One lookup that began at this time.
    pub fn once(at: Timestamp) -> Self {
        Self { since: at, last: at, by_delete: false, home: None }
    }

    /// A Delete was answered at this time with the error that EC2 does not know the ENI.
    pub fn by_delete(at: Timestamp) -> Self {
        Self { by_delete: true, ..Self::once(at) }
    }

    /// Adds when EC2 had last shown this cluster at the start of the latest lookup.
    #[must_use]
    pub fn after(self, home: Option<Timestamp>) -> Self {
        Self { home: home.max(self.home), ..self }
    }

    /// Whether EC2 has shown this cluster since the first lookup. Otherwise the absence proves nothing, because the credentials
    /// may belong to another account.
    pub fn is_proven(&self) -> bool {
        self.home.is_some_and(|home| home >= self.since)
    }

    /// Adds a lookup that began at `at`.
    #[must_use]
    pub fn and(self, at: Timestamp) -> Self {
        Self { since: self.since.min(at), last: self.last.max(at), ..self }
    }
}

/// The cache's observation of the ENI of one ENIAttachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// No resync has ended yet: nothing is known.
    Blind,
    /// EC2 shows the ENI.
    Seen(Box<ObservedEni>),
    /// EC2 does not show the ENI.
    Absent {
        /// Start of the latest complete resync or lookup by tag that did not show the ENI.
        by_tag: Timestamp,
        /// When EC2 had last shown an ENI or an instance of this cluster, at the start of that resync or lookup.
        home: Option<Timestamp>,
        /// The lookups by ID that did not show the ENI, or EC2's answer to a Delete that it does not know the ENI.
        by_id: Option<Missed>,
        /// When EC2 answered this process's own DeleteNetworkInterface, if it did.
        deleted: Option<Timestamp>,
    },
}

/// All ENIs on one instance, whoever owns them, by the last lookup that showed the primary interface (network card 0, device
/// index 0). A lookup without the primary interface does not count: EC2 shows it late, EC2 hides something, or the instance is
/// gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstanceInterfaces {
    /// Start of the Describe.
    pub as_of: Timestamp,
    /// The VPC of its primary interface; None if no lookup has shown that interface.
    pub vpc: Option<CompactString>,
    /// The Availability Zone of its primary interface; None if no lookup has shown that interface.
    pub zone: Option<CompactString>,
    /// The AWS service that manages its primary interface and so the instance, by EC2's `Operator`.
    pub operator: Option<CompactString>,
    /// Its ENIs.
    pub enis: Vec<ObservedEni>,
    /// The lookups since then, if they did not show the primary interface.
    pub without_primary: Option<Unshown>,
}

/// Successive lookups that did not show the primary interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unshown {
    /// Start of the first lookup.
    pub since: Timestamp,
    /// Start of the latest lookup.
    pub as_of: Timestamp,
}

impl Unshown {
    /// When the instance may be looked up again. The wait grows with the time for which EC2 does not show the primary interface,
    /// from one second (EC2 shows the interfaces of a new instance late) to five minutes.
    pub fn again_at(&self) -> Timestamp {
        let wait = self.as_of.duration_since(self.since);
        let wait = wait.clamp(SignedDuration::from_secs(1), SignedDuration::from_mins(5));
        self.as_of.saturating_add(wait).unwrap_or(Timestamp::MAX)
    }
}

/// The device index of an attachment for which EC2's answer has none. It is no slot, and not the slot of the primary interface.
pub const UNKNOWN_INDEX: i32 = -1;

impl ObservedEni {
    /// Whether the ENI is the primary interface of this instance.
    pub fn is_primary_of(&self, instance: &InstanceId) -> bool {
        let here = |at: &ObservedAttachment| (at.card, at.index) == (0, 0) && at.instance.as_ref() == Some(instance);
        self.attachment.as_ref().is_some_and(here)
    }
}
