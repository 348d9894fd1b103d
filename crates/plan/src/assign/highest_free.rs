//! Chooses the device indexes of a NodeENI with `deviceIndexPolicy: highestFree` on one Node. The AWS VPC CNI takes the lowest
//! free index of a card, so the highest free one keeps clear of it longest. An existing ENIAttachment keeps its index. The choice
//! follows from the input alone, and this file reserves nothing: the plan of one Node is written before the next one is made.

use super::adoption::pinned;
use super::assignment::Need;
use super::nodeeni_on_node::NodeEniOnNode;
use super::planner::NodePlanner;
use super::replacement_check::{asks_for_no_slot, slots_of};
use super::unassigned::UnassignedReason;
use crate::attachment::Attachment;
use crate::nodeeni::NodeEni;
use crate::observed::{AttachmentState, InstanceInterfaces, ObservedEni, ObservedNode, ObservedSubnet};
use multi_eni_api::names::attachment_name;
use std::collections::BTreeSet;

/// An index that the NodeENI has on the Node: by an ENIAttachment, or by an ENI that lost its ENIAttachment.
struct Own {
    subnet: String,
    index: i32,
    /// Sorts an ENI in use first, and one that is being deleted last.
    rank: u8,
}

impl NodePlanner<'_> {
    /// The device index for each subnet, in the order of the list, or why the subnet has none now.
    pub(super) fn highest_free(
        &mut self,
        on: NodeEniOnNode<'_>,
        subnets: &[&ObservedSubnet],
    ) -> Vec<Result<i32, UnassignedReason>> {
        let NodeEniOnNode { nodeeni, spec, mine, .. } = on;
        let own = self.own_indexes(nodeeni, spec.card, mine);
        // An ENI that was adopted from upstream keeps its slot, also on another card.
        let mut chosen: Vec<Option<(i32, i32)>> =
            subnets.iter().map(|subnet| pinned(mine, &subnet.id).map(Attachment::slot)).collect();
        // An ENI stays where it is. Then the index of an ENI whose subnet is no longer listed goes to another subnet, so that the
        // replacement of an ENI does not move it.
        for is_same_subnet in [true, false] {
            for (at, subnet) in subnets.iter().enumerate() {
                let fits = |own: &&Own| {
                    !chosen.contains(&Some((spec.card, own.index)))
                        && (own.subnet == subnet.id.as_str() || !is_same_subnet)
                };
                let index = own.iter().find(fits).map(|own| own.index);
                if let Some(of_subnet) = chosen.get_mut(at).filter(|of_subnet| of_subnet.is_none()) {
                    *of_subnet = index.map(|index| (spec.card, index));
                }
            }
        }
        let on_card = chosen.iter().flatten().filter(|(card, _)| *card == spec.card);
        let mut taken: BTreeSet<i32> = on_card.map(|(_, index)| *index).collect();
        let mut indexes = Vec::new();
        for slot in chosen {
            indexes.push(match slot {
                Some((_, index)) => Ok(index),
                None => self.next_free(on, &mut taken),
            });
        }
        indexes
    }

    /// The indexes on the card that this NodeENI has on the Node, in the order in which they are kept.
    fn own_indexes(&self, nodeeni: &NodeEni, card: i32, mine: &[&Attachment]) -> Vec<Own> {
        let input = self.input;
        // An ENIAttachment that cannot be read may have its ENI in use. It holds its slot, as with an exact index.
        let rank = |attachment: &Attachment| match (&attachment.deleting, input.is_in_use(attachment)) {
            (None, _) if attachment.unreadable.is_some() => 0,
            (None, true) => 0,
            (None, false) => 2,
            (Some(_), _) => 4,
        };
        let stored = mine.iter().filter(|attachment| attachment.slot().0 == card).map(|attachment| Own {
            subnet: attachment.request.subnet_id.clone(),
            index: attachment.request.device_index,
            rank: rank(attachment),
        });
        // The ENI is adopted in its slot again, or it is on its way out and the slot is about to be free.
        let is_lost = |eni: &&ObservedEni| {
            eni.is_of(input.cluster) && eni.names_nodeeni(&nodeeni.uid, &nodeeni.name) && !(input.is_held)(eni)
        };
        let shown = input.instance.into_iter().flat_map(|interfaces| &interfaces.enis).filter(is_lost);
        let lost = shown.filter_map(|eni| {
            let at = eni.attachment.as_ref().filter(|at| at.card == card && at.index >= lowest(card))?;
            let is_free = !self.here.iter().any(|attachment| attachment.slot() == (card, at.index));
            let subnet = eni.subnet.as_ref().filter(|_| is_free)?.to_string();
            // An ENI in use comes before an ENIAttachment that has none: after a restore, the latter may be of an earlier time.
            let rank = if at.state == AttachmentState::Attached { 1 } else { 3 };
            Some(Own { subnet, index: at.index, rank })
        });
        let mut own: Vec<Own> = stored.chain(lost).collect();
        own.sort_by_key(|own| (own.rank, std::cmp::Reverse(own.index)));
        own
    }

    /// The highest index of the card that is free, and not in `taken`; it is added there.
    fn next_free(&mut self, on: NodeEniOnNode<'_>, taken: &mut BTreeSet<i32>) -> Result<i32, UnassignedReason> {
        let (input, NodeEniOnNode { node, nodeeni, spec, .. }) = (self.input, on);
        let instance = self.instance_of(node)?;
        self.check_instance(instance)?;
        // What is on the instance is looked up first: one of its ENIs may have lost its ENIAttachment, and then it has an index.
        let Some(interfaces) = input.instance else {
            self.plan.needs.insert(Need::LookupInterfaces(instance.clone()));
            return Err(UnassignedReason::LookupPending("the EC2 lookup of the node's interfaces"));
        };
        let Some((kind, limits)) = self.limits_of(node)? else {
            self.recheck_later();
            return Err(UnassignedReason::InstanceTypeUnknown { kind: node.instance_type.clone() });
        };
        let card = spec.card;
        let Some(most) = usize::try_from(card).ok().and_then(|card| limits.cards.get(card)).copied() else {
            return Err(UnassignedReason::NoSuchCard { kind, card, cards: limits.cards.len() });
        };
        // EC2 may take fewer indexes than it shows. A refused index shows that for all instances of the type.
        let closed =
            input.instance_type_gate.closed_index(&kind, card, None, input.now).filter(|closed| *closed < most);
        let occupied = self.occupied(card, interfaces);
        let is_hidden = |index: i32| {
            let name = attachment_name(&nodeeni.name, &nodeeni.uid, instance.as_str(), card, index);
            let refused = input.refused_attach.get(&name);
            refused.is_some_and(|refused| refused.hides_an_occupant(interfaces, input.now))
        };
        let is_free = |index: &i32| !taken.contains(index) && !occupied.contains(index) && !is_hidden(*index);
        let asked_for = self.asked_for(node, nodeeni, card);
        let mut free: Vec<i32> = (lowest(card)..closed.unwrap_or(most)).rev().filter(is_free).collect();
        // An index that another NodeENI asks for, and that nothing has, comes last.
        free.sort_by_key(|index| asked_for.contains(index));
        let Some(index) = free.first().copied() else {
            let refused = closed.and_then(|_| input.instance_type_gate.refused_index(&kind, card));
            let full = match refused {
                Some(index) => UnassignedReason::IndexRefused { kind, slot: (card, index) },
                None => UnassignedReason::InstanceFull { kind, card: Some(card), most },
            };
            return Err(self.full_by(node, nodeeni, interfaces, full));
        };
        taken.insert(index);
        Ok(index)
    }

    /// The indexes of the card that something else has: what the last lookup shows, the ENIAttachments of the instance, and the
    /// slots that older NodeENIs get by this plan.
    fn occupied(&self, card: i32, interfaces: &InstanceInterfaces) -> BTreeSet<i32> {
        let shown = interfaces.enis.iter().filter_map(|eni| eni.attachment.as_ref()).map(|at| (at.card, at.index));
        let stored = self.here.iter().map(|attachment| attachment.slot());
        let created =
            self.plan.create.iter().map(|new| (new.spec.request.network_card_index, new.spec.request.device_index));
        let planned = self.plan.slots.iter().flat_map(|(_, slots)| slots).copied();
        let slots = shown.chain(stored).chain(created).chain(planned);
        slots.filter(|(on, _)| *on == card).map(|(_, index)| index).collect()
    }

    /// The indexes of the card that the other NodeENIs with `deviceIndexPolicy: exact` ask for on this Node.
    fn asked_for(&self, node: &ObservedNode, nodeeni: &NodeEni, card: i32) -> BTreeSet<i32> {
        let others = self.nodeenis.iter().filter(|other| other.uid != nodeeni.uid);
        let specs = others.filter_map(|other| other.spec_for(&node.labels));
        let specs = specs.filter(|spec| !asks_for_no_slot(&self.input, spec));
        let slots = specs.flat_map(|spec| slots_of(&self.input, spec));
        slots.filter(|(on, _)| *on == card).map(|(_, index)| index).collect()
    }
}

/// The lowest index that may be chosen. Index 0 of card 0 is the primary interface.
fn lowest(card: i32) -> i32 {
    i32::from(card == 0)
}
