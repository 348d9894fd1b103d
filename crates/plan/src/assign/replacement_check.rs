//! Decides whether the replacement of an ENI in use can succeed, before that ENI is deleted. It checks the limits of the instance
//! type, the target slot and earlier refusals of EC2. It deletes nothing; it only returns the reason why the old ENI
//! must stay.

use super::adoption::LOOKUP_VALID;
use super::assignment::Need;
use super::input::Input;
use super::limits;
use super::new_attachment::NewAttachment;
use super::planner::NodePlanner;
use super::resolved::{Resolved, resolve};
use super::slots::occupant;
use super::unassigned::UnassignedReason;
use crate::attachment::Attachment;
use crate::nodeeni::{EniSpec, NodeEni};
use crate::observed::{InstanceInterfaces, NodeOutpost, ObservedNode};
use crate::selected_subnets::Selection;
use multi_eni_api::DeviceIndexPolicy;
use multi_eni_api::ids::SubnetId;

type Slot = (i32, i32);

/// Why an ENI in use is not replaced now.
#[derive(Debug)]
pub(super) struct Obstacle {
    pub why: UnassignedReason,
    /// The reason is only that a lookup has not ended. The node keeps its turn in the rollout, because these lookups are sent
    /// only in a node's turn. If false, the reason is known without a turn, and the node takes none.
    pub keeps_turn: bool,
}

impl Obstacle {
    pub fn known(why: UnassignedReason) -> Self {
        Self { why, keeps_turn: false }
    }

    fn asked(why: UnassignedReason) -> Self {
        Self { why, keeps_turn: true }
    }
}

/// A node on which an ENI in use is to be replaced. `asks`: it is the node's turn, so lookups may be asked for.
pub(super) struct NextPlace<'p, 'a> {
    pub planner: &'p mut NodePlanner<'a>,
    pub node: &'p ObservedNode,
    pub nodeeni: &'p NodeEni,
    pub asks: bool,
}

impl NextPlace<'_, '_> {
    /// The reason why the ENIs stay; None if the new ENIs can be attached. `used`: the outdated ENIs in use. `moves`: those of
    /// them that leave their slot for one of `unfilled`.
    pub fn stops(
        &mut self,
        wanted: &[NewAttachment],
        used: &[&Attachment],
        moves: &[&Attachment],
        unfilled: &[&NewAttachment],
    ) -> Option<Obstacle> {
        let never = self.never_works(wanted, used);
        if let Some(Obstacle { keeps_turn: false, .. }) = never {
            return never;
        }
        let (mut asked, mut known) = (Vec::new(), Vec::new());
        for new in unfilled {
            match self.closed(new, used) {
                Some(stop) if stop.keeps_turn => asked.push((*new, stop)),
                Some(stop) => known.push((*new, stop)),
                None => {}
            }
        }
        // A subnet that is still listed would lose its ENI, because the slot that becomes free goes to another subnet.
        let loses = |(new, _): &(&NewAttachment, Obstacle)| {
            used.iter().any(|attachment| attachment.request.subnet_id == new.spec.request.subnet_id)
        };
        let is_closed = |closed: usize| moves.len() + closed > unfilled.len() && !moves.is_empty();
        // Return known reasons first. Whether the node takes a turn must not depend on lookups that are sent only in its turn.
        if !known.is_empty() && (is_closed(known.len()) || known.iter().any(loses)) {
            return known.into_iter().next().map(|(_, stop)| stop);
        }
        if let Some(why) = self.not_alive() {
            return Some(Obstacle::asked(why));
        }
        let waits = is_closed(known.len() + asked.len()) || asked.iter().any(loses);
        never.or_else(|| asked.into_iter().next().map(|(_, stop)| stop).filter(|_| waits))
    }

    /// The reason if the instance is gone, or if EC2 does not show its primary interface. Checked only in the node's turn.
    fn not_alive(&mut self) -> Option<UnassignedReason> {
        let instance = self.node.instance.as_ref().ok().filter(|_| self.asks)?;
        self.planner.check_instance(instance).err()
    }

    /// A reason that no free slot can remove: the type has no such network card or device index, the card is full, or the spec asks for more
    /// addresses than the type supports. In the node's turn a lookup must have shown the instance, because it shows whether the subnets are
    /// of the node's VPC.
    fn never_works(&mut self, wanted: &[NewAttachment], used: &[&Attachment]) -> Option<Obstacle> {
        let spec = self.nodeeni.spec.as_ref().ok()?;
        let limits = match self.planner.limits_of(self.node) {
            Ok(limits) => limits,
            Err(why) => return self.asks.then_some(Obstacle::asked(why)),
        };
        let fits = |new: &NewAttachment| {
            let (card, index) = (new.spec.request.network_card_index, new.spec.request.device_index);
            if let Some((kind, limits)) = &limits {
                limits::fits(kind, limits, spec, (card, index))?;
                let is_there = used.iter().any(|attachment| attachment.slot().0 == card);
                if let Some(interfaces) = self.planner.input.instance.filter(|_| !is_there) {
                    limits::card_has_room(kind, limits, card, interfaces, self.planner.here)?;
                }
            }
            Ok(())
        };
        let never = wanted.iter().find_map(|new| fits(new).err()).map(Obstacle::known);
        never.or_else(|| self.not_shown())
    }

    /// The obstacle that no lookup has shown the instance yet. Checked only in the node's turn.
    fn not_shown(&mut self) -> Option<Obstacle> {
        let instance =
            self.node.instance.as_ref().ok().filter(|_| self.asks && self.planner.input.instance.is_none())?;
        self.planner.plan.needs.insert(Need::LookupInterfaces(instance.clone()));
        Some(Obstacle::asked(UnassignedReason::LookupPending("the EC2 lookup of the node's interfaces")))
    }

    /// Why the slot of `new` is closed: an ENIAttachment or an ENI occupies it, EC2 refused it before, or the lookup is too old.
    fn closed(&mut self, new: &NewAttachment, used: &[&Attachment]) -> Option<Obstacle> {
        let slot = (new.spec.request.network_card_index, new.spec.request.device_index);
        if let Some(attachment) = self.planner.here.iter().find(|attachment| attachment.slot() == slot) {
            return self.held_by(attachment, slot);
        }
        if self.planner.input.instance.and_then(|interfaces| occupant(interfaces, slot)).is_some() {
            let why = self.planner.free_on_ec2(self.node, self.nodeeni, slot).err()?;
            return Some(if matches!(why, UnassignedReason::LookupPending(_)) {
                Obstacle::asked(why)
            } else {
                Obstacle::known(why)
            });
        }
        if let Some(why) = self.refused_before(new, used) {
            return Some(Obstacle::known(why));
        }
        // Other software may attach an ENI at any time. If it took the slot after the last lookup, the old ENI would be deleted
        // for nothing.
        let is_young =
            self.planner.input.instance.is_some_and(|interfaces| self.planner.input.age(interfaces) <= LOOKUP_VALID);
        if self.asks && !is_young {
            self.planner.plan.needs.extend(self.node.instance.clone().ok().map(Need::LookupInterfaces));
            return Some(Obstacle::asked(UnassignedReason::LookupPending("the EC2 lookup of the node's interfaces")));
        }
        None
    }

    fn held_by(&self, attachment: &Attachment, slot: Slot) -> Option<Obstacle> {
        if attachment.nodeeni_uid == self.nodeeni.uid && attachment.unreadable.is_none() {
            // This NodeENI's own ENI in the slot is replaced as well, or is already being deleted.
            return None;
        }
        // The holder waits for a slot of this NodeENI. If both waited for the other, neither would ever move.
        let is_exchange =
            attachment.deleting.is_none() && !self.stays(attachment) && self.leads_back(attachment, &mut vec![slot]);
        let leaving = attachment.deleting.is_some()
            || attachment.deselected_since.is_some()
            || self.planner.plan.delete.iter().any(|removal| removal.name == attachment.name);
        let held = || self.planner.slot_held(self.nodeeni, slot, &attachment.nodeeni, leaving);
        (!is_exchange).then(|| Obstacle::known(held()))
    }

    /// Whether an ENIAttachment that leaves its slot moves to a slot that this NodeENI leaves, directly or through the slots of other
    /// NodeENIs that move as well.
    fn leads_back(&self, attachment: &Attachment, seen: &mut Vec<Slot>) -> bool {
        let nodeeni = self.planner.nodeenis.iter().find(|nodeeni| nodeeni.uid == attachment.nodeeni_uid);
        let Some(spec) =
            nodeeni.filter(|nodeeni| !nodeeni.deleting).and_then(|nodeeni| nodeeni.spec_for(&self.node.labels))
        else {
            return false;
        };
        slots_of(&self.planner.input, spec).any(|slot| {
            if seen.contains(&slot) {
                return false;
            }
            seen.push(slot);
            let holder = self.planner.here.iter().find(|other| other.slot() == slot && other.unreadable.is_none());
            holder.filter(|other| !self.stays(other)).is_some_and(|other| {
                other.nodeeni_uid == self.nodeeni.uid
                    || other.nodeeni_uid != attachment.nodeeni_uid && self.leads_back(other, seen)
            })
        })
    }

    /// EC2's words if it refused this ENI before, with the ENIs that are on the instance now or with those that would be left
    /// once `used` are gone.
    fn refused_before(&self, new: &NewAttachment, used: &[&Attachment]) -> Option<UnassignedReason> {
        let (interfaces, refused) = (self.planner.input.instance?, self.planner.input.refused_attach.get(&new.name)?);
        let goes = |slot: Slot| used.iter().any(|attachment| attachment.slot() == slot);
        let is_left =
            |eni: &&crate::observed::ObservedEni| eni.attachment.as_ref().is_none_or(|at| !goes((at.card, at.index)));
        let left = InstanceInterfaces {
            enis: interfaces.enis.iter().filter(is_left).cloned().collect(),
            ..interfaces.clone()
        };
        let stands = |interfaces| refused.stands(&new.spec.request, self.node, interfaces, self.planner.input.now);
        stands(&left).or_else(|| stands(interfaces))
    }

    /// Whether an ENIAttachment keeps its slot: its NodeENI asks for that slot or cannot be read, or the ENI
    /// was adopted from upstream and its subnet is still listed.
    fn stays(&self, attachment: &Attachment) -> bool {
        let input = &self.planner.input;
        if attachment.unreadable.is_some() {
            return true;
        }
        if attachment.deleting.is_some() {
            return false;
        }
        let Some(nodeeni) =
            self.planner.nodeenis.iter().find(|nodeeni| nodeeni.uid == attachment.nodeeni_uid && !nodeeni.deleting)
        else {
            return false;
        };
        let Some(node) = input.node else { return false };
        match (&nodeeni.spec, nodeeni.spec_for(&node.labels)) {
            (Err(_), _) => true,
            (Ok(_), None) => false,
            (Ok(_), Some(spec)) => {
                let is_pinned = attachment.adopted.is_some()
                    && !attachment.recovered
                    && !attachment.lost()
                    && is_listed(input, spec, attachment);
                is_pinned
                    || spec.index_policy == DeviceIndexPolicy::HighestFree && attachment.slot().0 == spec.card
                    || slots_of(input, spec).any(|slot| slot == attachment.slot())
            }
        }
    }
}

/// The slots that a NodeENI asks for on this node: one for each of its subnets in the node's zone, and at least one. None with
/// `deviceIndexPolicy: highestFree`, which asks for no particular slot.
pub(super) fn slots_of(input: &Input<'_>, spec: &EniSpec) -> impl Iterator<Item = Slot> + use<> {
    let (card, first) = (spec.card, spec.index);
    let subnets = match spec.index_policy {
        DeviceIndexPolicy::Exact => i32::try_from(subnets_of(input, spec).max(1)).unwrap_or(i32::MAX),
        DeviceIndexPolicy::HighestFree => 0,
    };
    (first..first.saturating_add(subnets)).map(move |index| (card, index))
}

/// Whether the NodeENI lists subnets, and none of them can be of this node by its zone and Outpost. Then it asks for no slot here.
pub(super) fn asks_for_no_slot(input: &Input<'_>, spec: &EniSpec) -> bool {
    spec.subnet_terms.is_empty() && subnets_of(input, spec) == 0
}

fn subnets_of(input: &Input<'_>, spec: &EniSpec) -> usize {
    let zone = input.node.and_then(|node| node.zone.as_deref());
    let outpost = input.instance.map_or(NodeOutpost::NotShown, InstanceInterfaces::node_outpost);
    let here = |reference| match resolve(input.catalog, reference) {
        Resolved::Subnets(ids) => {
            let is_here = |id: &&_| {
                let subnet = input.catalog.subnets.get(*id);
                subnet.is_none_or(|subnet| {
                    zone.is_none_or(|zone| subnet.zone == zone) && outpost.takes(subnet.outpost.as_deref())
                })
            };
            ids.iter().filter(is_here).count()
        }
        Resolved::NotYet | Resolved::Missing => 1,
    };
    spec.subnets.iter().map(here).sum()
}

fn is_listed(input: &Input<'_>, spec: &EniSpec, attachment: &Attachment) -> bool {
    if !spec.subnet_terms.is_empty() {
        let id = SubnetId::parse(&attachment.request.subnet_id).ok();
        let edited = input.term_edits.get(&attachment.nodeeni_uid).copied();
        let selection = id.map(|id| input.catalog.selection(&spec.subnet_terms, &id, edited));
        return selection != Some(Selection::NotSelected);
    }
    spec.subnets.iter().any(|reference| match resolve(input.catalog, reference) {
        Resolved::Subnets(ids) => ids.iter().any(|id| id.as_str() == attachment.request.subnet_id),
        Resolved::NotYet | Resolved::Missing => true,
    })
}
