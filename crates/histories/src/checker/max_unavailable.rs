//! `max-unavailable`: a rollout takes ready ENIs away from at most `maxUnavailable` nodes of one NodeENI at a time.
//!
//! A node is unavailable from when a replica begins to delete a ready ENI that another ENI is to replace. It is available again
//! when as many ENIs are in place as before. Places that never had an ENI do not count: their subnet may be full, or their slot
//! taken. Nodes that are unavailable for another reason, and nodes that someone else disturbs meanwhile, are not counted.

use super::invariant::Invariant;
use super::max_staleness::MAX_STALENESS;
use super::model::{Model, ModelAttachment, ModelEni, ModelNode, ModelNodeEni};
use super::state::State;
use super::unavailable_nodes::UnavailableNode;
use crate::expected::{Place, desired_places};
use crate::network_cards::is_beyond_its_card;
use crate::node_selection::selects;
use crate::script::{Millis, SubnetPlace};
use multi_eni_api::conditions::{is_true, types};
use multi_eni_api::{ENIAttachment, NodeEniSpec};
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::observed::AttachmentState;
use multi_eni_sim::kube::ObjectChange;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A NodeENI has changed. Records what it allows from now on.
pub fn nodeeni(state: &mut State, at: Millis, change: &ObjectChange<'_>) {
    let Some(object) = change.after else { return };
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (uid, most) =
        (text("/metadata/uid"), object.pointer("/spec/rollout/maxUnavailable").cloned().unwrap_or_default());
    let allowed = state.rollouts.allowed.entry(uid.to_owned()).or_default();
    if allowed.last().is_none_or(|(_, last)| *last != most) {
        allowed.push((at, most));
    }
    let Some(spec) = object.get("spec").and_then(|spec| NodeEniSpec::deserialize(spec).ok()) else { return };
    for (name, node) in &state.model.nodes {
        state.rollouts.matches(uid, name, at, selects(&spec, &node.labels));
    }
}

/// A Node has changed. Records which NodeENIs match it from now on.
pub fn node(state: &mut State, at: Millis, change: &ObjectChange<'_>) {
    let labels = change.after.and_then(|object| object.pointer("/metadata/labels"));
    let labels: BTreeMap<String, String> =
        labels.and_then(|labels| BTreeMap::deserialize(labels).ok()).unwrap_or_default();
    for nodeeni in state.model.nodeenis.values() {
        let Some(spec) = &nodeeni.spec else { continue };
        let is_matched = change.after.is_some() && selects(spec, &labels);
        state.rollouts.matches(&nodeeni.uid, change.name, at, is_matched);
    }
}

/// An ENIAttachment has changed. The model does not have the change yet.
pub fn attachment(state: &mut State, at: Millis, change: &ObjectChange<'_>) {
    let deleting = |object: Option<&Value>| object.is_none_or(|o| o.pointer("/metadata/deletionTimestamp").is_some());
    if change.before.is_none() || deleting(change.before) || !deleting(change.after) {
        return;
    }
    let object = change.before.and_then(|object| ENIAttachment::deserialize(object).ok());
    let Some(attachment) = object.as_ref().map(Attachment::read) else { return };
    settle(state);
    let is_said = is_true(&attachment.status.conditions, types::READY) && state.model.in_place(&attachment).is_some();
    let was_unreliable = || state.rollouts.unreliable.iter().any(|span| span.contains(&at));
    if !is_said && (!is_being_taken_over(&state.model, &attachment) || was_unreliable()) {
        return;
    }
    let Some(others_wait) = is_replaced(&state.model, &state.subnets, &attachment) else { return };
    let key = (attachment.nodeeni_uid.clone(), attachment.node.clone());
    if others_wait || state.rollouts.away.contains_key(&key) {
        return;
    }
    let (uid, model) = (&attachment.nodeeni_uid, &state.model);
    let unheard = if was_unreliable() { MAX_STALENESS } else { 0 };
    if model.nodeenis_changed.get(uid).is_some_and(|known| at < known + unheard) {
        // A replica may not know of an edit, or of what a name stands for now. By the older state no ENI follows, so this is no
        // rollout.
        return;
    }
    let sent =
        state.repeats.sent(change.actor, &format!("delete eniattachments.networking.k8s.aws {}", attachment.name));
    if model.nodeenis_changed.get(uid).is_some_and(|known| sent.is_some_and(|sent| sent <= *known)) {
        // The replica decided the deletion before that edit.
        return;
    }
    if state.repeats.is_old_deletion(change.actor, &attachment.name, at) {
        // The replica decided the deletion when the ENI may not have been ready yet.
        return;
    }
    let disturbed = |node: &String| {
        let instance = model.nodes.get(node).map(|node| node.instance.as_str()).unwrap_or_default();
        let changed = model.nodes_changed.get(node).copied().unwrap_or(0);
        changed.max(model.instances_changed.get(instance).copied().unwrap_or(0))
    };
    let counts = |((of, node), away): &(&(String, String), &UnavailableNode)| {
        // Another process may not know of its deletion yet.
        let known = away.by == change.actor || at > away.since + MAX_STALENESS;
        of == uid && known && disturbed(node) < away.since
    };
    let others: Vec<&str> = state.rollouts.away.iter().filter(counts).map(|((_, node), _)| node.as_str()).collect();
    let most = state.rollouts.most(uid, at);
    if others.len() >= most {
        let how = format!(
            "{} deletes {} to replace its ENI, while {} of {} wait for replacements: at most {most} at a time are allowed",
            change.actor,
            attachment.name,
            others.join(", "),
            attachment.nodeeni
        );
        return state.broke(at, Invariant::MaxUnavailable, how);
    }
    let on = attachment.instance.as_ref().map_or("", |on| on.as_str());
    let had = there(model, uid, on, "").count();
    let away = UnavailableNode { since: at, by: change.actor.to_owned(), had };
    state.rollouts.away.insert(key, away);
}

/// Removes the nodes that are available again, and the nodes for which the NodeENI asks for nothing any more.
pub fn settle(state: &mut State) {
    let (model, subnets, cards) = (&state.model, &state.subnets, &state.cards);
    state.rollouts.away.retain(|(uid, node), away| {
        let nodeeni = model.nodeenis.values().find(|nodeeni| nodeeni.uid == *uid);
        nodeeni.zip(model.nodes.get(node)).is_some_and(|(nodeeni, node)| {
            let desired = places_on(model, subnets, nodeeni, node);
            let is_possible = |place: &&Place| {
                !place.is_in_other_vpc
                    && !is_anothers(model, uid, &node.instance, place)
                    && !has_no_room(model, cards, &node.instance, place)
            };
            let possible = desired.iter().filter(is_possible).count();
            there(model, uid, &node.instance, "").count() < possible.min(away.had)
        })
    });
}

/// None if no ENI replaces this one; else whether the node already lacks another ENI of the NodeENI.
fn is_replaced(model: &Model, subnets: &[SubnetPlace], attachment: &Attachment) -> Option<bool> {
    let nodeeni = model.nodeenis.values().find(|nodeeni| nodeeni.uid == attachment.nodeeni_uid)?;
    let instance = attachment.instance.as_ref().map(ToString::to_string).unwrap_or_default();
    let node = model.nodes.get(&attachment.node).filter(|node| node.instance == instance)?;
    let (there, desired) = served(model, subnets, nodeeni, node, &attachment.uid);
    if there == desired || is_at_odds(&places_on(model, subnets, nodeeni, node)) {
        return None;
    }
    let here = |other: &&ModelAttachment| {
        let other = &other.attachment;
        other.nodeeni_uid == attachment.nodeeni_uid
            && other.instance == attachment.instance
            && other.uid != attachment.uid
    };
    let others: Vec<&ModelAttachment> = model.attachments.values().filter(here).collect();
    // If the node has more ENIs than the NodeENI asks for, the first ones to go are not replaced.
    if others.iter().filter(|other| other.attachment.deleting.is_none()).count() >= desired {
        return None;
    }
    // An ENI that a replica deletes is not missing. An ENI that someone else deleted, or that is not in place, is.
    let is_missing = |other: &&ModelAttachment| match other.deleting_since {
        Some(since) => other.disturbed >= since,
        None => model.in_place(&other.attachment).is_none(),
    };
    Some(others.iter().any(is_missing))
}

/// How many of a NodeENI's places on a node have an ENI, and how many places there are. `except`: the UID of an ENIAttachment
/// that does not count.
fn served(
    model: &Model,
    subnets: &[SubnetPlace],
    nodeeni: &ModelNodeEni,
    node: &ModelNode,
    except: &str,
) -> (usize, usize) {
    let places = places_on(model, subnets, nodeeni, node);
    let there: Vec<&Attachment> = there(model, &nodeeni.uid, &node.instance, except).collect();
    let is_served = |place: &&Place| {
        there.iter().any(|attachment| {
            attachment.slot() == (place.card, place.index) && attachment.request.subnet_id == place.subnet
        })
    };
    (places.iter().filter(is_served).count(), places.len())
}

fn places_on(model: &Model, subnets: &[SubnetPlace], nodeeni: &ModelNodeEni, node: &ModelNode) -> Vec<Place> {
    desired_places(model, nodeeni, node, subnets).places()
}

/// Whether another NodeENI has the slot of a place.
fn is_anothers(model: &Model, nodeeni: &str, instance: &str, place: &Place) -> bool {
    model.attachments.values().map(|attachment| &attachment.attachment).any(|attachment| {
        attachment.nodeeni_uid != nodeeni
            && attachment.slot() == (place.card, place.index)
            && attachment.instance.as_ref().is_some_and(|on| on.as_str() == instance)
    })
}

/// Whether someone else's ENI is in the slot of a place, or its network card is full or has no such device index. An ENI that left
/// the place cannot return then.
fn has_no_room(model: &Model, cards: &[u32], instance: &str, place: &Place) -> bool {
    if is_beyond_its_card(cards, place.card, place.index) {
        return true;
    }
    let on_it = model.enis.values().filter(|eni| {
        let at = eni.current.attachment.as_ref();
        at.is_some_and(|at| at.instance.as_ref().is_some_and(|on| on.as_str() == instance) && at.card == place.card)
    });
    let on_it: Vec<_> = on_it.collect();
    let index = |eni: &ModelEni| eni.current.attachment.as_ref().map(|at| at.index);
    match on_it.iter().find(|eni| index(eni) == Some(place.index)) {
        Some(eni) => eni.made_for.is_none(),
        None => {
            let most = usize::try_from(place.card).ok().and_then(|card| cards.get(card));
            most.is_none_or(|most| on_it.len() >= usize::try_from(*most).unwrap_or(usize::MAX))
        }
    }
}

/// Whether two places have the same slot, because an adopted ENI keeps its slot. Then an ENI is removed from one of them, not
/// replaced.
fn is_at_odds(places: &[Place]) -> bool {
    let slots: BTreeSet<(i32, i32)> = places.iter().map(|place| (place.card, place.index)).collect();
    slots.len() < places.len()
}

/// The ENIAttachments of a NodeENI whose ENI is in place on an instance and is to stay. `except`: the UID of one that does not
/// count.
fn there<'a>(model: &'a Model, nodeeni: &str, instance: &str, except: &str) -> impl Iterator<Item = &'a Attachment> {
    model.attachments.values().map(|attachment| &attachment.attachment).filter(move |attachment| {
        attachment.nodeeni_uid == nodeeni
            && attachment.uid != except
            && attachment.instance.as_ref().is_some_and(|on| on.as_str() == instance)
            && attachment.deleting.is_none()
            && (model.in_place(attachment).is_some() || is_being_taken_over(model, attachment))
    })
}

/// Whether its ENI is attached in the place in which it is to be adopted. Such an ENI carries traffic before a status calls it
/// ready.
fn is_being_taken_over(model: &Model, attachment: &Attachment) -> bool {
    let eni = attachment.adopted.as_ref().and_then(|eni| model.enis.get(eni.as_str()));
    eni.and_then(|eni| eni.current.attachment.as_ref()).is_some_and(|at| {
        at.instance == attachment.instance
            && (at.card, at.index) == attachment.slot()
            && at.state == AttachmentState::Attached
    })
}
