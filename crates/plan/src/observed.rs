//! What is known of the world, as plain data: Nodes, subnets, groups, and ENIs as EC2 shows them.

use crate::lookup_failure::LookupFailure;
use crate::string_map::StringMap;
use compact_str::CompactString;
use jiff::Timestamp;
use multi_eni_api::ids::{EniId, InstanceId, SecurityGroupId, SubnetId};
use multi_eni_api::names;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Who we are on EC2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// UID of the namespace kube-system: the ownership tag.
    pub uid: String,
    /// Readable name, for people only.
    pub name: String,
}

/// Why a Node can have no ENI.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOnEc2 {
    /// The cloud provider has not written it yet, or never will.
    #[error("the Node has no providerID yet: the cloud provider sets it, as aws:///ZONE/INSTANCE")]
    NoProviderId,
    /// Fargate, hybrid nodes, other clouds.
    #[error("the Node's providerID {0:?} is not an EC2 instance's: ENIs can only be attached to EC2 instances")]
    OtherProvider(String),
}

/// A Node, only the fields that matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedNode {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Its labels.
    pub labels: StringMap,
    /// The instance, from the providerID.
    pub instance: Result<InstanceId, NotOnEc2>,
    /// Availability Zone by the providerID. What EC2 shows goes before it; the label comes last.
    pub zone: Option<String>,
    /// Instance type, from the well-known label.
    pub instance_type: Option<String>,
    /// It has a deletionTimestamp.
    pub deleting: bool,
    /// When it was created.
    pub created: Timestamp,
}

/// The well-known label of a Node's Availability Zone.
pub const ZONE_LABEL: &str = "topology.kubernetes.io/zone";

impl ObservedNode {
    /// Whether it counts before another Node of the same instance: one that stays before one that is being deleted, then the older
    /// one, for which what is there was made, then by name.
    pub fn counts_before(&self, other: &Self) -> bool {
        (self.deleting, self.created, &self.name) < (other.deleting, other.created, &other.name)
    }

    /// Availability Zone by the well-known label, which a person can change.
    pub fn zone_by_label(&self) -> Option<&str> {
        self.labels.get(ZONE_LABEL).filter(|zone| !zone.is_empty())
    }
}

/// What an instance type takes: DescribeInstanceTypes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceLimits {
    /// Network interfaces in all, the primary one included.
    pub enis: i32,
    /// Network interfaces for each network card, by card index.
    pub cards: Vec<i32>,
    /// Private IPv4 addresses an interface; a prefix counts as one.
    pub ipv4_per_eni: i32,
    /// IPv6 addresses an interface.
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
    /// The account that owns it: another one where it is shared by AWS RAM. Empty where EC2 does not say.
    pub owner: String,
    /// Tag Name.
    pub name: Option<String>,
    /// Free IPv4 addresses when it was described.
    pub free_addresses: i32,
    /// Start of the latest Describe that showed more free addresses than the one before it.
    pub grown: Option<Timestamp>,
    /// When the Describe began.
    pub as_of: Timestamp,
}

/// What is asked of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CatalogLookup {
    /// Subnets by ID.
    SubnetsById,
    /// Subnets by their tag Name.
    SubnetsByName,
    /// Security groups by name.
    Groups,
    /// What instance types take.
    InstanceTypes,
}

impl CatalogLookup {
    /// EC2's name of the action.
    pub fn action(self) -> &'static str {
        match self {
            Self::SubnetsById | Self::SubnetsByName => "DescribeSubnets",
            Self::Groups => "DescribeSecurityGroups",
            Self::InstanceTypes => "DescribeInstanceTypes",
        }
    }
}

/// What is known of subnets and groups. Asked for and not found is knowledge, too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ec2Catalog {
    /// Subnets by ID.
    pub subnets: BTreeMap<SubnetId, ObservedSubnet>,
    /// IDs that EC2 does not know, and since when we know that.
    pub missing_subnets: BTreeMap<SubnetId, Timestamp>,
    /// Name tags that were looked up: all subnets of that name, in every VPC.
    pub subnets_named: BTreeMap<String, BTreeSet<SubnetId>>,
    /// Since when each of these names has stood for the same subnets, as far as this process has seen.
    pub subnets_named_since: BTreeMap<String, Timestamp>,
    /// Group names that were looked up: (VPC, group ID) of every group of that name.
    pub groups_named: BTreeMap<String, BTreeSet<(String, SecurityGroupId)>>,
    /// Instance types that were looked up; None: EC2 does not know it.
    pub instance_types: BTreeMap<String, Option<InstanceLimits>>,
    /// Why the last look at each failed; none when it succeeded.
    pub failures: BTreeMap<CatalogLookup, LookupFailure>,
}

impl Ec2Catalog {
    /// Instance types that EC2 did not know.
    pub fn unknown_types(&self) -> Vec<String> {
        self.instance_types.iter().filter(|(_, limits)| limits.is_none()).map(|(kind, _)| kind.clone()).collect()
    }

    /// Why one of these looks failed.
    pub fn failure(&self, lookups: &[CatalogLookup]) -> Option<&LookupFailure> {
        lookups.iter().find_map(|lookup| self.failures.get(lookup))
    }

    /// The security groups of these IDs and names in one VPC; the name that is not one group there, and how many it is: None
    /// if it was not looked up.
    ///
    /// # Errors
    /// The first such name.
    pub fn groups<'a>(
        &self,
        ids: &[SecurityGroupId],
        names: &'a [String],
        vpc: &str,
    ) -> Result<Vec<SecurityGroupId>, (&'a str, Option<usize>)> {
        let mut groups = ids.to_vec();
        for name in names {
            let found = self.groups_named.get(name).ok_or((name.as_str(), None))?;
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
    /// On its way in.
    Attaching,
    /// In its slot. The kernel may not show the link yet.
    Attached,
    /// On its way out.
    Detaching,
}

/// Where an ENI is attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedAttachment {
    /// EC2's attachment ID.
    pub id: String,
    /// The instance; None where EC2 does not tell (another account's).
    pub instance: Option<InstanceId>,
    /// Network card.
    pub card: i32,
    /// Device index; [`UNKNOWN_INDEX`] where EC2's answer names none.
    pub index: i32,
    /// Its state.
    pub state: AttachmentState,
    /// Since when this process has seen it in this state (EC2's own attach time for `attaching`, where known).
    pub since: Timestamp,
    /// deleteOnTermination.
    pub delete_on_termination: bool,
}

/// An ENI as EC2 showed it last, with our own answered calls written through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedEni {
    /// Its ID.
    pub id: EniId,
    /// Its subnet; None where EC2 does not say it.
    pub subnet: Option<SubnetId>,
    /// Its VPC.
    pub vpc: CompactString,
    /// Availability Zone.
    pub zone: CompactString,
    /// The account that owns it; empty where EC2 does not say it.
    pub owner: CompactString,
    /// MAC address.
    pub mac: CompactString,
    /// Private IPv4 addresses, the primary one first.
    pub private_ips: Vec<CompactString>,
    /// Security groups, sorted.
    pub groups: Vec<SecurityGroupId>,
    /// Description.
    pub description: String,
    /// Source/destination check.
    pub source_dest_check: bool,
    /// All its tags.
    pub tags: StringMap,
    /// Where it is attached, if it is.
    pub attachment: Option<ObservedAttachment>,
    /// Since when EC2 has called it in use while it shows no attachment of it: a branch interface, or an attachment that EC2 hides.
    pub in_use_since: Option<Timestamp>,
    /// When EC2 last showed it whole, its tags included: the start of the Describe, or the answer of its Create. The answers
    /// of other calls say nothing of whose it is.
    pub shown_at: Timestamp,
    /// Our last answered call that changed it, if this process made one.
    pub last_call: Option<Timestamp>,
}

impl ObservedEni {
    /// When what is known here was learned: by the last showing, or by the answer of our own call since.
    pub fn as_of(&self) -> Timestamp {
        self.last_call.map_or(self.shown_at, |call| call.max(self.shown_at))
    }

    /// Whether its tags say that it belongs to this cluster.
    pub fn is_of(&self, cluster: &Cluster) -> bool {
        self.tags.get(names::TAG_CLUSTER) == Some(cluster.uid.as_str())
    }

    /// The NodeENI that upstream's tags name, if nobody has taken the ENI over for another cluster.
    pub fn upstreams(&self, cluster: &Cluster) -> Option<&str> {
        let manager = self.tags.get(names::UPSTREAM_TAG_MANAGED_BY);
        let free = self.tags.get(names::TAG_CLUSTER).is_none_or(|uid| uid == cluster.uid);
        let nodeeni = self.tags.get(names::UPSTREAM_TAG_NODEENI);
        nodeeni.filter(|_| free && manager == Some(names::UPSTREAM_MANAGER))
    }

    /// Whether it is in this subnet.
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

/// Looks in a row that did not show an ENI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed {
    /// Start of the first.
    pub since: Timestamp,
    /// Start of the latest.
    pub last: Timestamp,
    /// EC2 said in answer to our Delete that it does not know the ENI.
    pub said: bool,
    /// When EC2 had last shown an ENI or an instance of this cluster, as the latest look began.
    pub home: Option<Timestamp>,
}

impl Missed {
    /// The one look at that time.
    pub fn once(at: Timestamp) -> Self {
        Self { since: at, last: at, said: false, home: None }
    }

    /// A Delete was answered at that time that there is no such ENI.
    pub fn said(at: Timestamp) -> Self {
        Self { said: true, ..Self::once(at) }
    }

    /// The latest look began when EC2 had last shown this cluster then.
    #[must_use]
    pub fn after(self, home: Option<Timestamp>) -> Self {
        Self { home: home.max(self.home), ..self }
    }

    /// Whether EC2 has shown this cluster since the first look, and the latest one came after that: another account shows nothing.
    pub fn is_proven(&self) -> bool {
        self.home.is_some_and(|home| home >= self.since)
    }

    /// With one that began at `at`.
    #[must_use]
    pub fn and(self, at: Timestamp) -> Self {
        Self { since: self.since.min(at), last: self.last.max(at), ..self }
    }
}

/// What the shared view of EC2 shows for one ENIAttachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// No sweep has ended yet: nothing is known.
    Blind,
    /// It is there.
    Seen(Box<ObservedEni>),
    /// It is not there.
    Absent {
        /// Start of the latest whole sweep or look by tag that did not show it.
        by_tag: Timestamp,
        /// When EC2 had last shown an ENI or an instance of this cluster, as that look began.
        home: Option<Timestamp>,
        /// Looks by ID filter that did not show it, if there were any, or EC2's answer to our Delete that it does not know it.
        by_id: Option<Missed>,
        /// When EC2 answered our own DeleteNetworkInterface, if it did.
        deleted: Option<Timestamp>,
    },
}

/// All ENIs on one instance, whoever owns them, as the last look showed them that showed its primary interface (network card 0,
/// device index 0). A look that does not show it is no look: EC2 is late, hides something, or the instance is gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstanceInterfaces {
    /// Start of the Describe.
    pub as_of: Timestamp,
    /// The VPC of its primary interface; None: no look has shown that yet.
    pub vpc: Option<CompactString>,
    /// The Availability Zone of its primary interface; None: no look has shown that yet.
    pub zone: Option<CompactString>,
    /// Its ENIs.
    pub enis: Vec<ObservedEni>,
    /// The looks since, if they did not show the primary interface.
    pub without_primary: Option<Unshown>,
}

/// Looks in a row that did not show something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unshown {
    /// Start of the first.
    pub since: Timestamp,
    /// Start of the last.
    pub as_of: Timestamp,
}

/// The device index of an attachment of which EC2's answer names none: it is no slot of anybody's, and not the primary interface's.
pub const UNKNOWN_INDEX: i32 = -1;

impl ObservedEni {
    /// It is the primary interface of this instance.
    pub fn is_primary_of(&self, instance: &InstanceId) -> bool {
        let here = |at: &ObservedAttachment| (at.card, at.index) == (0, 0) && at.instance.as_ref() == Some(instance);
        self.attachment.as_ref().is_some_and(here)
    }
}
