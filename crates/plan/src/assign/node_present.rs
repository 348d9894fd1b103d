//! Decides for a Node that exists: which slots each NodeENI gets, which ENIAttachments are marked or deleted because the labels
//! no longer match, and which must be deleted before another one can be created. It reads only the input and the plan so far.

use super::assignment::{Need, RemovalReason, WaitsForPods};
use super::desired::{Unplaced, other_region};
use super::new_attachment::{NewAttachment, same};
use super::nodeeni_on_node::NodeEniOnNode;
use super::planner::NodePlanner;
use super::recover;
use super::unassigned::UnassignedReason;
use super::unattachable_eni::unattachable;
use crate::attachment::Attachment;
use crate::instance_life::{InstanceObservation, NODE_OUTLIVES};
use crate::nodeeni::{EniSpec, NodeEni};
use crate::observed::ObservedNode;
use crate::removals::Cause;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

type Slot = (i32, i32);

/// The state of one NodeENI on the Node while its slots are decided.
struct Progress {
    /// Some if outdated ENIs may be replaced now: the number of ENIs that the Node had in use when its turn was granted.
    permit: Option<usize>,
    /// An outdated ENI in use stays, because no new ENI could be attached in its place.
    stays: bool,
    /// ENIAttachments that exist or are being created.
    present: usize,
    /// ENIs that the NodeENI asks for here.
    desired: usize,
}

/// The decision for a slot that a NodeENI asks for.
enum SlotState {
    /// The ENIAttachment exists, or there is nothing to do for the slot.
    Settled,
    /// No ENIAttachment is created now, for this reason.
    Closed(UnassignedReason),
    /// An ENIAttachment may be created.
    Open,
}

impl NodePlanner<'_> {
    /// Decides for a Node that exists. The holder of a slot keeps the slot until the holder is gone. A free slot goes to the
    /// oldest NodeENI that asks for it.
    pub(super) fn node_present(&mut self, node: &ObservedNode) {
        if other_region(&self.input, node).is_none() {
            self.take_over(node);
        }
        let mut claimed: BTreeMap<Slot, String> = BTreeMap::new();
        for nodeeni in self.nodeenis {
            self.nodeeni_on(node, nodeeni, &mut claimed);
        }
        self.instance_terminated(node);
    }

    /// Decides for one NodeENI on this Node. `claimed` has the slots that are to be filled, with the name of the NodeENI.
    fn nodeeni_on(&mut self, node: &ObservedNode, nodeeni: &NodeEni, claimed: &mut BTreeMap<Slot, String>) {
        let input = self.input;
        // An unreadable ENIAttachment holds its slot. Nothing else is known about it, so it belongs to no NodeENI here.
        let all: Vec<&Attachment> =
            self.here.iter().copied().filter(|attachment| attachment.nodeeni_uid == nodeeni.uid).collect();
        let mine: Vec<&Attachment> = all.iter().copied().filter(|attachment| attachment.unreadable.is_none()).collect();
        let Some(spec) = nodeeni.spec_for(&node.labels) else {
            // Keep ENIAttachments that the labels of another Node of this instance select.
            let elsewhere = input.others.iter().any(|other| nodeeni.spec_for(&other.labels).is_some());
            if nodeeni.spec.is_ok() && !nodeeni.deleting && !node.deleting && !elsewhere {
                self.deselected(nodeeni, &mine);
            }
            return;
        };
        self.plan.matched.push(nodeeni.uid.clone());
        self.reselect_and_reconfigure(spec, &mine);
        if self.plan.adopting.contains(&nodeeni.uid) {
            self.plan.desired.push((nodeeni.uid.clone(), mine.len().max(1)));
            return self.refuse(
                node,
                nodeeni,
                UnassignedReason::LookupPending("the EC2 lookup of the ENIs of upstream's controller"),
            );
        }
        let desired = match self.desired(NodeEniOnNode { node, nodeeni, spec, mine: &all }) {
            Ok(desired) => desired,
            Err(why) => return self.not_desired(node, nodeeni, &mine, why),
        };
        self.plan.desired.push((nodeeni.uid.clone(), desired.len()));
        let count = desired.len();
        let (mut unplaced, mut placed): (Vec<Unplaced>, Vec<NewAttachment>) = (Vec::new(), Vec::new());
        for new in desired {
            match new {
                Ok(new) => placed.push(new),
                Err(place) => {
                    self.refuse(node, nodeeni, place.why.clone());
                    unplaced.push(place);
                }
            }
        }
        // While a lookup is missing, deviceIndexPolicy highestFree may choose any slot.
        if !unplaced.iter().any(|place| place.why.awaits_ec2()) {
            let slots: BTreeSet<Slot> = placed.iter().map(slot_of).collect();
            self.plan.slots.push((nodeeni.uid.clone(), slots.into_iter().collect()));
        }
        let turn = input.permits.get(&nodeeni.uid).and_then(|nodes| nodes.get(&node.name));
        let permit = turn.filter(|turn| turn.may_lose).map(|turn| turn.had);
        let stays = self.outdated(nodeeni, &mine, &placed, &unplaced, permit);
        let mut progress = Progress { permit, stays, present: mine.len(), desired: count };
        for new in placed {
            match self.slot_state(node, nodeeni, &new, claimed, &progress) {
                SlotState::Settled => {}
                SlotState::Closed(why) => self.refuse(node, nodeeni, why),
                SlotState::Open => {
                    claimed.insert(slot_of(&new), nodeeni.name.clone());
                    match self.creation(node, nodeeni, spec, new) {
                        Ok(new) => {
                            progress.present += 1;
                            if new.adopts.is_none()
                                && let Some(claim) = self.vpc_cni_claim(node, spec, &new)
                            {
                                self.plan.beside_vpc_cni.insert(new.name.clone(), claim);
                            }
                            self.plan.create.push(new);
                        }
                        Err(why) => self.refuse(node, nodeeni, why),
                    }
                }
            }
        }
    }

    /// Unmarks ENIAttachments that are selected again, and updates the settings for the node agent.
    fn reselect_and_reconfigure(&mut self, spec: &EniSpec, mine: &[&Attachment]) {
        for attachment in mine.iter().filter(|attachment| attachment.deleting.is_none()) {
            if attachment.deselected_since.is_some() {
                self.plan.reselect.push(attachment.name.clone());
            }
            if *attachment.node_settings != spec.node_settings {
                self.plan.reconfigure.push((attachment.name.clone(), spec.node_settings.clone()));
            }
        }
    }

    /// Handles a NodeENI whose desired ENIs here cannot be determined now, for the reason `why`.
    fn not_desired(&mut self, node: &ObservedNode, nodeeni: &NodeEni, mine: &[&Attachment], why: UnassignedReason) {
        let input = self.input;
        if matches!(why, UnassignedReason::NoSubnetInZone { .. }) {
            // This reason is certain: the subnets of the existing ENIs are no longer in the list.
            self.plan.desired.push((nodeeni.uid.clone(), 0));
            self.outdated(nodeeni, mine, &[], &[], None);
        } else {
            // Delete nothing while the desired ENIs are unknown, except ENIs that could never be attached. Even those stay while
            // lookups fail or have not ended, because a status may be older than the state on EC2.
            let desired = if why.is_not_covered() { 0 } else { mine.len().max(1) };
            self.plan.desired.push((nodeeni.uid.clone(), desired));
            let is_known = !why.is_transient() && !matches!(why, UnassignedReason::LookupFailed(_));
            let gone = |attachment: &&&Attachment| {
                is_known && attachment.deleting.is_none() && unattachable(&input, attachment)
            };
            for attachment in mine.iter().filter(|attachment| attachment.deleting.is_none()) {
                if gone(&attachment) {
                    self.remove(attachment, RemovalReason::Unattachable);
                }
            }
        }
        self.refuse(node, nodeeni, why);
    }

    /// Whether the slot of `new` may get an ENIAttachment.
    fn slot_state(
        &mut self,
        node: &ObservedNode,
        nodeeni: &NodeEni,
        new: &NewAttachment,
        claimed: &BTreeMap<Slot, String>,
        progress: &Progress,
    ) -> SlotState {
        let slot = slot_of(new);
        // If two ENIAttachments are in one slot, the last one counts.
        match self.here.iter().copied().rfind(|attachment| attachment.slot() == slot) {
            Some(attachment) if attachment.name == new.name => {
                self.slot_of_its_own(node, nodeeni, (attachment, new), progress.permit)
            }
            Some(attachment) => {
                let leaving = attachment.deleting.is_some()
                    || attachment.deselected_since.is_some()
                    || self.plan.delete.iter().any(|removal| removal.name == attachment.name);
                SlotState::Closed(self.slot_held(nodeeni, slot, &attachment.nodeeni, leaving))
            }
            None => self.empty_slot(node, nodeeni, slot, claimed, progress),
        }
    }

    /// Decides for a slot that holds the ENIAttachment of the right name.
    fn slot_of_its_own(
        &mut self,
        node: &ObservedNode,
        nodeeni: &NodeEni,
        (attachment, new): (&Attachment, &NewAttachment),
        permit: Option<usize>,
    ) -> SlotState {
        if attachment.deleting.is_some() {
            return SlotState::Closed(UnassignedReason::Replacing);
        }
        if self.plan.outdated.contains_key(&nodeeni.uid) && !same(&attachment.request, &new.spec.request) {
            let why = if permit.is_some() { UnassignedReason::Replacing } else { UnassignedReason::AwaitingRollout };
            return SlotState::Closed(why);
        }
        if self.gives_way(attachment, (node, nodeeni), new) {
            self.remove(attachment, RemovalReason::Replaced);
            return SlotState::Closed(UnassignedReason::Replacing);
        }
        // An ENIAttachment that was restored from a backup has no status, and its ENI may already be attached in the slot. A new
        // process looks the instance up.
        let may_be_restored = attachment.status.eni_id.is_none() && attachment.adopted.is_none();
        let unseen = attachment.instance.clone().filter(|_| self.input.instance.is_none() && may_be_restored);
        self.plan.needs.extend(unseen.map(Need::LookupInterfaces));
        SlotState::Settled
    }

    /// Decides for a slot that holds no ENIAttachment.
    fn empty_slot(
        &mut self,
        node: &ObservedNode,
        nodeeni: &NodeEni,
        slot: Slot,
        claimed: &BTreeMap<Slot, String>,
        progress: &Progress,
    ) -> SlotState {
        let (input, nodeenis) = (self.input, self.nodeenis);
        // An ENI in the slot that lost its ENIAttachment is adopted there, so no other ENI must be deleted first.
        let is_full = progress.present >= progress.desired && !recover::is_shown(&input, nodeeni, nodeenis, slot);
        if is_full && progress.stays {
            // The outdated ENI that would have to be deleted first stays. The reason is already reported.
            return SlotState::Settled;
        }
        let lost = recover::holder(&input, node, nodeenis, slot).filter(|holder| holder.uid != nodeeni.uid);
        if let (true, Some(interfaces)) = (lost.is_some(), input.instance) {
            // The ENI in the slot will be adopted or removed as an orphan, and no event reports that to this node. An expired
            // lookup still shows the holder, so report the holder until the next lookup is due.
            self.lookup_again(node, interfaces, Some(input.settings.blocked_recheck));
        }
        lost.map(|holder| &holder.name)
            .or_else(|| claimed.get(&slot))
            .map(|holder| self.slot_held(nodeeni, slot, holder, false))
            .or_else(|| is_full.then_some(UnassignedReason::Replacing))
            .map_or(SlotState::Open, SlotState::Closed)
    }

    /// The ENIAttachment for an open slot: a new one, or one that adopts the ENI in the slot.
    fn creation(
        &mut self,
        node: &ObservedNode,
        nodeeni: &NodeEni,
        spec: &EniSpec,
        new: NewAttachment,
    ) -> Result<NewAttachment, UnassignedReason> {
        if node.deleting {
            return Err(UnassignedReason::NodeDeleting);
        }
        if nodeeni.has_finalizer
            && let Some(adopts) = recover::lost(&self.input, (node, nodeeni), self.nodeenis, &new)
        {
            return Ok(adopts);
        }
        self.may_create(node, nodeeni, spec, &new)?;
        if !nodeeni.has_finalizer {
            return Err(UnassignedReason::LookupPending("the NodeENI's finalizer, which is being written"));
        }
        Ok(new)
    }

    /// Deletes the ENIAttachments of an instance that was terminated long ago and whose Node still exists. Their ENIs carry no
    /// traffic, use addresses and count toward the quota.
    fn instance_terminated(&mut self, node: &ObservedNode) {
        let input = self.input;
        let Ok(instance) = &node.instance else { return };
        let Some(lookup) = (input.states)(instance).filter(InstanceObservation::is_reported_gone) else { return };
        let over = lookup.since.saturating_add(NODE_OUTLIVES).unwrap_or(Timestamp::MAX);
        let left: Vec<&Attachment> = self
            .here
            .iter()
            .copied()
            .filter(|attachment| attachment.deleting.is_none() && attachment.unreadable.is_none())
            .collect();
        if left.is_empty() {
            return;
        }
        if input.now < over {
            return self.plan.recheck_at(over);
        }
        for attachment in left {
            if !self.plan.delete.iter().any(|removal| removal.name == attachment.name) {
                self.remove(attachment, RemovalReason::NodeGone);
            }
        }
    }

    /// Handles the ENIAttachments of a NodeENI whose selector no longer matches. They are marked first and deleted after the
    /// grace period, so a label flap causes no EC2 call.
    fn deselected(&mut self, nodeeni: &NodeEni, mine: &[&Attachment]) {
        let input = self.input;
        for attachment in mine.iter().filter(|attachment| attachment.deleting.is_none()) {
            // If the controller waits for Pods, keep an ENI in use while a Pod uses it.
            let is_there = input.is_in_use(attachment);
            let users = if is_there { input.pods.users_of(attachment) } else { Some(Vec::new()) };
            let is_free = users.as_ref().is_some_and(Vec::is_empty);
            if !is_free {
                let (nodeeni_uid, node, name) =
                    (attachment.nodeeni_uid.clone(), attachment.node.clone(), attachment.name.clone());
                self.plan.waiting.push(WaitsForPods { nodeeni_uid, node, name, pods: users });
            }
            let Some(since) = attachment.deselected_since else {
                self.plan.deselect.push(attachment.name.clone());
                continue;
            };
            let over = since.saturating_add(input.settings.label_grace).unwrap_or(Timestamp::MAX);
            if input.now < over {
                self.plan.recheck_at(over);
            } else if is_free && (!is_there || self.may_lose(nodeeni, attachment, Cause::Deselected)) {
                self.remove(attachment, RemovalReason::Deselected);
            }
        }
    }

    /// Whether the ENIAttachment is deleted so that another one can adopt an ENI in its slot. The ENIAttachment has no ENI in the
    /// slot, and the slot has an ENI of the NodeENI that lost its ENIAttachment. This happens when an ENIAttachment is restored
    /// from a backup without its status and with another UID.
    fn gives_way(
        &self,
        attachment: &Attachment,
        (node, nodeeni): (&ObservedNode, &NodeEni),
        new: &NewAttachment,
    ) -> bool {
        let input = self.input;
        recover::has_nothing(attachment, input.is_in_use(attachment))
            && nodeeni.has_finalizer
            && recover::lost(&input, (node, nodeeni), self.nodeenis, new).is_some()
    }

    /// Whether this node may lose ENIs now by the removal pace. Until then the ENI stays. The ENI is recorded in `losing` in both
    /// cases.
    pub(super) fn may_lose(&mut self, nodeeni: &NodeEni, attachment: &Attachment, cause: Cause) -> bool {
        let input = self.input;
        self.plan.losing.entry(nodeeni.uid.clone()).or_default().insert(attachment.name.clone(), cause);
        input.removals.allows(&nodeeni.uid, &attachment.node)
    }
}

fn slot_of(new: &NewAttachment) -> Slot {
    (new.spec.request.network_card_index, new.spec.request.device_index)
}
