//! Decides whether an ENI can be attached in a slot of a Node now, by the limits of the instance type and by the last lookup of
//! the instance's interfaces. It asks for a new lookup if the last one is too old. It reads no ENIAttachments of other nodes.

use super::assignment::Need;
use super::input::Input;
use super::limits;
use super::new_attachment::NewAttachment;
use super::planner::{JUST_NOW, NodePlanner};
use super::unassigned::UnassignedReason;
use crate::nodeeni::{EniSpec, NodeEni};
use crate::observed::{InstanceInterfaces, ObservedEni, ObservedNode};
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::names::TAG_NODEENI;

type Slot = (i32, i32);

impl NodePlanner<'_> {
    /// Whether an ENI may be created for this slot: the instance is alive, the type supports the ENI, the slot is free and the
    /// instance has room. Otherwise the reason why not.
    pub(super) fn may_create(
        &mut self,
        node: &ObservedNode,
        nodeeni: &NodeEni,
        spec: &EniSpec,
        new: &NewAttachment,
    ) -> Result<(), UnassignedReason> {
        let input = self.input;
        let slot = (new.spec.request.network_card_index, new.spec.request.device_index);
        let instance = self.instance_of(node)?;
        self.check_instance(instance)?;
        let limits = self.limits_of(node)?;
        if let Some((kind, limits)) = &limits {
            limits::fits(kind, limits, spec, slot)?;
        }
        if let (Some(interfaces), Some(refused)) = (input.instance, input.refused_attach.get(&new.name))
            && let Some(why) = refused.stands(&new.spec.request, node, interfaces, input.now)
        {
            self.lookup_again(node, interfaces, Some(input.settings.blocked_recheck));
            return Err(why);
        }
        // An expired lookup still shows whether the slot is occupied and the instance is full. Report those reasons instead of
        // `Looking` while the next lookup is under way.
        if let Some(interfaces) = input.instance.filter(|interfaces| occupant(interfaces, slot).is_none())
            && let Some((kind, limits)) = &limits
            && let Err(full) = self.has_room(kind, limits, slot.0, interfaces)
        {
            return Err(self.full_by(node, nodeeni, interfaces, full));
        }
        self.free_on_ec2(node, nodeeni, slot)
    }

    /// The reason for an instance that the last lookup shows as full. No event reports that a foreign interface was removed, so
    /// the instance is looked up again after `blocked_recheck`.
    pub(super) fn full_by(
        &mut self,
        node: &ObservedNode,
        nodeeni: &NodeEni,
        interfaces: &InstanceInterfaces,
        full: UnassignedReason,
    ) -> UnassignedReason {
        let input = self.input;
        let is_held = |eni: &ObservedEni| {
            eni.attachment
                .as_ref()
                .is_some_and(|at| self.here.iter().any(|attachment| attachment.slot() == (at.card, at.index)))
        };
        let lookup_pending = UnassignedReason::LookupPending("the EC2 lookup of the node's interfaces");
        let (valid, refusal) = if interfaces.enis.iter().any(|eni| eni.is_of(input.cluster) && !is_held(eni)) {
            // An ENI of this cluster without an ENIAttachment in its slot is on its way out or already gone, so look again soon.
            (Some(LEAVING_AGAIN), lookup_pending)
        } else if is_before(interfaces, nodeeni, &input) {
            (None, lookup_pending)
        } else {
            (Some(input.settings.blocked_recheck), full)
        };
        self.lookup_again(node, interfaces, valid);
        refusal
    }

    /// Whether the slot is free on EC2, by a lookup that is not older than `instance_lookup_valid`. Otherwise the reason, and a
    /// new lookup is asked for when it is due.
    pub(super) fn free_on_ec2(
        &mut self,
        node: &ObservedNode,
        nodeeni: &NodeEni,
        slot: Slot,
    ) -> Result<(), UnassignedReason> {
        let input = self.input;
        let Ok(instance) = &node.instance else { return Err(UnassignedReason::NoZone) };
        let Some(interfaces) = input.instance else {
            self.plan.needs.insert(Need::LookupInterfaces(instance.clone()));
            return Err(UnassignedReason::LookupPending("the EC2 lookup of the node's interfaces"));
        };
        let lookup_pending = UnassignedReason::LookupPending("the EC2 lookup of the node's interfaces");
        let (valid, refusal) = match occupant(interfaces, slot) {
            None if input.age(interfaces) <= input.settings.instance_lookup_valid => return Ok(()),
            None => (None, lookup_pending),
            // An ENI of this cluster is on its way out and soon gone. An ENI that no ENIAttachment has is an orphan, which only
            // resyncs can prove.
            Some(eni) if eni.is_of(input.cluster) => (
                Some(leaving_again(&input, eni)),
                self.slot_held(nodeeni, slot, eni.tags.get(TAG_NODEENI).unwrap_or_default(), true),
            ),
            Some(_) if is_before(interfaces, nodeeni, &input) => (None, lookup_pending),
            // A foreign ENI. No event reports its removal, so look again after `blocked_recheck`.
            Some(eni) => (
                Some(input.settings.blocked_recheck),
                UnassignedReason::SlotTaken { slot, eni: eni.id.clone(), description: eni.description.clone() },
            ),
        };
        self.lookup_again(node, interfaces, valid);
        Err(refusal)
    }

    /// Asks for another lookup if this one is at least `valid` old. With None the lookup is asked for at once.
    pub(super) fn lookup_again(
        &mut self,
        node: &ObservedNode,
        interfaces: &InstanceInterfaces,
        valid: Option<SignedDuration>,
    ) {
        let input = self.input;
        if valid.is_none_or(|valid| input.age(interfaces) >= valid)
            && let Ok(instance) = &node.instance
        {
            self.plan.needs.insert(Need::LookupInterfaces(instance.clone()));
        }
        // The answer of a lookup that is needed now changes the cache, and that change starts the next decision. A recheck before
        // could only ask for the same lookup again.
        if let Some(valid) = valid {
            self.plan.recheck_at(input.now.saturating_add(valid).unwrap_or(Timestamp::MAX));
        }
    }
}

/// How soon to look again at a slot in which an ENI of this cluster remains. An ENI without an ENIAttachment is an orphan and
/// stays until resyncs have proven it, so its lookups are less frequent.
fn leaving_again(input: &Input<'_>, eni: &ObservedEni) -> SignedDuration {
    if (input.is_held)(eni) { LEAVING_AGAIN } else { input.settings.instance_lookup_valid }
}

/// The interval of lookups of an instance while an ENI of this cluster is leaving it.
const LEAVING_AGAIN: SignedDuration = SignedDuration::from_secs(3);

/// Whether the lookup began before the NodeENI was created. The user may have freed the slot in between. A lookup that began less
/// than [`JUST_NOW`] ago counts as later, because the clock of the API server may differ.
fn is_before(interfaces: &InstanceInterfaces, nodeeni: &NodeEni, input: &Input<'_>) -> bool {
    interfaces.as_of < nodeeni.created && input.age(interfaces) > JUST_NOW
}

pub(super) fn occupant(interfaces: &InstanceInterfaces, slot: Slot) -> Option<&ObservedEni> {
    interfaces.enis.iter().find(|eni| eni.attachment.as_ref().is_some_and(|at| (at.card, at.index) == slot))
}
