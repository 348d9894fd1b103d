//! What a NodeENI holds on a Node and no longer describes: what of it is replaced, what goes, and what stays since nothing could come
//! in its place.

use super::slots::{age, free_on_ec2, in_the_nodes_vpc, is_in_use, may_lose, occupant};
use super::unattachable::{is_refused, unattachable};
use super::wanted::Unplaced;
use super::{Assignment, Input, JUST_NOW, Need, NewAttachment, Refusal, Refused, RemovalReason, limits, remove};
use crate::facts::{EniSeen, InstanceSight, NodeFacts};
use crate::held::Held;
use crate::intent::Intent;
use crate::removals::Cause;
use multi_eni_api::EniRequest;

/// What there is on the node: of every NodeENI, and of this one.
pub(super) struct Here<'a> {
    pub intents: &'a [&'a Intent],
    pub all: &'a [&'a Held],
    pub mine: &'a [&'a Held],
}

/// What this NodeENI holds here and no longer describes. `unplaced`: what it asks for and nothing can come to. `permit`: whether it may
/// be replaced now, and how many ENIs the node had in use when that was decided: where it had none, what is in use by now waits for its
/// turn.
pub(super) fn outdated(
    input: &Input<'_>,
    intent: &Intent,
    here: &Here<'_>,
    wanted: &[NewAttachment],
    unplaced: &[Unplaced],
    permit: Option<usize>,
    out: &mut Assignment,
) {
    let live = || here.mine.iter().copied().filter(|held| held.deleting.is_none());
    // What works in a subnet that is still listed stays where the place that is asked for there cannot be had.
    let is_kept = |held: &Held| {
        is_in_use(input, held) && unplaced.iter().any(|place| place.subnet.as_str() == held.request.subnet_id)
    };
    let is_described = |held: &Held| wanted.iter().any(|new| new.name == held.name);
    let undescribed: Vec<&Held> = live().filter(|held| !is_described(held) && !is_kept(held)).collect();
    let unfilled: Vec<&NewAttachment> = wanted.iter().filter(|new| !live().any(|held| held.name == new.name)).collect();
    // Those in whose place nothing comes wait for no rollout: they are not replaced, they go.
    let (moved, surplus) = undescribed.split_at(unfilled.len().min(undescribed.len()));
    let mut waits = false;
    for held in surplus {
        let is_paced = is_in_use(input, held) && input.node.is_some_and(|node| !node.deleting);
        if !is_paced || may_lose(input, intent, held, Cause::Edited, out) {
            remove(held, RemovalReason::Surplus, out);
        } else {
            waits = true;
        }
    }
    let is_outdated = |held: &Held| match wanted.iter().find(|new| new.name == held.name) {
        Some(new) => !same(&held.request, &new.spec.request),
        None => moved.iter().any(|other| other.name == held.name),
    };
    let stop = match input.node.filter(|_| live().any(|held| is_outdated(held) && is_in_use(input, held))) {
        Some(node) => {
            let moves = moved.iter().filter(|held| is_in_use(input, held)).count();
            let place = Place { input, node, intent, here, asks: permit.is_some() };
            place.takes_all(wanted, out).and_then(|()| place.is_open(moves, &unfilled, out)).err()
        }
        None => None,
    };
    for held in live().filter(|held| !surplus.iter().any(|other| other.name == held.name) && !is_kept(held)) {
        let described = wanted.iter().find(|new| new.name == held.name);
        let fits = described.is_some_and(|new| same(&held.request, &new.spec.request));
        let untouched =
            held.never_created() && described.is_some_and(|new| !is_asked_alike(&held.request, &new.spec.request));
        if untouched {
            // Nothing exists of it, so replacing it takes nothing from anybody.
            remove(held, RemovalReason::Replaced, out);
        } else if !fits {
            // A node whose turn to lose ENIs has not come is let be as a whole: once the first was replaced, the next one would pass
            // for what is to be replaced.
            if waits {
                continue;
            }
            let in_use = is_in_use(input, held);
            let stop = stop.as_ref().filter(|_| in_use);
            if let Some(why) = stop.filter(|why| is_lasting(why)) {
                // It takes no turn of another node's.
                keep_for_now(input, intent, why.clone(), out);
                continue;
            }
            out.outdated.entry(intent.uid.clone()).or_default().insert(held.name.clone());
            if permit.is_some_and(|had| had > 0 || !in_use) {
                match stop {
                    None => remove(held, RemovalReason::Replaced, out),
                    Some(why) => keep_for_now(input, intent, why.clone(), out),
                }
            }
        } else if unattachable(input, held) {
            // Kept a while in case the slot becomes free; made again only when it is seen free.
            remove(held, RemovalReason::Unattachable, out);
        } else if input.instance.is_none() && is_refused(input, held) {
            out.needs.extend(held.instance.clone().map(Need::LookAtInstance));
        } else if held.lost() {
            out.outdated.entry(intent.uid.clone()).or_default().insert(held.name.clone());
            if permit.is_some() {
                remove(held, RemovalReason::Recycled, out);
            }
        }
    }
}

/// A node on which something in use is to be replaced. `asks`: its turn has come, and what is not known is asked.
struct Place<'a> {
    input: &'a Input<'a>,
    node: &'a NodeFacts,
    intent: &'a Intent,
    here: &'a Here<'a>,
    asks: bool,
}

impl Place<'_> {
    /// What works is not given up for what never could: a network card that the type does not have, more addresses than it takes, a
    /// subnet of another VPC.
    fn takes_all(&self, wanted: &[NewAttachment], out: &mut Assignment) -> Result<(), Refused> {
        let Ok(ask) = &self.intent.ask else { return Ok(()) };
        let limits = match limits::of(self.input, self.node, out) {
            Ok(limits) => limits,
            Err(why) => return if self.asks { Err(why) } else { Ok(()) },
        };
        wanted.iter().try_for_each(|new| {
            if let Some((kind, limits)) = &limits {
                limits::fits(kind, limits, ask, new.spec.request.network_card_index)?;
            }
            self.input.instance.map_or(Ok(()), |sight| in_the_nodes_vpc(self.input, sight, new))
        })
    }

    /// Nor for what has no place: of the slots that are asked for instead, as many must be free as are given up.
    fn is_open(&self, moves: usize, unfilled: &[&NewAttachment], out: &mut Assignment) -> Result<(), Refused> {
        if moves == 0 {
            return Ok(());
        }
        let closed: Vec<Refused> = unfilled.iter().filter_map(|new| self.closed(new, out)).collect();
        if moves + closed.len() <= unfilled.len() {
            return Ok(());
        }
        // What is only not known yet keeps its turn: else it would lose it by asking.
        let (lasting, passing): (Vec<Refused>, Vec<Refused>) = closed.into_iter().partition(is_lasting);
        passing.into_iter().chain(lasting).next().map_or(Ok(()), Err)
    }

    /// Who is in the slot and stays there.
    fn closed(&self, new: &NewAttachment, out: &mut Assignment) -> Option<Refused> {
        let slot = (new.spec.request.network_card_index, new.spec.request.device_index);
        let Some(held) = self.here.all.iter().find(|held| held.slot() == slot) else {
            let foreign = |eni: &EniSeen| !eni.is_of(self.input.cluster);
            let is_taken = self.input.instance.and_then(|sight| occupant(sight, slot)).is_some_and(foreign);
            // Others take slots at any time, and what goes for one that was taken since is lost for nothing.
            let is_late = |sight: &InstanceSight| age(sight, self.input) <= JUST_NOW;
            if self.asks && !is_taken && !self.input.instance.is_some_and(is_late) {
                out.needs.extend(self.node.instance.clone().ok().map(Need::LookAtInstance));
                return Some(Refused::Looking("the node's interfaces"));
            }
            return (self.asks || is_taken)
                .then(|| free_on_ec2(self.input, self.node, self.intent, slot, out).err())?;
        };
        let is_replaced_too = held.nodeeni_uid == self.intent.uid;
        let stays = held.adopted.is_some() || self.asked_by(held);
        (!is_replaced_too && held.deleting.is_none() && stays).then(|| Refused::SlotHeld {
            slot,
            holder: held.nodeeni.clone(),
            leaving: false,
        })
    }

    /// Whether the NodeENI of what is held may ask for that slot still: one subnet more, one index more.
    fn asked_by(&self, held: &Held) -> bool {
        let asks = |intent: &&&Intent| intent.uid == held.nodeeni_uid && !intent.deleting;
        let ask = self.here.intents.iter().find(asks).and_then(|intent| intent.wants(&self.node.labels));
        let (card, index) = held.slot();
        ask.is_some_and(|ask| {
            let last = ask.index.saturating_add(i32::try_from(ask.subnets.len()).unwrap_or(i32::MAX));
            ask.card == card && (ask.index..last).contains(&index)
        })
    }
}

/// It stands until somebody changes something; nothing is asked that would tell otherwise.
fn is_lasting(why: &Refused) -> bool {
    !why.is_passing() && !matches!(why, Refused::LookFailed(_))
}

/// Says why an outdated ENI stays.
fn keep_for_now(input: &Input<'_>, intent: &Intent, why: Refused, out: &mut Assignment) {
    let Some(node) = input.node else { return };
    let refusal = Refusal { nodeeni_uid: intent.uid.clone(), node: node.name.clone(), why };
    if !out.refused.contains(&refusal) {
        out.refused.push(refusal);
    }
}

/// Whether two Create requests are the same. The CIDR is for people, and an older CRD does not keep it.
fn is_asked_alike(a: &EniRequest, b: &EniRequest) -> bool {
    EniRequest { subnet_cidr: None, ..a.clone() } == EniRequest { subnet_cidr: None, ..b.clone() }
}

/// Whether two requests mean the same ENI; the rest is changed in place.
pub(super) fn same(a: &EniRequest, b: &EniRequest) -> bool {
    a.subnet_id == b.subnet_id
        && a.device_index == b.device_index
        && a.network_card_index == b.network_card_index
        && a.ipv4_prefix_count == b.ipv4_prefix_count
        && a.ipv6_address_count == b.ipv6_address_count
        && a.private_ip_count == b.private_ip_count
}
