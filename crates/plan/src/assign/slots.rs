//! A Node that is there: which slots should hold what, and what of it may be done now.

use super::desired::Unplaced;
use super::outdated::{Here, outdated, same};
use super::unattachable::unattachable;
use super::{
    Assignment, Input, JUST_NOW, Need, NewAttachment, RemovalReason, Unassigned, UnassignedReason, WaitsForPods,
    adoption, desired, limits, look, recover, remove,
};
use crate::attachment::Attachment;
use crate::instance::InstanceObservation;
use crate::nodeeni::{EniSpec, NodeEni};
use crate::observed::{InstanceInterfaces, ObservedEni, ObservedNode};
use crate::removals::Cause;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::SubnetId;
use multi_eni_api::names::TAG_NODEENI;
use std::collections::BTreeMap;

type Slot = (i32, i32);

/// Decides for a Node that exists.
pub(super) fn node_there(
    input: &Input<'_>,
    node: &ObservedNode,
    nodeenis: &[&NodeEni],
    here: &[&Attachment],
    out: &mut Assignment,
) {
    // Who holds a slot keeps it until it is gone; age decides only among those that hold nothing there.
    let holders: BTreeMap<Slot, &Attachment> = here.iter().map(|attachment| (attachment.slot(), *attachment)).collect();
    let mut claimed: BTreeMap<Slot, String> = BTreeMap::new();
    if desired::other_region(input, node).is_none() {
        adoption::take_over(input, node, nodeenis, here, out);
    }

    for nodeeni in nodeenis {
        // What cannot be read holds its slot, and nothing else is known of it.
        let is_mine =
            |attachment: &&Attachment| attachment.nodeeni_uid == nodeeni.uid && attachment.unreadable.is_none();
        let mine: Vec<&Attachment> = here.iter().copied().filter(is_mine).collect();
        let Some(spec) = nodeeni.wants(&node.labels) else {
            // What another Node of the instance selects is not taken away, either.
            let elsewhere = input.others.iter().any(|other| nodeeni.wants(&other.labels).is_some());
            if nodeeni.spec.is_ok() && !nodeeni.deleting && !node.deleting && !elsewhere {
                deselected(input, nodeeni, &mine, out);
            }
            continue;
        };
        out.matched.push(nodeeni.uid.clone());
        for attachment in &mine {
            if attachment.deselected_since.is_some() && attachment.deleting.is_none() {
                out.reselect.push(attachment.name.clone());
            }
            if attachment.node_settings != spec.node_settings && attachment.deleting.is_none() {
                out.reconfigure.push((attachment.name.clone(), spec.node_settings.clone()));
            }
        }
        let refuse = |out: &mut Assignment, why: UnassignedReason| {
            let refusal = Unassigned { nodeeni_uid: nodeeni.uid.clone(), node: node.name.clone(), why };
            if !out.refused.contains(&refusal) {
                out.refused.push(refusal);
            }
        };
        if out.adopting.contains(&nodeeni.uid) {
            out.desired.push((nodeeni.uid.clone(), mine.len().max(1)));
            refuse(out, UnassignedReason::Looking("the ENIs that upstream's controller left"));
            continue;
        }
        let wanted = match desired::wanted(input, node, nodeeni, spec, here, out) {
            Ok(wanted) => wanted,
            Err(why) => {
                if matches!(why, UnassignedReason::NoSubnetInZone { .. }) {
                    // That is known: what the node has is of a subnet that was taken off the list.
                    out.desired.push((nodeeni.uid.clone(), 1));
                    outdated(input, nodeeni, Here { nodeenis, all: here, mine: &mine }, &[], &[], None, out);
                } else {
                    // Nothing is taken away for what cannot be known now, but what could never be attached: if EC2 has been
                    // looked at, for until then a status may be behind what was done.
                    out.desired.push((nodeeni.uid.clone(), mine.len().max(1)));
                    let is_known = !why.is_transient() && !matches!(why, UnassignedReason::LookFailed(_));
                    let gone = |attachment: &&&Attachment| {
                        is_known && attachment.deleting.is_none() && unattachable(input, attachment)
                    };
                    mine.iter()
                        .filter(gone)
                        .for_each(|attachment| remove(attachment, RemovalReason::Unattachable, out));
                }
                refuse(out, why);
                continue;
            }
        };
        out.desired.push((nodeeni.uid.clone(), wanted.len()));
        let (mut unplaced, mut placed): (Vec<Unplaced>, Vec<NewAttachment>) = (Vec::new(), Vec::new());
        for new in wanted {
            match new {
                Ok(new) => placed.push(new),
                Err(place) => {
                    refuse(out, place.why.clone());
                    unplaced.push(place);
                }
            }
        }
        let wanted = placed;
        let turn = input.permits.get(&nodeeni.uid).and_then(|nodes| nodes.get(&node.name));
        let permit = turn.filter(|turn| turn.may_lose).map(|turn| turn.had);
        let there = Here { nodeenis, all: here, mine: &mine };
        let stays = outdated(input, nodeeni, there, &wanted, &unplaced, permit, out);

        let mut present = mine.len();
        for new in wanted {
            let slot = (new.spec.request.network_card_index, new.spec.request.device_index);
            let why = match holders.get(&slot) {
                Some(attachment) if attachment.name == new.name && attachment.deleting.is_some() => {
                    Some(UnassignedReason::Replacing)
                }
                Some(attachment)
                    if attachment.name == new.name
                        && out.outdated.contains_key(&nodeeni.uid)
                        && !same(&attachment.request, &new.spec.request) =>
                {
                    Some(if permit.is_some() { UnassignedReason::Replacing } else { UnassignedReason::AwaitingRollout })
                }
                Some(attachment) if attachment.name == new.name => {
                    if !gives_way(input, attachment, (node, nodeeni), nodeenis, &new) {
                        // One that was restored from a backup has nothing, and may find its ENI in its slot: a new process looks there.
                        let may_be_restored = attachment.status.eni_id.is_none() && attachment.adopted.is_none();
                        let unseen =
                            attachment.instance.clone().filter(|_| input.instance.is_none() && may_be_restored);
                        out.needs.extend(unseen.map(Need::LookAtInstance));
                        continue;
                    }
                    remove(attachment, RemovalReason::Replaced, out);
                    Some(UnassignedReason::Replacing)
                }
                Some(attachment) => {
                    let leaving = attachment.deleting.is_some()
                        || attachment.deselected_since.is_some()
                        || out.delete.iter().any(|removal| removal.name == attachment.name);
                    Some(UnassignedReason::SlotHeld { slot, holder: attachment.nodeeni.clone(), leaving })
                }
                None => {
                    // What is lost is there already: nothing need go for it.
                    let is_full =
                        present >= desired_of(out, nodeeni) && !recover::is_shown(input, nodeeni, nodeenis, slot);
                    if is_full && stays {
                        // What would have to go for it stays, and that is said.
                        continue;
                    }
                    let lost = recover::holder(input, node, nodeenis, slot).filter(|holder| holder.uid != nodeeni.uid);
                    if let (true, Some(interfaces)) = (lost.is_some(), input.instance) {
                        // It is adopted, or goes as an orphan: of that nothing tells this node. What the last look told is no news
                        // each time that it is renewed.
                        look_again(input, node, interfaces, Some(input.settings.blocked_recheck), out);
                    }
                    lost.map(|holder| &holder.name)
                        .or_else(|| claimed.get(&slot))
                        .map(|holder| UnassignedReason::SlotHeld { slot, holder: holder.clone(), leaving: false })
                        .or_else(|| is_full.then_some(UnassignedReason::Replacing))
                }
            };
            if let Some(why) = why {
                refuse(out, why);
                continue;
            }
            claimed.insert(slot, nodeeni.name.clone());
            if node.deleting {
                refuse(out, UnassignedReason::NodeDeleting);
                continue;
            }
            if nodeeni.guarded
                && let Some(adopts) = recover::lost(input, (node, nodeeni), nodeenis, &new)
            {
                present += 1;
                out.create.push(adopts);
                continue;
            }
            match may_create(input, node, nodeeni, spec, &new, here, out) {
                Err(why) => refuse(out, why),
                Ok(()) if !nodeeni.guarded => {
                    refuse(out, UnassignedReason::Looking("its own finalizer, which is being written"))
                }
                Ok(()) => {
                    present += 1;
                    out.create.push(new);
                }
            }
        }
    }
    serves_nobody(input, node, here, out);
}

/// The instance is terminated, and its Node is still there long after that: an ENI that outlived it serves nobody, and holds an address
/// and a place of the quota.
fn serves_nobody(input: &Input<'_>, node: &ObservedNode, here: &[&Attachment], out: &mut Assignment) {
    let Ok(instance) = &node.instance else { return };
    let Some(look) = (input.states)(instance).filter(InstanceObservation::is_said_to_be_gone) else { return };
    let over = look.since.saturating_add(look::NODE_OUTLIVES).unwrap_or(Timestamp::MAX);
    let left: Vec<&Attachment> = here
        .iter()
        .copied()
        .filter(|attachment| attachment.deleting.is_none() && attachment.unreadable.is_none())
        .collect();
    if left.is_empty() {
        return;
    }
    if input.now < over {
        return out.recheck_at(over);
    }
    for attachment in left {
        if !out.delete.iter().any(|removal| removal.name == attachment.name) {
            remove(attachment, RemovalReason::NodeGone, out);
        }
    }
}

/// Whether an ENI for this slot can work: its type takes it, the slot is free, and there is room.
fn may_create(
    input: &Input<'_>,
    node: &ObservedNode,
    nodeeni: &NodeEni,
    spec: &EniSpec,
    new: &NewAttachment,
    here: &[&Attachment],
    out: &mut Assignment,
) -> Result<(), UnassignedReason> {
    let slot = (new.spec.request.network_card_index, new.spec.request.device_index);
    look::lives(input, node.instance.as_ref().map_err(UnassignedReason::from)?, out)?;
    let limits = limits::of(input, node, out)?;
    if let Some((kind, limits)) = &limits {
        limits::fits(kind, limits, spec, slot.0)?;
    }
    if let (Some(interfaces), Some(refused)) = (input.instance, input.refused_attach.get(&new.name))
        && let Some(words) = refused.stands(&new.spec.request, node, interfaces, input.now)
    {
        look_again(input, node, interfaces, Some(input.settings.blocked_recheck), out);
        return Err(UnassignedReason::AttachRefused(words.to_owned()));
    }
    // What even an old look tells is not news each time that it has to be renewed.
    if let Some(interfaces) = input.instance.filter(|interfaces| occupant(interfaces, slot).is_none()) {
        in_the_nodes_vpc(input, interfaces, new)?;
        if let Some((kind, limits)) = &limits
            && let Err(full) = limits::has_room(kind, limits, slot.0, interfaces, here, out)
        {
            return Err(full_by(input, node, nodeeni, interfaces, full, here, out));
        }
    }
    free_on_ec2(input, node, nodeeni, slot, out)
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

/// The instance is full by that look, which may be an old one: nothing tells when another's interface goes, so it is looked at
/// again, slowly.
fn full_by(
    input: &Input<'_>,
    node: &ObservedNode,
    nodeeni: &NodeEni,
    interfaces: &InstanceInterfaces,
    full: UnassignedReason,
    here: &[&Attachment],
    out: &mut Assignment,
) -> UnassignedReason {
    let is_held = |eni: &ObservedEni| {
        eni.attachment.as_ref().is_some_and(|at| here.iter().any(|attachment| attachment.slot() == (at.card, at.index)))
    };
    let looking = UnassignedReason::Looking("the node's interfaces");
    let (valid, refusal) = if interfaces.enis.iter().any(|eni| eni.is_of(input.cluster) && !is_held(eni)) {
        // One of ours that nobody holds any more: soon gone, or gone already.
        (Some(LEAVING_AGAIN), looking)
    } else if is_before(interfaces, nodeeni, input) {
        (None, looking)
    } else {
        (Some(input.settings.blocked_recheck), full)
    };
    look_again(input, node, interfaces, valid, out);
    refusal
}

/// How many ENIs this NodeENI wants on this Node.
fn desired_of(out: &Assignment, nodeeni: &NodeEni) -> usize {
    out.desired.iter().rev().find(|(uid, _)| *uid == nodeeni.uid).map_or(0, |(_, n)| *n)
}

/// The label went: marked first, removed after the grace, so that a flap costs no EC2 call.
fn deselected(input: &Input<'_>, nodeeni: &NodeEni, mine: &[&Attachment], out: &mut Assignment) {
    for attachment in mine.iter().filter(|attachment| attachment.deleting.is_none()) {
        // Not forced, and not taken from under a Pod either, if that is asked for and there is something to take.
        let is_there = is_in_use(input, attachment);
        let users = if is_there { input.pods.users_of(attachment) } else { Some(Vec::new()) };
        let is_free = users.as_ref().is_some_and(Vec::is_empty);
        if !is_free {
            let (nodeeni_uid, node, name) =
                (attachment.nodeeni_uid.clone(), attachment.node.clone(), attachment.name.clone());
            out.waiting.push(WaitsForPods { nodeeni_uid, node, name, pods: users });
        }
        let Some(since) = attachment.deselected_since else {
            out.deselect.push(attachment.name.clone());
            continue;
        };
        let over = since.saturating_add(input.settings.label_grace).unwrap_or(Timestamp::MAX);
        if input.now < over {
            out.recheck_at(over);
        } else if is_free && (!is_there || may_lose(input, nodeeni, attachment, Cause::Deselected, out)) {
            remove(attachment, RemovalReason::Deselected, out);
        }
    }
}

/// It has nothing in its slot, and in there is an ENI of the NodeENI that has lost its ENIAttachment, as where this one was restored
/// from a backup: without its status, and under another UID. It goes, and another one adopts what is there.
fn gives_way(
    input: &Input<'_>,
    attachment: &Attachment,
    (node, nodeeni): (&ObservedNode, &NodeEni),
    nodeenis: &[&NodeEni],
    new: &NewAttachment,
) -> bool {
    recover::has_nothing(attachment, is_in_use(input, attachment))
        && nodeeni.guarded
        && recover::lost(input, (node, nodeeni), nodeenis, new).is_some()
}

/// Something may use its ENI. A status may be behind what EC2 shows.
pub(super) fn is_in_use(input: &Input<'_>, attachment: &Attachment) -> bool {
    attachment.is_in_use(|| (input.is_attached)(attachment))
}

/// Whether it is this node's turn to lose ENIs. If not, the ENI stays until it is.
pub(super) fn may_lose(
    input: &Input<'_>,
    nodeeni: &NodeEni,
    attachment: &Attachment,
    cause: Cause,
    out: &mut Assignment,
) -> bool {
    out.losing.entry(nodeeni.uid.clone()).or_default().insert(attachment.name.clone(), cause);
    input.removals.allows(&nodeeni.uid, &attachment.node)
}

/// Whether the slot is free on EC2, by a look at the instance that is fresh enough.
pub(super) fn free_on_ec2(
    input: &Input<'_>,
    node: &ObservedNode,
    nodeeni: &NodeEni,
    slot: Slot,
    out: &mut Assignment,
) -> Result<(), UnassignedReason> {
    let Ok(instance) = &node.instance else { return Err(UnassignedReason::NoZone) };
    let Some(interfaces) = input.instance else {
        out.needs.insert(Need::LookAtInstance(instance.clone()));
        return Err(UnassignedReason::Looking("the node's interfaces"));
    };
    let looking = UnassignedReason::Looking("the node's interfaces");
    let (valid, refusal) = match occupant(interfaces, slot) {
        None if age(interfaces, input) <= input.settings.instance_look_valid => return Ok(()),
        None => (None, looking),
        // Ours on its way out: soon gone. What nobody detaches is an orphan, which sweeps judge.
        Some(eni) if eni.is_of(input.cluster) => (
            Some(leaving_again(input, eni)),
            UnassignedReason::SlotHeld {
                slot,
                holder: eni.tags.get(TAG_NODEENI).unwrap_or_default().to_owned(),
                leaving: true,
            },
        ),
        Some(_) if is_before(interfaces, nodeeni, input) => (None, looking),
        // Somebody else's: nothing tells us when it goes, so it is looked at again, slowly.
        Some(eni) => (
            Some(input.settings.blocked_recheck),
            UnassignedReason::SlotTaken { slot, eni: eni.id.clone(), description: eni.description.clone() },
        ),
    };
    look_again(input, node, interfaces, valid, out);
    Err(refusal)
}

/// What no ENIAttachment has is an orphan: it goes when sweeps have shown it so.
fn leaving_again(input: &Input<'_>, eni: &ObservedEni) -> SignedDuration {
    if (input.is_held)(eni) { LEAVING_AGAIN } else { input.settings.instance_look_valid }
}

/// How soon an instance is looked at again where something of ours is on its way out.
const LEAVING_AGAIN: SignedDuration = SignedDuration::from_secs(3);

/// Asks for another look when this one is that old; None: now.
fn look_again(
    input: &Input<'_>,
    node: &ObservedNode,
    interfaces: &InstanceInterfaces,
    valid: Option<SignedDuration>,
    out: &mut Assignment,
) {
    if valid.is_none_or(|valid| age(interfaces, input) >= valid)
        && let Ok(instance) = &node.instance
    {
        out.needs.insert(Need::LookAtInstance(instance.clone()));
    }
    // A look that is needed now is answered by a change of the view: asking again before could only ask for it again.
    if let Some(valid) = valid {
        out.recheck_at(input.now.saturating_add(valid).unwrap_or(Timestamp::MAX));
    }
}

pub(super) fn age(interfaces: &InstanceInterfaces, input: &Input<'_>) -> SignedDuration {
    input.now.duration_since(interfaces.as_of)
}

/// Seen before anybody asked for this: who asks now may have freed it since. A look of just now is late enough, whatever the
/// API server's clock says.
fn is_before(interfaces: &InstanceInterfaces, nodeeni: &NodeEni, input: &Input<'_>) -> bool {
    interfaces.as_of < nodeeni.created && age(interfaces, input) > JUST_NOW
}

pub(super) fn occupant(interfaces: &InstanceInterfaces, slot: Slot) -> Option<&ObservedEni> {
    interfaces.enis.iter().find(|eni| eni.attachment.as_ref().is_some_and(|at| (at.card, at.index) == slot))
}
