//! The plan for one Node: what to create, delete and mark, and why a NodeENI gets no ENI there.

use super::new_attachment::NewAttachment;
use super::unassigned::{Unassigned, UnassignedReason};
use crate::attachment::Attachment;
use crate::nodeeni::SubnetRef;
use crate::problem::Problem;
use crate::removals::Cause;
use jiff::Timestamp;
use multi_eni_api::NodeSettings;
use multi_eni_api::ids::InstanceId;
use std::collections::{BTreeMap, BTreeSet};

/// An ENIAttachment to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// Its name.
    pub name: String,
    /// Its UID: the precondition of the deletion.
    pub uid: String,
    /// Why.
    pub why: RemovalReason,
}

/// Why an ENIAttachment goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RemovalReason {
    /// The NodeENI is being deleted, or is gone.
    NodeEniDeleted,
    /// The node's labels no longer match, for longer than the grace.
    Deselected,
    /// The Node is gone and its instance too, or the grace is over.
    NodeGone,
    /// The spec asks for something else in its place.
    Replaced,
    /// The spec describes it no longer, and nothing in its place.
    Surplus,
    /// Its slot is somebody else's for too long.
    Unattachable,
    /// Its ENI vanished from EC2: it is made anew.
    Recycled,
}

/// An ENI that keeps the device index that upstream gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// UID of the NodeENI.
    pub nodeeni_uid: String,
    /// The Node.
    pub node: String,
    /// Name of the ENIAttachment.
    pub name: String,
    /// Where it is.
    pub index: i32,
    /// What the spec asks for.
    pub asked: i32,
}

/// An ENI that a node keeps for Pods, though it is no longer selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitsForPods {
    /// UID of the NodeENI.
    pub nodeeni_uid: String,
    /// The Node.
    pub node: String,
    /// Name of the ENIAttachment.
    pub name: String,
    /// The Pods; None: they could not be listed yet.
    pub pods: Option<Vec<String>>,
}

/// Something that must be known before more can be decided.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// What is on the instance.
    LookupInterfaces(InstanceId),
    /// The state of an instance whose Node is gone, or whose primary interface is not shown.
    InstanceState(InstanceId),
    /// A subnet.
    Subnet(SubnetRef),
    /// A security group by name.
    Group(String),
    /// What an instance type takes.
    InstanceType(String),
}

/// What to do for one Node, and why nothing for the rest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Assignment {
    /// To create.
    pub create: Vec<NewAttachment>,
    /// To delete.
    pub delete: Vec<Removal>,
    /// To mark as no longer asked for, now.
    pub deselect: Vec<String>,
    /// To unmark: asked for again.
    pub reselect: Vec<String>,
    /// ENIAttachments (by name) whose node's half is to do something else, and what.
    pub reconfigure: Vec<(String, NodeSettings)>,
    /// ENIAttachments (by name) that carry another Node's name and follow to this one.
    pub follow: Vec<String>,
    /// What is wrong for a NodeENI (by UID) on this node, beside what it does not get.
    pub problems: Vec<(String, Problem)>,
    /// Pairs that get nothing, and why.
    pub refused: Vec<Unassigned>,
    /// For each NodeENI (by UID) the ENIAttachments (by name) here that its spec no longer describes, or whose ENI is lost:
    /// replaced when it is their turn. Without what stays since nothing could come in its place: it takes no turn.
    pub outdated: BTreeMap<String, BTreeSet<String>>,
    /// For each NodeENI (by UID) the ENIAttachments (by name) that are to go when it is this node's turn, and why.
    pub losing: BTreeMap<String, BTreeMap<String, Cause>>,
    /// NodeENIs (by UID) of whose ENIs here it is not yet settled which are taken over from upstream.
    pub adopting: BTreeSet<String>,
    /// ENIs that were taken over and are at another index than the spec asks for.
    pub pinned: Vec<Pinned>,
    /// ENIs that are kept for Pods.
    pub waiting: Vec<WaitsForPods>,
    /// NodeENIs (by UID) whose selector matches this node.
    pub matched: Vec<String>,
    /// ENIs that each NodeENI wants here: (UID, number).
    pub desired: Vec<(String, usize)>,
    /// To be found out first.
    pub needs: BTreeSet<Need>,
    /// When to ask again, if nothing changes before.
    pub recheck: Option<Timestamp>,
}

/// What an assignment says of one NodeENI.
#[derive(Debug, Default, PartialEq)]
pub struct Share<'a> {
    /// Its selector matches the node.
    pub matched: bool,
    /// It is not settled what is taken over for it.
    pub adopting: bool,
    /// It has something here that its spec no longer describes.
    pub outdated: bool,
    /// It is to lose ENIs here.
    pub losing: Option<Cause>,
    /// ENIs that it wants here.
    pub desired: usize,
    /// What it does not get.
    pub refused: Vec<&'a Unassigned>,
    /// What keeps another index.
    pub pinned: Vec<&'a Pinned>,
    /// What is kept for Pods.
    pub waiting: Vec<&'a WaitsForPods>,
    /// What else is wrong.
    pub problems: Vec<&'a Problem>,
}

impl Share<'_> {
    /// What is to be in this slot is not settled: something that concerns it, or the whole NodeENI, is not known or not done yet.
    pub fn is_open_at(&self, slot: (i32, i32)) -> bool {
        self.refused.iter().any(|refusal| match &refusal.why {
            UnassignedReason::SlotHeld { slot: of, leaving: true, .. }
            | UnassignedReason::SlotTaken { slot: of, .. } => *of == slot,
            // Another ENIAttachment has it: nothing is adopted there.
            UnassignedReason::SlotHeld { leaving: false, .. } | UnassignedReason::SlotPinned { .. } => false,
            UnassignedReason::NoSubnetInZone { .. }
            | UnassignedReason::InstanceFull { .. }
            | UnassignedReason::NoSuchCard { .. } => false,
            UnassignedReason::TooManyAddresses { .. } => false,
            _ => true,
        })
    }

    /// ENIs that are here or are to come: none where none can be, or where the Node is on its way out.
    pub fn awaited(&self) -> usize {
        let never = |refusal: &&Unassigned| {
            matches!(refusal.why, UnassignedReason::NoSubnetInZone { .. } | UnassignedReason::NodeDeleting)
        };
        // What was taken over keeps the place of another subnet: nothing comes there.
        let pinned =
            self.refused.iter().filter(|refusal| matches!(refusal.why, UnassignedReason::SlotPinned { .. })).count();
        if self.refused.iter().any(never) { 0 } else { self.desired.saturating_sub(pinned) }
    }
}

impl Assignment {
    /// NodeENIs (by UID) of which it says anything.
    pub fn nodeenis(&self) -> BTreeSet<&String> {
        let waiting = self.waiting.iter().map(|waits| &waits.nodeeni_uid);
        let problems = self.problems.iter().map(|(uid, _)| uid);
        let losing = self.losing.keys();
        self.matched.iter().chain(&self.adopting).chain(waiting).chain(losing).chain(problems).collect()
    }

    /// Whether the selector of the NodeENI with this UID matches the node.
    pub fn matches(&self, uid: &str) -> bool {
        self.matched.iter().any(|of| of == uid)
    }

    /// What it says of the NodeENI with this UID.
    pub fn share(&self, uid: &str) -> Share<'_> {
        Share {
            matched: self.matches(uid),
            adopting: self.adopting.contains(uid),
            outdated: self.outdated.contains_key(uid),
            losing: self.losing.get(uid).and_then(|names| names.values().next().copied()),
            desired: self.desired.iter().filter(|(of, _)| of == uid).map(|(_, n)| n).sum(),
            refused: self.refused.iter().filter(|refusal| refusal.nodeeni_uid == uid).collect(),
            pinned: self.pinned.iter().filter(|pinned| pinned.nodeeni_uid == uid).collect(),
            waiting: self.waiting.iter().filter(|waits| waits.nodeeni_uid == uid).collect(),
            problems: self.problems.iter().filter(|(of, _)| of == uid).map(|(_, problem)| problem).collect(),
        }
    }

    /// Whether an ENI of that NodeENI is to come to this Node of which no ENIAttachment tells yet: it is being made, or will be as soon
    /// as something is known or EC2 attaches it, or what it follows is let go at this moment. `here`: what there is of that NodeENI.
    pub fn is_coming(&self, uid: &str, here: &[&Attachment]) -> bool {
        if self.create.iter().any(|new| new.spec.node_eni_uid == uid) {
            return true;
        }
        let replaces = |removal: &Removal| {
            removal.why == RemovalReason::Replaced && here.iter().any(|attachment| attachment.name == removal.name)
        };
        // What EC2 refused to attach here it may refuse elsewhere; and what cannot be looked at may be about to come.
        let stops = |refusal: &&Unassigned| {
            refusal.why.is_transient()
                || matches!(refusal.why, UnassignedReason::AttachRefused(_) | UnassignedReason::LookupFailed(_))
        };
        let share = self.share(uid);
        let live = || {
            here.iter()
                .filter(|attachment| attachment.deleting.is_none() && attachment.deselected_since.is_none())
                .count()
        };
        self.delete.iter().any(replaces) || share.refused.iter().any(stops) && live() < share.awaited()
    }

    /// Nothing to write: what is, is what should be (or waits for something).
    pub fn is_settled(&self) -> bool {
        let Self { create, delete, deselect, reselect, reconfigure, follow, .. } = self;
        let marks = deselect.is_empty() && reselect.is_empty() && reconfigure.is_empty() && follow.is_empty();
        create.is_empty() && delete.is_empty() && marks
    }

    pub(super) fn recheck_at(&mut self, at: Timestamp) {
        self.recheck = Some(self.recheck.map_or(at, |earlier| earlier.min(at)));
    }
}
