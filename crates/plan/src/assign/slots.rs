//! Whether an ENI can be attached in a slot of a Node now: by the limits of the instance type and by what EC2 shows on the instance.

use super::assignment::Need;
use super::input::Input;
use super::limits;
use super::new_attachment::NewAttachment;
use super::planner::{JUST_NOW, NodePlanner};
use super::unassigned::UnassignedReason;
use crate::nodeeni::{EniSpec, NodeEni};
use crate::observed::{InstanceInterfaces, ObservedEni, ObservedNode};
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::SubnetId;
use multi_eni_api::names::TAG_NODEENI;

type Slot = (i32, i32);

impl NodePlanner<'_> {
    /// Whether an ENI for this slot can work: its type takes it, the slot is free, and there is room.
    pub(super) fn may_create(
        &mut self,
        node: &ObservedNode,
        nodeeni: &NodeEni,
        spec: &EniSpec,
        new: &NewAttachment,
    ) -> Result<(), UnassignedReason> {
        let input = self.input;
        let slot = (new.spec.request.network_card_index, new.spec.request.device_index);
        self.lives(node.instance.as_ref().map_err(UnassignedReason::from)?)?;
        let limits = self.limits_of(node)?;
        if let Some((kind, limits)) = &limits {
            limits::fits(kind, limits, spec, slot.0)?;
        }
        if let (Some(interfaces), Some(refused)) = (input.instance, input.refused_attach.get(&new.name))
            && let Some(words) = refused.stands(&new.spec.request, node, interfaces, input.now)
        {
            self.lookup_again(node, interfaces, Some(input.settings.blocked_recheck));
            return Err(UnassignedReason::AttachRefused(words.to_owned()));
        }
        // What even an old look tells is not news each time that it has to be renewed.
        if let Some(interfaces) = input.instance.filter(|interfaces| occupant(interfaces, slot).is_none()) {
            in_the_nodes_vpc(&input, interfaces, new)?;
            if let Some((kind, limits)) = &limits
                && let Err(full) = self.has_room(kind, limits, slot.0, interfaces)
            {
                return Err(self.full_by(node, nodeeni, interfaces, full));
            }
        }
        self.free_on_ec2(node, nodeeni, slot)
    }

    /// The instance is full by that look, which may be an old one: nothing tells when another's interface goes, so it is looked at
    /// again, slowly.
    fn full_by(
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
        let lookup_pending = UnassignedReason::LookupPending("the node's interfaces");
        let (valid, refusal) = if interfaces.enis.iter().any(|eni| eni.is_of(input.cluster) && !is_held(eni)) {
            // One of ours that nobody holds any more: soon gone, or gone already.
            (Some(LEAVING_AGAIN), lookup_pending)
        } else if is_before(interfaces, nodeeni, &input) {
            (None, lookup_pending)
        } else {
            (Some(input.settings.blocked_recheck), full)
        };
        self.lookup_again(node, interfaces, valid);
        refusal
    }

    /// Whether the slot is free on EC2, by a look at the instance that is fresh enough.
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
            return Err(UnassignedReason::LookupPending("the node's interfaces"));
        };
        let lookup_pending = UnassignedReason::LookupPending("the node's interfaces");
        let (valid, refusal) = match occupant(interfaces, slot) {
            None if input.age(interfaces) <= input.settings.instance_lookup_valid => return Ok(()),
            None => (None, lookup_pending),
            // Ours on its way out: soon gone. What nobody detaches is an orphan, which sweeps judge.
            Some(eni) if eni.is_of(input.cluster) => (
                Some(leaving_again(&input, eni)),
                UnassignedReason::SlotHeld {
                    slot,
                    holder: eni.tags.get(TAG_NODEENI).unwrap_or_default().to_owned(),
                    leaving: true,
                },
            ),
            Some(_) if is_before(interfaces, nodeeni, &input) => (None, lookup_pending),
            // Somebody else's: nothing tells us when it goes, so it is looked at again, slowly.
            Some(eni) => (
                Some(input.settings.blocked_recheck),
                UnassignedReason::SlotTaken { slot, eni: eni.id.clone(), description: eni.description.clone() },
            ),
        };
        self.lookup_again(node, interfaces, valid);
        Err(refusal)
    }

    /// Asks for another look when this one is that old; None: now.
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
        // A look that is needed now is answered by a change of the view: asking again before could only ask for it again.
        if let Some(valid) = valid {
            self.plan.recheck_at(input.now.saturating_add(valid).unwrap_or(Timestamp::MAX));
        }
    }
}

/// EC2 would create an ENI in another VPC, and never attach it. An instance keeps its VPC.
pub(super) fn in_the_nodes_vpc(
    input: &Input<'_>,
    interfaces: &InstanceInterfaces,
    new: &NewAttachment,
) -> Result<(), UnassignedReason> {
    let subnet = SubnetId::parse(&new.spec.request.subnet_id).ok().and_then(|id| input.catalog.subnets.get(&id));
    match (subnet, &interfaces.vpc) {
        (Some(subnet), Some(vpc)) if subnet.vpc != *vpc => {
            let subnet = (subnet.id.clone(), subnet.vpc.clone());
            Err(UnassignedReason::SubnetInOtherVpc { subnet, vpc: vpc.to_string() })
        }
        _ => Ok(()),
    }
}

/// What no ENIAttachment has is an orphan: it goes when sweeps have shown it so.
fn leaving_again(input: &Input<'_>, eni: &ObservedEni) -> SignedDuration {
    if (input.is_held)(eni) { LEAVING_AGAIN } else { input.settings.instance_lookup_valid }
}

/// How soon an instance is looked at again where something of ours is on its way out.
const LEAVING_AGAIN: SignedDuration = SignedDuration::from_secs(3);

/// Seen before anybody asked for this: who asks now may have freed it since. A look of just now is late enough, whatever the
/// API server's clock says.
fn is_before(interfaces: &InstanceInterfaces, nodeeni: &NodeEni, input: &Input<'_>) -> bool {
    interfaces.as_of < nodeeni.created && input.age(interfaces) > JUST_NOW
}

pub(super) fn occupant(interfaces: &InstanceInterfaces, slot: Slot) -> Option<&ObservedEni> {
    interfaces.enis.iter().find(|eni| eni.attachment.as_ref().is_some_and(|at| (at.card, at.index) == slot))
}
