//! A Node that is there: which slots should hold what, and what of it may be done now.

use super::outdated::{Here, outdated, same};
use super::unattachable::unattachable;
use super::wanted::Unplaced;
use super::{
    Assignment, Input, JUST_NOW, Need, NewAttachment, Refusal, Refused, RemovalReason, WaitsForPods, adopt, limits,
    look, recover, remove, wanted,
};
use crate::facts::{EniSeen, InstanceSight, NodeFacts};
use crate::held::Held;
use crate::instance::InstanceLook;
use crate::intent::{Ask, Intent};
use crate::removals::Cause;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::SubnetId;
use multi_eni_api::names::TAG_NODEENI;
use std::collections::BTreeMap;

type Slot = (i32, i32);

/// Decides for a Node that exists.
pub(super) fn node_there(
    input: &Input<'_>,
    node: &NodeFacts,
    intents: &[&Intent],
    here: &[&Held],
    out: &mut Assignment,
) {
    // Who holds a slot keeps it until it is gone; age decides only among those that hold nothing there.
    let holders: BTreeMap<Slot, &Held> = here.iter().map(|held| (held.slot(), *held)).collect();
    let mut claimed: BTreeMap<Slot, String> = BTreeMap::new();
    if wanted::other_region(input, node).is_none() {
        adopt::take_over(input, node, intents, here, out);
    }

    for intent in intents {
        // What cannot be read holds its slot, and nothing else is known of it.
        let is_mine = |held: &&Held| held.nodeeni_uid == intent.uid && held.unreadable.is_none();
        let mine: Vec<&Held> = here.iter().copied().filter(is_mine).collect();
        let Some(ask) = intent.wants(&node.labels) else {
            // What another Node of the instance selects is not taken away, either.
            let elsewhere = input.others.iter().any(|other| intent.wants(&other.labels).is_some());
            if intent.ask.is_ok() && !intent.deleting && !node.deleting && !elsewhere {
                deselected(input, intent, &mine, out);
            }
            continue;
        };
        out.matched.push(intent.uid.clone());
        for held in &mine {
            if held.deselected_since.is_some() && held.deleting.is_none() {
                out.reselect.push(held.name.clone());
            }
            if held.node_settings != ask.node_settings && held.deleting.is_none() {
                out.reconfigure.push((held.name.clone(), ask.node_settings.clone()));
            }
        }
        let refuse = |out: &mut Assignment, why: Refused| {
            let refusal = Refusal { nodeeni_uid: intent.uid.clone(), node: node.name.clone(), why };
            if !out.refused.contains(&refusal) {
                out.refused.push(refusal);
            }
        };
        if out.adopting.contains(&intent.uid) {
            out.desired.push((intent.uid.clone(), mine.len().max(1)));
            refuse(out, Refused::Looking("the ENIs that upstream's controller left"));
            continue;
        }
        let wanted = match wanted::wanted(input, node, intent, ask, here, out) {
            Ok(wanted) => wanted,
            Err(why) => {
                if matches!(why, Refused::NoSubnetInZone { .. }) {
                    // That is known: what the node has is of a subnet that was taken off the list.
                    out.desired.push((intent.uid.clone(), 1));
                    outdated(input, intent, Here { intents, all: here, mine: &mine }, &[], &[], None, out);
                } else {
                    // Nothing is taken away for what cannot be known now, but what could never be attached: if EC2 has been
                    // looked at, for until then a status may be behind what was done.
                    out.desired.push((intent.uid.clone(), mine.len().max(1)));
                    let is_known = !why.is_passing() && !matches!(why, Refused::LookFailed(_));
                    let gone = |held: &&&Held| is_known && held.deleting.is_none() && unattachable(input, held);
                    mine.iter().filter(gone).for_each(|held| remove(held, RemovalReason::Unattachable, out));
                }
                refuse(out, why);
                continue;
            }
        };
        out.desired.push((intent.uid.clone(), wanted.len()));
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
        let turn = input.permits.get(&intent.uid).and_then(|nodes| nodes.get(&node.name));
        let permit = turn.filter(|turn| turn.may_lose).map(|turn| turn.had);
        let there = Here { intents, all: here, mine: &mine };
        let stays = outdated(input, intent, there, &wanted, &unplaced, permit, out);

        let mut present = mine.len();
        for new in wanted {
            let slot = (new.spec.request.network_card_index, new.spec.request.device_index);
            let why = match holders.get(&slot) {
                Some(held) if held.name == new.name && held.deleting.is_some() => Some(Refused::Replacing),
                Some(held)
                    if held.name == new.name
                        && out.outdated.contains_key(&intent.uid)
                        && !same(&held.request, &new.spec.request) =>
                {
                    Some(if permit.is_some() { Refused::Replacing } else { Refused::AwaitingRollout })
                }
                Some(held) if held.name == new.name => {
                    if !gives_way(input, held, (node, intent), intents, &new) {
                        // One that was restored from a backup has nothing, and may find its ENI in its slot: a new process looks there.
                        let may_be_restored = held.status.eni_id.is_none() && held.adopted.is_none();
                        let unseen = held.instance.clone().filter(|_| input.instance.is_none() && may_be_restored);
                        out.needs.extend(unseen.map(Need::LookAtInstance));
                        continue;
                    }
                    remove(held, RemovalReason::Replaced, out);
                    Some(Refused::Replacing)
                }
                Some(held) => {
                    let leaving = held.deleting.is_some()
                        || held.deselected_since.is_some()
                        || out.delete.iter().any(|removal| removal.name == held.name);
                    Some(Refused::SlotHeld { slot, holder: held.nodeeni.clone(), leaving })
                }
                None => {
                    // What is lost is there already: nothing need go for it.
                    let is_full =
                        present >= desired_of(out, intent) && !recover::is_shown(input, intent, intents, slot);
                    if is_full && stays {
                        // What would have to go for it stays, and that is said.
                        continue;
                    }
                    let lost = recover::holder(input, node, intents, slot).filter(|holder| holder.uid != intent.uid);
                    if let (true, Some(sight)) = (lost.is_some(), input.instance) {
                        // It is adopted, or goes as an orphan: of that nothing tells this node. What the last look told is no news
                        // each time that it is renewed.
                        look_again(input, node, sight, Some(input.settings.blocked_recheck), out);
                    }
                    lost.map(|holder| &holder.name)
                        .or_else(|| claimed.get(&slot))
                        .map(|holder| Refused::SlotHeld { slot, holder: holder.clone(), leaving: false })
                        .or_else(|| is_full.then_some(Refused::Replacing))
                }
            };
            if let Some(why) = why {
                refuse(out, why);
                continue;
            }
            claimed.insert(slot, intent.name.clone());
            if node.deleting {
                refuse(out, Refused::NodeDeleting);
                continue;
            }
            if intent.guarded
                && let Some(adopts) = recover::lost(input, (node, intent), intents, &new)
            {
                present += 1;
                out.create.push(adopts);
                continue;
            }
            match may_create(input, node, intent, ask, &new, here, out) {
                Err(why) => refuse(out, why),
                Ok(()) if !intent.guarded => refuse(out, Refused::Looking("its own finalizer, which is being written")),
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
fn serves_nobody(input: &Input<'_>, node: &NodeFacts, here: &[&Held], out: &mut Assignment) {
    let Ok(instance) = &node.instance else { return };
    let Some(look) = (input.states)(instance).filter(InstanceLook::is_said_to_be_gone) else { return };
    let over = look.since.saturating_add(look::NODE_OUTLIVES).unwrap_or(Timestamp::MAX);
    let left: Vec<&Held> =
        here.iter().copied().filter(|held| held.deleting.is_none() && held.unreadable.is_none()).collect();
    if left.is_empty() {
        return;
    }
    if input.now < over {
        return out.recheck_at(over);
    }
    for held in left {
        if !out.delete.iter().any(|removal| removal.name == held.name) {
            remove(held, RemovalReason::NodeGone, out);
        }
    }
}

/// Whether an ENI for this slot can work: its type takes it, the slot is free, and there is room.
fn may_create(
    input: &Input<'_>,
    node: &NodeFacts,
    intent: &Intent,
    ask: &Ask,
    new: &NewAttachment,
    here: &[&Held],
    out: &mut Assignment,
) -> Result<(), Refused> {
    let slot = (new.spec.request.network_card_index, new.spec.request.device_index);
    look::lives(input, node.instance.as_ref().map_err(Refused::from)?, out)?;
    let limits = limits::of(input, node, out)?;
    if let Some((kind, limits)) = &limits {
        limits::fits(kind, limits, ask, slot.0)?;
    }
    if let (Some(sight), Some(refused)) = (input.instance, input.refused_attach.get(&new.name))
        && let Some(words) = refused.stands(&new.spec.request, node, sight, input.now)
    {
        look_again(input, node, sight, Some(input.settings.blocked_recheck), out);
        return Err(Refused::AttachRefused(words.to_owned()));
    }
    // What even an old look tells is not news each time that it has to be renewed.
    if let Some(sight) = input.instance.filter(|sight| occupant(sight, slot).is_none()) {
        in_the_nodes_vpc(input, sight, new)?;
        if let Some((kind, limits)) = &limits
            && let Err(full) = limits::has_room(kind, limits, slot.0, sight, here, out)
        {
            return Err(full_by(input, node, intent, sight, full, here, out));
        }
    }
    free_on_ec2(input, node, intent, slot, out)
}

/// EC2 would create an ENI in another VPC, and never attach it. An instance keeps its VPC.
pub(super) fn in_the_nodes_vpc(input: &Input<'_>, sight: &InstanceSight, new: &NewAttachment) -> Result<(), Refused> {
    let subnet = SubnetId::parse(&new.spec.request.subnet_id).ok().and_then(|id| input.network.subnets.get(&id));
    match (subnet, &sight.vpc) {
        (Some(subnet), Some(vpc)) if subnet.vpc != *vpc => {
            let subnet = (subnet.id.clone(), subnet.vpc.clone());
            Err(Refused::SubnetInOtherVpc { subnet, vpc: vpc.to_string() })
        }
        _ => Ok(()),
    }
}

/// The instance is full by that look, which may be an old one: nothing tells when another's interface goes, so it is looked at
/// again, slowly.
fn full_by(
    input: &Input<'_>,
    node: &NodeFacts,
    intent: &Intent,
    sight: &InstanceSight,
    full: Refused,
    here: &[&Held],
    out: &mut Assignment,
) -> Refused {
    let is_held = |eni: &EniSeen| {
        eni.attachment.as_ref().is_some_and(|at| here.iter().any(|held| held.slot() == (at.card, at.index)))
    };
    let looking = Refused::Looking("the node's interfaces");
    let (valid, refusal) = if sight.enis.iter().any(|eni| eni.is_of(input.cluster) && !is_held(eni)) {
        // One of ours that nobody holds any more: soon gone, or gone already.
        (Some(LEAVING_AGAIN), looking)
    } else if is_before(sight, intent, input) {
        (None, looking)
    } else {
        (Some(input.settings.blocked_recheck), full)
    };
    look_again(input, node, sight, valid, out);
    refusal
}

/// How many ENIs this NodeENI wants on this Node.
fn desired_of(out: &Assignment, intent: &Intent) -> usize {
    out.desired.iter().rev().find(|(uid, _)| *uid == intent.uid).map_or(0, |(_, n)| *n)
}

/// The label went: marked first, removed after the grace, so that a flap costs no EC2 call.
fn deselected(input: &Input<'_>, intent: &Intent, mine: &[&Held], out: &mut Assignment) {
    for held in mine.iter().filter(|held| held.deleting.is_none()) {
        // Not forced, and not taken from under a Pod either, if that is asked for and there is something to take.
        let is_there = is_in_use(input, held);
        let users = if is_there { input.pods.users_of(held) } else { Some(Vec::new()) };
        let is_free = users.as_ref().is_some_and(Vec::is_empty);
        if !is_free {
            let (nodeeni_uid, node, name) = (held.nodeeni_uid.clone(), held.node.clone(), held.name.clone());
            out.waiting.push(WaitsForPods { nodeeni_uid, node, name, pods: users });
        }
        let Some(since) = held.deselected_since else {
            out.deselect.push(held.name.clone());
            continue;
        };
        let over = since.saturating_add(input.settings.label_grace).unwrap_or(Timestamp::MAX);
        if input.now < over {
            out.recheck_at(over);
        } else if is_free && (!is_there || may_lose(input, intent, held, Cause::Deselected, out)) {
            remove(held, RemovalReason::Deselected, out);
        }
    }
}

/// It has nothing in its slot, and in there is an ENI of the NodeENI that has lost its ENIAttachment, as where this one was restored
/// from a backup: without its status, and under another UID. It goes, and another one adopts what is there.
fn gives_way(
    input: &Input<'_>,
    held: &Held,
    (node, intent): (&NodeFacts, &Intent),
    intents: &[&Intent],
    new: &NewAttachment,
) -> bool {
    recover::has_nothing(held, is_in_use(input, held))
        && intent.guarded
        && recover::lost(input, (node, intent), intents, new).is_some()
}

/// Something may use its ENI. A status may be behind what EC2 shows.
pub(super) fn is_in_use(input: &Input<'_>, held: &Held) -> bool {
    held.is_in_use(|| (input.is_attached)(held))
}

/// Whether it is this node's turn to lose ENIs. If not, the ENI stays until it is.
pub(super) fn may_lose(input: &Input<'_>, intent: &Intent, held: &Held, cause: Cause, out: &mut Assignment) -> bool {
    out.losing.entry(intent.uid.clone()).or_default().insert(held.name.clone(), cause);
    input.removals.allows(&intent.uid, &held.node)
}

/// Whether the slot is free on EC2, by a look at the instance that is fresh enough.
pub(super) fn free_on_ec2(
    input: &Input<'_>,
    node: &NodeFacts,
    intent: &Intent,
    slot: Slot,
    out: &mut Assignment,
) -> Result<(), Refused> {
    let Ok(instance) = &node.instance else { return Err(Refused::NoZone) };
    let Some(sight) = input.instance else {
        out.needs.insert(Need::LookAtInstance(instance.clone()));
        return Err(Refused::Looking("the node's interfaces"));
    };
    let looking = Refused::Looking("the node's interfaces");
    let (valid, refusal) = match occupant(sight, slot) {
        None if age(sight, input) <= input.settings.instance_look_valid => return Ok(()),
        None => (None, looking),
        // Ours on its way out: soon gone. What nobody detaches is an orphan, which sweeps judge.
        Some(eni) if eni.is_of(input.cluster) => (
            Some(leaving_again(input, eni)),
            Refused::SlotHeld { slot, holder: eni.tags.get(TAG_NODEENI).unwrap_or_default().to_owned(), leaving: true },
        ),
        Some(_) if is_before(sight, intent, input) => (None, looking),
        // Somebody else's: nothing tells us when it goes, so it is looked at again, slowly.
        Some(eni) => (
            Some(input.settings.blocked_recheck),
            Refused::SlotTaken { slot, eni: eni.id.clone(), description: eni.description.clone() },
        ),
    };
    look_again(input, node, sight, valid, out);
    Err(refusal)
}

/// What no ENIAttachment has is an orphan: it goes when sweeps have shown it so.
fn leaving_again(input: &Input<'_>, eni: &EniSeen) -> SignedDuration {
    if (input.is_held)(eni) { LEAVING_AGAIN } else { input.settings.instance_look_valid }
}

/// How soon an instance is looked at again where something of ours is on its way out.
const LEAVING_AGAIN: SignedDuration = SignedDuration::from_secs(3);

/// Asks for another look when this one is that old; None: now.
fn look_again(
    input: &Input<'_>,
    node: &NodeFacts,
    sight: &InstanceSight,
    valid: Option<SignedDuration>,
    out: &mut Assignment,
) {
    if valid.is_none_or(|valid| age(sight, input) >= valid)
        && let Ok(instance) = &node.instance
    {
        out.needs.insert(Need::LookAtInstance(instance.clone()));
    }
    // A look that is needed now is answered by a change of the view: asking again before could only ask for it again.
    if let Some(valid) = valid {
        out.recheck_at(input.now.saturating_add(valid).unwrap_or(Timestamp::MAX));
    }
}

pub(super) fn age(sight: &InstanceSight, input: &Input<'_>) -> SignedDuration {
    input.now.duration_since(sight.as_of)
}

/// Seen before anybody asked for this: who asks now may have freed it since. A look of just now is late enough, whatever the
/// API server's clock says.
fn is_before(sight: &InstanceSight, intent: &Intent, input: &Input<'_>) -> bool {
    sight.as_of < intent.created && age(sight, input) > JUST_NOW
}

pub(super) fn occupant(sight: &InstanceSight, slot: Slot) -> Option<&EniSeen> {
    sight.enis.iter().find(|eni| eni.attachment.as_ref().is_some_and(|at| (at.card, at.index) == slot))
}
