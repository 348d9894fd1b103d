//! The plan for one Node: the ENIAttachments to create, delete and mark, the lookups that are needed, and why a NodeENI gets no
//! ENI there. It is data only; the planner fills it and the caller applies it.

use super::new_attachment::NewAttachment;
use super::unassigned::{Unassigned, UnassignedReason};
use super::vpc_cni_claim::VpcCniClaim;
use crate::attachment::Attachment;
use crate::ec2_terms::TagTerm;
use crate::nodeeni::SubnetRef;
use crate::problem::Problem;
use crate::removals::Cause;
use jiff::Timestamp;
use multi_eni_api::NodeSettings;
use multi_eni_api::ids::{InstanceId, SecurityGroupId, SubnetId};
use std::collections::{BTreeMap, BTreeSet};

/// An ENIAttachment to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// Name of the ENIAttachment.
    pub name: String,
    /// UID of the ENIAttachment: the precondition of the deletion.
    pub uid: String,
    /// Why it is deleted.
    pub why: RemovalReason,
}

/// Why an ENIAttachment is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RemovalReason {
    /// The NodeENI is being deleted, or is gone.
    NodeEniDeleted,
    /// The node's labels have not matched for longer than the grace period.
    Deselected,
    /// The Node is gone, and either its instance is gone too or the grace period is over. Or the Node still exists long after its
    /// instance was terminated.
    NodeGone,
    /// The spec describes another ENI in its place.
    Replaced,
    /// The spec no longer describes the ENI, nor another ENI in its place.
    Surplus,
    /// EC2 has refused to attach the ENI for too long, for example because another ENI is in the slot.
    Unattachable,
    /// The ENI vanished from EC2: a new one is created.
    Recycled,
}

/// An ENI that keeps the device index that upstream gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// UID of the NodeENI.
    pub nodeeni_uid: String,
    /// Name of the Node.
    pub node: String,
    /// Name of the ENIAttachment.
    pub name: String,
    /// The device index at which the ENI is.
    pub index: i32,
    /// The device index that the spec asks for.
    pub asked: i32,
}

/// An ENI that a node keeps for Pods, though it is no longer selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitsForPods {
    /// UID of the NodeENI.
    pub nodeeni_uid: String,
    /// Name of the Node.
    pub node: String,
    /// Name of the ENIAttachment.
    pub name: String,
    /// Names of the Pods; None if Pods could not be listed yet.
    pub pods: Option<Vec<String>>,
}

/// Security groups that the NodeENI does not select any more, by EC2's answers so far, and that stay on the ENIs of a node until EC2 has shown
/// the same groups for minutes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupsWait {
    /// UID of the NodeENI.
    pub nodeeni_uid: String,
    /// Name of the Node.
    pub node: String,
    /// The groups that stay.
    pub groups: Vec<SecurityGroupId>,
    /// When EC2 is asked for the last time.
    pub until: Timestamp,
}

/// A lookup whose result the decision needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The ENIs on the instance.
    LookupInterfaces(InstanceId),
    /// The state of an instance whose Node is gone, or whose primary interface EC2 does not show.
    InstanceState(InstanceId),
    /// A subnet by ID or by name.
    Subnet(SubnetRef),
    /// Subnets by tags.
    TaggedSubnets(TagTerm),
    /// A security group by name.
    Group(String),
    /// Security groups by tags.
    TaggedGroups(TagTerm),
    /// A subnet by ID, with an answer to a Describe that began at this time or later.
    SubnetSince(SubnetId, Timestamp),
    /// A security group by name, with an answer to a Describe that began at this time or later.
    GroupSince(String, Timestamp),
    /// Security groups by tags, with an answer to a Describe that began at this time or later.
    TaggedGroupsSince(TagTerm, Timestamp),
    /// The limits of an instance type.
    InstanceType(String),
}

impl Need {
    /// The subnet that is needed by its ID.
    pub fn subnet(&self) -> Option<&SubnetId> {
        match self {
            Self::Subnet(SubnetRef::Id(id)) | Self::SubnetSince(id, _) => Some(id),
            Self::LookupInterfaces(_)
            | Self::InstanceState(_)
            | Self::Subnet(SubnetRef::Name(_))
            | Self::TaggedSubnets(_)
            | Self::Group(_)
            | Self::TaggedGroups(_)
            | Self::GroupSince(..)
            | Self::TaggedGroupsSince(..)
            | Self::InstanceType(_) => None,
        }
    }
}

/// What to do for one Node, and why NodeENIs get no ENI there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Assignment {
    /// ENIAttachments to create.
    pub create: Vec<NewAttachment>,
    /// ENIAttachments to delete.
    pub delete: Vec<Removal>,
    /// ENIAttachments (by name) to mark as no longer selected, from now on.
    pub deselect: Vec<String>,
    /// ENIAttachments (by name) to unmark: they are selected again.
    pub reselect: Vec<String>,
    /// ENIAttachments (by name) whose settings for the node agent change, with the new settings.
    pub reconfigure: Vec<(String, NodeSettings)>,
    /// ENIAttachments (by name) that carry another Node's name and are moved to this Node.
    pub follow: Vec<String>,
    /// Problems of NodeENIs (by UID) on this node, in addition to `refused`.
    pub problems: Vec<(String, Problem)>,
    /// Pairs of NodeENI and Node that get no ENI, or not all, and why.
    pub refused: Vec<Unassigned>,
    /// For each NodeENI (by UID) the ENIAttachments (by name) here that its spec no longer describes or whose ENI is lost. They
    /// are replaced when it is the node's turn. An ENIAttachment that stays because no new ENI could be attached is not in it:
    /// the node takes no turn for it.
    pub outdated: BTreeMap<String, BTreeSet<String>>,
    /// For each NodeENI (by UID) the ENIAttachments (by name) that are deleted once the removal pace permits it for this node,
    /// and why.
    pub losing: BTreeMap<String, BTreeMap<String, Cause>>,
    /// NodeENIs (by UID) for which it is not settled yet which ENIs here are adopted from upstream.
    pub adopting: BTreeSet<String>,
    /// ENIs that were adopted and are at another device index than the spec asks for.
    pub pinned: Vec<Pinned>,
    /// New ENIAttachments (by name) at a device index that the AWS VPC CNI of the node takes next, or may take later.
    pub beside_vpc_cni: BTreeMap<String, VpcCniClaim>,
    /// ENIs that are kept for Pods.
    pub waiting: Vec<WaitsForPods>,
    /// Security groups that stay on ENIs here for a while.
    pub groups_waits: Vec<GroupsWait>,
    /// NodeENIs (by UID) whose selector matches this node.
    pub matched: Vec<String>,
    /// The number of ENIs that each NodeENI (by UID) asks for here.
    pub desired: Vec<(String, usize)>,
    /// The slots that each NodeENI (by UID) asks for here, where they are known, in ascending order. Lists, because an assignment is
    /// kept for each node, and the smallest map has room for eleven entries.
    pub slots: Vec<(String, Vec<(i32, i32)>)>,
    /// Lookups that are needed first.
    pub needs: BTreeSet<Need>,
    /// When to decide again, if nothing changes before.
    pub recheck: Option<Timestamp>,
}

/// The part of an assignment that concerns one NodeENI.
#[derive(Debug, Default, PartialEq)]
pub struct NodeEniAssignment<'a> {
    /// Its selector matches the node.
    pub matched: bool,
    /// It is not settled yet which ENIs are adopted for it.
    pub adopting: bool,
    /// An ENIAttachment here is outdated.
    pub outdated: bool,
    /// The NodeENI is to lose ENIs here, for this reason.
    pub losing: Option<Cause>,
    /// ENIs that it asks for here.
    pub desired: usize,
    /// The slots that it asks for here; None if they are not known.
    pub slots: Option<&'a [(i32, i32)]>,
    /// Why it gets no ENI here, or not all.
    pub refused: Vec<&'a Unassigned>,
    /// Its adopted ENIs at another device index than the spec asks for.
    pub pinned: Vec<&'a Pinned>,
    /// Its ENIs that are kept for Pods.
    pub waiting: Vec<&'a WaitsForPods>,
    /// Its security groups that stay on ENIs here for a while.
    pub groups_waits: Vec<&'a GroupsWait>,
    /// Its other problems here.
    pub problems: Vec<&'a Problem>,
}

impl NodeEniAssignment<'_> {
    /// Whether it is still open which ENI this slot will hold: the NodeENI asks for this slot, or its slots are not known, and it
    /// has a reason that concerns this slot or the whole NodeENI and that may end.
    pub fn is_open_at(&self, slot: (i32, i32)) -> bool {
        // The NodeENI does not ask for this slot. A rollout that waits at another slot keeps no ENI here.
        if self.slots.is_some_and(|slots| !slots.contains(&slot)) {
            return false;
        }
        self.refused.iter().any(|refusal| match &refusal.why {
            UnassignedReason::SlotHeld { slot: of, leaving: true, .. }
            | UnassignedReason::SlotTaken { slot: of, .. } => *of == slot,
            // Another ENIAttachment holds the slot, so no ENI is adopted there.
            UnassignedReason::SlotHeld { leaving: false, .. } | UnassignedReason::SlotPinned { .. } => false,
            why if why.is_not_covered() => false,
            UnassignedReason::InstanceFull { .. }
            | UnassignedReason::IndexRefused { .. }
            | UnassignedReason::NoSuchCard { .. }
            | UnassignedReason::InstanceTypeUnknown { .. }
            | UnassignedReason::IndexBeyondCard { .. } => false,
            UnassignedReason::TooManyAddresses { .. } => false,
            _ => true,
        })
    }

    /// The number of ENIs that exist or are expected here: 0 if the NodeENI does not cover the node or the Node is being deleted.
    pub fn awaited(&self) -> usize {
        let never = |refusal: &&Unassigned| {
            refusal.why.is_not_covered() || matches!(refusal.why, UnassignedReason::NodeDeleting)
        };
        // An adopted ENI keeps the slot of another subnet, so that subnet gets no ENI.
        let pinned =
            self.refused.iter().filter(|refusal| matches!(refusal.why, UnassignedReason::SlotPinned { .. })).count();
        if self.refused.iter().any(never) { 0 } else { self.desired.saturating_sub(pinned) }
    }
}

impl Assignment {
    /// NodeENIs (by UID) that this assignment concerns.
    pub fn nodeenis(&self) -> BTreeSet<&String> {
        self.concerned().collect()
    }

    /// Whether this assignment concerns one of the NodeENIs, by UID, for which `is_meant` is true.
    pub fn concerns(&self, is_meant: impl Fn(&str) -> bool) -> bool {
        self.concerned().any(|uid| is_meant(uid))
    }

    /// The same NodeENIs, some of them several times.
    fn concerned(&self) -> impl Iterator<Item = &String> {
        let waiting = self.waiting.iter().map(|waits| &waits.nodeeni_uid);
        let problems = self.problems.iter().map(|(uid, _)| uid);
        let losing = self.losing.keys();
        self.matched.iter().chain(&self.adopting).chain(waiting).chain(losing).chain(problems)
    }

    /// Whether the selector of the NodeENI with this UID matches the node.
    pub fn matches(&self, uid: &str) -> bool {
        self.matched.iter().any(|of| of == uid)
    }

    /// Why the Node would lose ENIs of the NodeENI with this UID, if it would.
    pub fn losing_cause(&self, uid: &str) -> Option<Cause> {
        self.losing.get(uid).and_then(|names| names.values().next().copied())
    }

    /// The slots that the NodeENI with this UID asks for here; None if they are not known.
    pub fn slots_of(&self, uid: &str) -> Option<&[(i32, i32)]> {
        self.slots.iter().find(|(of, _)| of == uid).map(|(_, slots)| slots.as_slice())
    }

    /// Gives back the spare capacity of the lists that every node has. For an assignment that is kept.
    pub fn shrink_to_fit(&mut self) {
        self.matched.shrink_to_fit();
        self.desired.shrink_to_fit();
        self.slots.shrink_to_fit();
    }

    /// The part of this assignment that concerns the NodeENI with this UID.
    pub fn of_nodeeni(&self, uid: &str) -> NodeEniAssignment<'_> {
        NodeEniAssignment {
            matched: self.matches(uid),
            adopting: self.adopting.contains(uid),
            outdated: self.outdated.contains_key(uid),
            losing: self.losing_cause(uid),
            desired: self.desired.iter().filter(|(of, _)| of == uid).map(|(_, n)| n).sum(),
            slots: self.slots_of(uid),
            refused: self.refused.iter().filter(|refusal| refusal.nodeeni_uid == uid).collect(),
            pinned: self.pinned.iter().filter(|pinned| pinned.nodeeni_uid == uid).collect(),
            waiting: self.waiting.iter().filter(|waits| waits.nodeeni_uid == uid).collect(),
            groups_waits: self.groups_waits.iter().filter(|waits| waits.nodeeni_uid == uid).collect(),
            problems: self.problems.iter().filter(|(of, _)| of == uid).map(|(_, problem)| problem).collect(),
        }
    }

    /// Whether the NodeENI gets an ENI on this Node that no ENIAttachment shows yet: the ENIAttachment is being created, or will
    /// be once a lookup has ended, EC2 attaches ENIs there again, or its predecessor is deleted. A Node that is joining the cluster
    /// gets its first ENI some time later, and does not count. `here`: the ENIAttachments of
    /// that NodeENI on this Node.
    pub fn is_coming(&self, uid: &str, here: &[&Attachment]) -> bool {
        if self.create.iter().any(|new| new.spec.node_eni_uid == uid) {
            return true;
        }
        let replaces = |removal: &Removal| {
            removal.why == RemovalReason::Replaced && here.iter().any(|attachment| attachment.name == removal.name)
        };
        let stops = |refusal: &&Unassigned| match refusal.why {
            // These reasons are not transient, but an ENI may still be created: EC2 may accept a later Attach, and a lookup that
            // fails may succeed.
            UnassignedReason::AttachRefused { .. } | UnassignedReason::LookupFailed(_) => true,
            // No ENI of a Node without a providerID or a zone was replaced, and the Node may join late or never.
            UnassignedReason::Joining(_) => false,
            ref why => why.is_transient(),
        };
        let share = self.of_nodeeni(uid);
        let live = || {
            here.iter()
                .filter(|attachment| attachment.deleting.is_none() && attachment.deselected_since.is_none())
                .count()
        };
        self.delete.iter().any(replaces) || share.refused.iter().any(stops) && live() < share.awaited()
    }

    /// Whether there is nothing to write: the observed state is the desired state, or the decision waits for something.
    pub fn is_settled(&self) -> bool {
        let Self { create, delete, deselect, reselect, reconfigure, follow, .. } = self;
        let marks = deselect.is_empty() && reselect.is_empty() && reconfigure.is_empty() && follow.is_empty();
        create.is_empty() && delete.is_empty() && marks
    }

    /// Drops the marks and settings of ENIAttachments that are deleted. A deletion names the version of the object that it is about, so
    /// another write at the same time would make the API server refuse it. Only the Node of an instance is still written: nothing would
    /// write that after the deletion, and the deletion is then decided again.
    pub(super) fn write_once(&mut self) {
        let Self { delete, deselect, reselect, reconfigure, .. } = self;
        let stays = |name: &str| !delete.iter().any(|removal| removal.name == name);
        deselect.retain(|name| stays(name));
        reselect.retain(|name| stays(name));
        reconfigure.retain(|(name, _)| stays(name));
    }

    pub(super) fn recheck_at(&mut self, at: Timestamp) {
        self.recheck = Some(self.recheck.map_or(at, |earlier| earlier.min(at)));
    }
}
