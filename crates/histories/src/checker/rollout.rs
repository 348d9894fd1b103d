//! `max-unavailable`: a rollout takes ready ENIs away from at most `maxUnavailable` nodes of one NodeENI at a time.
//!
//! A node is away from when a replica begins to delete a ready ENI of it that another is to follow, until as many are in place
//! there as there were before: for what never was there (its subnet is full, its slot another's) nobody waits.
//! Nodes that are away for other reasons are not counted, nor those that somebody else disturbs meanwhile.

use super::allowed::PICTURE;
use super::invariant::Promise;
use super::model::{AttachmentTruth, EniTruth, Model, NodeEniTruth, NodeTruth};
use super::state::State;
use crate::expected::{Place, asked};
use crate::script::{Event, Millis, Operation, Script, SubnetPlace};
use multi_eni_api::ENIAttachment;
use multi_eni_api::conditions::{is_true, types};
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::observed::AttachmentState;
use multi_eni_sim::kube::ObjectChange;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// For so long after the API server could not be relied on nothing is judged that statuses do not say.
const UNSAID: Millis = 60_000;

/// Nodes that rollouts have taken away, and what NodeENIs allowed.
#[derive(Debug, Default)]
pub struct Rollouts {
    /// When the API server cannot be relied on, by the script.
    troubled: Vec<Range<Millis>>,
    /// By UID of the NodeENI, and Node.
    away: BTreeMap<(String, String), Away>,
    /// By UID of the NodeENI: since when its `maxUnavailable` is so.
    allowed: BTreeMap<String, Vec<(Millis, usize)>>,
}

#[derive(Debug)]
struct Away {
    since: Millis,
    by: String,
    /// How many ENIs of the NodeENI were in place there.
    had: usize,
}

/// A NodeENI has changed: what it allows from now on.
pub fn nodeeni(state: &mut State, at: Millis, change: &ObjectChange<'_>) {
    let Some(object) = change.after else { return };
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let most = object.pointer("/spec/rollout/maxUnavailable").and_then(Value::as_u64).unwrap_or(1);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let allowed = state.rollouts.allowed.entry(text("/metadata/uid").to_owned()).or_default();
    if allowed.last().is_none_or(|(_, last)| *last != most) {
        allowed.push((at, most));
    }
}

/// An ENIAttachment has changed; the model does not know it yet.
pub fn attachment(state: &mut State, at: Millis, change: &ObjectChange<'_>) {
    let deleting = |object: Option<&Value>| object.is_none_or(|o| o.pointer("/metadata/deletionTimestamp").is_some());
    if change.before.is_none() || deleting(change.before) || !deleting(change.after) {
        return;
    }
    let object = change.before.and_then(|object| ENIAttachment::deserialize(object).ok());
    let Some(attachment) = object.as_ref().map(Attachment::read) else { return };
    settle(state);
    let is_said = is_true(&attachment.status.conditions, types::READY) && state.model.in_place(&attachment).is_some();
    let is_troubled = || state.rollouts.troubled.iter().any(|span| span.contains(&at));
    if !is_said && (!is_being_taken_over(&state.model, &attachment) || is_troubled()) {
        return;
    }
    let Some(others_wait) = is_replaced(&state.model, &state.subnets, &attachment) else { return };
    let key = (attachment.nodeeni_uid.clone(), attachment.node.clone());
    if others_wait || state.rollouts.away.contains_key(&key) {
        return;
    }
    let (uid, model) = (&attachment.nodeeni_uid, &state.model);
    let unheard = if is_troubled() { PICTURE } else { 0 };
    if model.nodeenis_changed.get(uid).is_some_and(|known| at < known + unheard) {
        // What its names stand for, or an edit, may not have been heard of: to another picture nothing follows, and it is no rollout.
        return;
    }
    let sent =
        state.repeats.sent(change.actor, &format!("delete eniattachments.networking.k8s.aws {}", attachment.name));
    if model.nodeenis_changed.get(uid).is_some_and(|known| sent.is_some_and(|sent| sent <= *known)) {
        // It was asked for before that edit.
        return;
    }
    if state.repeats.is_old_deletion(change.actor, &attachment.name, at) {
        // It was asked for when the ENI may not have been ready yet.
        return;
    }
    let disturbed = |node: &String| {
        let instance = model.nodes.get(node).map(|node| node.instance.as_str()).unwrap_or_default();
        let changed = model.nodes_changed.get(node).copied().unwrap_or(0);
        changed.max(model.instances_changed.get(instance).copied().unwrap_or(0))
    };
    let counts = |((of, node), away): &(&(String, String), &Away)| {
        // Another process may not have heard of it yet.
        let known = away.by == change.actor || at > away.since + PICTURE;
        of == uid && known && disturbed(node) < away.since
    };
    let others: Vec<&str> = state.rollouts.away.iter().filter(counts).map(|((_, node), _)| node.as_str()).collect();
    let most = state.rollouts.most(uid, at);
    if others.len() >= most {
        let how = format!(
            "{} deletes {} for another one, while {} of {} wait for theirs: {most} at a time are allowed",
            change.actor,
            attachment.name,
            others.join(", "),
            attachment.nodeeni
        );
        return state.broke(at, Promise::MaxUnavailable, how);
    }
    let on = attachment.instance.as_ref().map_or("", |on| on.as_str());
    let had = there(model, uid, on, "").count();
    let away = Away { since: at, by: change.actor.to_owned(), had };
    state.rollouts.away.insert(key, away);
}

/// Forgets the nodes that are back, or of which nothing is asked any more.
pub fn settle(state: &mut State) {
    let (model, subnets, cards) = (&state.model, &state.subnets, &state.cards);
    state.rollouts.away.retain(|(uid, node), away| {
        let nodeeni = model.nodeenis.values().find(|nodeeni| nodeeni.uid == *uid);
        nodeeni.zip(model.nodes.get(node)).is_some_and(|(nodeeni, node)| {
            let asked = asked_of(model, subnets, nodeeni, node);
            let is_possible = |place: &&Place| {
                !is_anothers(model, uid, &node.instance, place) && !has_no_room(model, cards, &node.instance, place)
            };
            let possible = asked.iter().filter(is_possible).count();
            there(model, uid, &node.instance, "").count() < possible.min(away.had)
        })
    });
}

impl Rollouts {
    /// Nobody is away yet.
    pub fn of(script: &Script) -> Self {
        let span = |event: &Event| match event.act {
            Operation::RestartApi { lasts }
            | Operation::Forbid { lasts, .. }
            | Operation::Partition { lasts, .. }
            | Operation::StaleWatch { lasts, .. }
            | Operation::Pause { lasts, .. } => Some(event.at..event.at + lasts + UNSAID),
            _ => None,
        };
        Self { troubled: script.events.iter().filter_map(span).collect(), ..Self::default() }
    }

    /// Whether any node is away.
    pub fn is_empty(&self) -> bool {
        self.away.is_empty()
    }

    /// The most that a NodeENI has allowed of late: an edit may not have been heard of.
    fn most(&self, uid: &str, at: Millis) -> usize {
        let spans = self.allowed.get(uid).map(Vec::as_slice).unwrap_or_default();
        let ended = |n: usize| spans.get(n + 1).map(|(since, _)| *since);
        let late = |(n, _): &(usize, &(Millis, usize))| ended(*n).is_none_or(|ended| at <= ended + PICTURE);
        spans.iter().enumerate().filter(late).map(|(_, (_, most))| *most).max().unwrap_or(1).max(1)
    }
}

/// None if nothing follows what goes; else whether its Node lacks something already.
fn is_replaced(model: &Model, subnets: &[SubnetPlace], attachment: &Attachment) -> Option<bool> {
    let nodeeni = model.nodeenis.values().find(|nodeeni| nodeeni.uid == attachment.nodeeni_uid)?;
    let instance = attachment.instance.as_ref().map(ToString::to_string).unwrap_or_default();
    let node = model.nodes.get(&attachment.node).filter(|node| node.instance == instance)?;
    let (there, asked) = served(model, subnets, nodeeni, node, &attachment.uid);
    if there == asked || is_at_odds(&asked_of(model, subnets, nodeeni, node)) {
        return None;
    }
    let here = |other: &&AttachmentTruth| {
        let other = &other.attachment;
        other.nodeeni_uid == attachment.nodeeni_uid
            && other.instance == attachment.instance
            && other.uid != attachment.uid
    };
    let others: Vec<&AttachmentTruth> = model.attachments.values().filter(here).collect();
    // Where more are there than are asked for, nothing comes in the place of the first that go.
    if others.iter().filter(|other| other.attachment.deleting.is_none()).count() >= asked {
        return None;
    }
    // One that goes by itself takes nothing more from this one; one that somebody deleted, or that is not there, does.
    let is_missing = |other: &&AttachmentTruth| match other.deleting_since {
        Some(since) => other.disturbed >= since,
        None => model.in_place(&other.attachment).is_none(),
    };
    Some(others.iter().any(is_missing))
}

/// How many of the places that a NodeENI asks for on a Node are served, and how many there are. `except`: the UID of an
/// ENIAttachment that does not count.
fn served(
    model: &Model,
    subnets: &[SubnetPlace],
    nodeeni: &NodeEniTruth,
    node: &NodeTruth,
    except: &str,
) -> (usize, usize) {
    let places = asked_of(model, subnets, nodeeni, node);
    let there: Vec<&Attachment> = there(model, &nodeeni.uid, &node.instance, except).collect();
    let is_served = |place: &&Place| {
        there.iter().any(|attachment| {
            attachment.slot() == (place.card, place.index) && attachment.request.subnet_id == place.subnet
        })
    };
    (places.iter().filter(is_served).count(), places.len())
}

fn asked_of(model: &Model, subnets: &[SubnetPlace], nodeeni: &NodeEniTruth, node: &NodeTruth) -> Vec<Place> {
    asked(model, nodeeni, node, subnets).places()
}

/// Another NodeENI has that slot.
fn is_anothers(model: &Model, nodeeni: &str, instance: &str, place: &Place) -> bool {
    model.attachments.values().map(|attachment| &attachment.attachment).any(|attachment| {
        attachment.nodeeni_uid != nodeeni
            && attachment.slot() == (place.card, place.index)
            && attachment.instance.as_ref().is_some_and(|on| on.as_str() == instance)
    })
}

/// Somebody else's ENI is in that slot, or as many are on the network card as it takes: what left it found no way back.
fn has_no_room(model: &Model, cards: &[u32], instance: &str, place: &Place) -> bool {
    let on_it = model.enis.values().filter(|eni| {
        let at = eni.seen.attachment.as_ref();
        at.is_some_and(|at| at.instance.as_ref().is_some_and(|on| on.as_str() == instance) && at.card == place.card)
    });
    let on_it: Vec<_> = on_it.collect();
    let index = |eni: &EniTruth| eni.seen.attachment.as_ref().map(|at| at.index);
    match on_it.iter().find(|eni| index(eni) == Some(place.index)) {
        Some(eni) => eni.made_for.is_none(),
        None => {
            let most = usize::try_from(place.card).ok().and_then(|card| cards.get(card));
            most.is_none_or(|most| on_it.len() >= usize::try_from(*most).unwrap_or(usize::MAX))
        }
    }
}

/// What was taken over keeps the slot of another place: nothing comes there, and what was there is not replaced but goes.
fn is_at_odds(places: &[Place]) -> bool {
    let slots: BTreeSet<(i32, i32)> = places.iter().map(|place| (place.card, place.index)).collect();
    slots.len() < places.len()
}

/// What is in place of a NodeENI on an instance, and is to stay. `except`: the UID of an ENIAttachment that does not count.
fn there<'a>(model: &'a Model, nodeeni: &str, instance: &str, except: &str) -> impl Iterator<Item = &'a Attachment> {
    model.attachments.values().map(|attachment| &attachment.attachment).filter(move |attachment| {
        attachment.nodeeni_uid == nodeeni
            && attachment.uid != except
            && attachment.instance.as_ref().is_some_and(|on| on.as_str() == instance)
            && attachment.deleting.is_none()
            && (model.in_place(attachment).is_some() || is_being_taken_over(model, attachment))
    })
}

/// An ENI that is attached where it is to be taken over carries traffic before anything says that it is ready.
fn is_being_taken_over(model: &Model, attachment: &Attachment) -> bool {
    let eni = attachment.adopted.as_ref().and_then(|eni| model.enis.get(eni.as_str()));
    eni.and_then(|eni| eni.seen.attachment.as_ref()).is_some_and(|at| {
        at.instance == attachment.instance
            && (at.card, at.index) == attachment.slot()
            && at.state == AttachmentState::Attached
    })
}
