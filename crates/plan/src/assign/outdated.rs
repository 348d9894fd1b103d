//! Decides about the ENIAttachments of a NodeENI on a Node that its spec no longer describes: which are replaced, which are
//! deleted, and which stay because no new ENI could be attached in their place. It is given the desired ENIAttachments and the
//! permits of the rollout. It creates nothing.

use super::assignment::{Need, RemovalReason};
use super::desired::Unplaced;
use super::input::Input;
use super::new_attachment::{NewAttachment, same};
use super::planner::NodePlanner;
use super::replacement_check::{NextPlace, Obstacle};
use super::subnet_terms::waits_for_room;
use super::unassigned::UnassignedReason;
use super::unattachable_eni::{is_refused, unattachable};
use super::undescribed::{Undescribed, is_paced};
use crate::attachment::Attachment;
use crate::nodeeni::NodeEni;
use crate::removals::Cause;
use multi_eni_api::EniRequest;
use std::collections::BTreeSet;

impl<'a> NodePlanner<'a> {
    /// Handles the outdated ENIAttachments of this NodeENI. `unplaced`: subnets that can get no slot. `permit`: Some if outdated
    /// ENIs may be replaced now, with the number of ENIs that the node had in use when its turn was granted. If that number was
    /// 0, an ENI that came into use since then waits for another turn. Returns true if ENIs in use stay because no new ENI could
    /// be attached in their place; the reason is reported.
    pub(super) fn outdated(
        &mut self,
        nodeeni: &NodeEni,
        mine: &[&Attachment],
        wanted: &[NewAttachment],
        unplaced: &[Unplaced],
        permit: Option<usize>,
    ) -> bool {
        let input = self.input;
        let live: Vec<&Attachment> = mine.iter().copied().filter(|attachment| attachment.deleting.is_none()).collect();
        let kept = kept(&input, &live, wanted, unplaced);
        for new in wanted {
            let holder = kept
                .iter()
                .find(|attachment| attachment.name == new.name && !same(&attachment.request, &new.spec.request));
            if let Some(holder) = holder {
                self.stays(nodeeni, UnassignedReason::SlotPinned { slot: holder.slot(), name: holder.name.clone() });
            }
        }
        let unfilled: Vec<&NewAttachment> =
            wanted.iter().filter(|new| !live.iter().any(|attachment| attachment.name == new.name)).collect();
        let Undescribed { moved, remaining, surplus, no_successor } =
            Undescribed::sort(&input, &live, &kept, wanted, &unfilled, unplaced);
        let is_in =
            |list: &[&Attachment], attachment: &Attachment| list.iter().any(|other| other.name == attachment.name);
        let is_kept = |attachment: &Attachment| is_in(&kept, attachment) || is_in(&remaining, attachment);
        // The surplus ENIAttachments have no successor. They are not replaced but deleted, so they do not wait for the rollout.
        let mut waits = false;
        for attachment in &surplus {
            if !is_paced(&input, attachment) || self.may_lose(nodeeni, attachment, Cause::Edited) {
                self.remove(attachment, RemovalReason::Surplus);
            } else {
                waits = true;
            }
        }
        let is_outdated = |attachment: &Attachment| match wanted.iter().find(|new| new.name == attachment.name) {
            Some(new) => !same(&attachment.request, &new.spec.request),
            None => moved.iter().any(|other| other.name == attachment.name),
        };
        let used: Vec<&Attachment> = live
            .iter()
            .copied()
            .filter(|attachment| is_outdated(attachment) && !is_kept(attachment) && input.is_in_use(attachment))
            .collect();
        let stop = match input.node.filter(|_| !used.is_empty() && no_successor.is_none()) {
            Some(node) => {
                let moves: Vec<&Attachment> =
                    moved.iter().copied().filter(|attachment| input.is_in_use(attachment)).collect();
                let mut place = NextPlace { planner: self, node, nodeeni, asks: permit.is_some() };
                place.stops(wanted, &used, &moves, &unfilled)
            }
            None => no_successor.map(Obstacle::known),
        };
        for attachment in live.iter().copied().filter(|attachment| !is_in(&surplus, attachment) && !is_kept(attachment))
        {
            let described = wanted.iter().find(|new| new.name == attachment.name);
            let fits = described.is_some_and(|new| same(&attachment.request, &new.spec.request));
            let untouched = is_unmade(&input, nodeeni, attachment)
                && described.is_some_and(|new| !is_asked_alike(&attachment.request, &new.spec.request));
            if untouched {
                // No ENI exists, so replacing the ENIAttachment interrupts no traffic.
                self.remove(attachment, RemovalReason::Replaced);
            } else if unattachable(&input, attachment) || self.needs_another_index(nodeeni, attachment) {
                // EC2 refused the Attach. The ENI was kept for a while in case the slot becomes free. It is deleted even if the
                // spec asks for another ENI by now and that one cannot be attached.
                self.remove(attachment, RemovalReason::Unattachable);
            } else if !fits {
                // The surplus ENIs of this node still wait for the removal pace, so replace nothing yet. After a replacement, the
                // next decision would take a surplus ENI for an outdated one.
                if waits {
                    continue;
                }
                let in_use = input.is_in_use(attachment);
                let stop = stop.as_ref().filter(|_| in_use);
                if let Some(Obstacle { why, keeps_turn: false }) = stop {
                    // The node takes no turn in the rollout, so other nodes can use it.
                    self.stays(nodeeni, why.clone());
                    continue;
                }
                self.plan.outdated.entry(nodeeni.uid.clone()).or_default().insert(attachment.name.clone());
                if permit.is_some_and(|had| had > 0 || !in_use) {
                    match stop {
                        None => self.remove(attachment, RemovalReason::Replaced),
                        Some(stop) => self.stays(nodeeni, stop.why.clone()),
                    }
                }
            } else if input.instance.is_none() && is_refused(&input, attachment) {
                self.plan.needs.extend(attachment.instance.clone().map(Need::LookupInterfaces));
            } else if attachment.lost() {
                self.plan.outdated.entry(nodeeni.uid.clone()).or_default().insert(attachment.name.clone());
                if permit.is_some() {
                    self.remove(attachment, RemovalReason::Recycled);
                }
            }
        }
        stop.is_some_and(|stop| !stop.keeps_turn)
    }

    /// Reports why an outdated ENI stays.
    fn stays(&mut self, nodeeni: &NodeEni, why: UnassignedReason) {
        if let Some(node) = self.input.node {
            self.refuse(node, nodeeni, why);
        }
    }
}

/// The ENIAttachments in use that stay although the spec describes another slot for them. Their subnet is still listed, but its
/// slot cannot be used. An ENIAttachment whose new slot is kept by one of these stays as well, and so on.
fn kept<'a>(
    input: &Input<'_>,
    live: &[&'a Attachment],
    wanted: &[NewAttachment],
    unplaced: &[Unplaced],
) -> Vec<&'a Attachment> {
    let mut without: BTreeSet<&str> = unplaced.iter().map(|place| place.subnet.as_str()).collect();
    loop {
        let stays = |attachment: &&Attachment| {
            without.contains(attachment.request.subnet_id.as_str()) && input.is_in_use(attachment)
        };
        let kept: Vec<&Attachment> = live.iter().copied().filter(stays).collect();
        let subnet = |new: &'_ NewAttachment| new.spec.request.subnet_id.clone();
        let is_displaced = |new: &&NewAttachment| {
            kept.iter().any(|attachment| attachment.name == new.name && attachment.request.subnet_id != subnet(new))
        };
        let before = without.len();
        without.extend(wanted.iter().filter(is_displaced).map(|new| new.spec.request.subnet_id.as_str()));
        if without.len() == before {
            return kept;
        }
    }
}

/// Whether no ENI of the ENIAttachment exists, so that another ENIAttachment may replace it at once: its Create failed, or it waits
/// for room in its subnet and terms may select another subnet. The status may be older than EC2's answer to a Create.
fn is_unmade(input: &Input<'_>, nodeeni: &NodeEni, attachment: &Attachment) -> bool {
    let by_terms = nodeeni.spec.as_ref().is_ok_and(|spec| !spec.subnet_terms.is_empty());
    (attachment.never_created() || by_terms && waits_for_room(attachment)) && !(input.is_created)(attachment)
}

/// Whether two Create requests are the same. An older CRD stores neither the CIDR, which is informational, nor the timeouts of
/// connection tracking, which can be changed in place.
fn is_asked_alike(a: &EniRequest, b: &EniRequest) -> bool {
    let compared =
        |request: &EniRequest| EniRequest { subnet_cidr: None, connection_tracking: None, ..request.clone() };
    compared(a) == compared(b)
}
