//! `removal-pace`: labels or an edit take ENIs from no more nodes of one NodeENI at a time than its pace allows.
//!
//! Not counted are a NodeENI that is deleted, a Node that is gone or going, and an ENI that another one replaces. Removals of all
//! processes count together, because a process must not remove before the status counts the earlier removals.

use super::invariant::Invariant;
use super::max_staleness::{MAX_NAME_AGE, MAX_STALENESS};
use super::model::{Model, ModelNode};
use super::removal_history::WINDOW;
use super::state::State;
use crate::expected::{DesiredPlaces, desired_places};
use crate::script::{Millis, SubnetPlace};
use multi_eni_api::ENIAttachment;
use multi_eni_api::conditions::{is_true, types};
use multi_eni_api::names::ANNOTATION_ALLOW_REMOVALS;
use multi_eni_plan::attachment::Attachment;
use multi_eni_sim::kube::ObjectChange;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// How long a replica may take to learn that an ENI is attached, if its status says so.
const ARRIVED: Millis = 5_000;

/// A NodeENI has changed. Records what it allows from now on.
pub fn nodeeni(state: &mut State, at: Millis, change: &ObjectChange<'_>) {
    let Some(object) = change.after else { return };
    let uid = object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default().to_owned();
    let most = object.pointer("/spec/rollout/maxRemovals").cloned().unwrap_or_default();
    let allowed = state.removals.allowed.entry(uid.clone()).or_default();
    if allowed.last().is_none_or(|(_, last)| *last != most) {
        allowed.push((at, most));
    }
    let annotations = object.pointer("/metadata/annotations");
    let allowed = annotations.and_then(|all| all.get(ANNOTATION_ALLOW_REMOVALS)).and_then(Value::as_str);
    let generation = object.pointer("/metadata/generation").map(Value::to_string);
    if allowed.is_some() && allowed == generation.as_deref() {
        state.removals.released.insert(uid, at);
    }
}

/// An ENIAttachment has changed. The model does not have the change yet.
pub fn attachment(state: &mut State, at: Millis, change: &ObjectChange<'_>) {
    let deleting = |object: Option<&Value>| object.is_none_or(|o| o.pointer("/metadata/deletionTimestamp").is_some());
    let of = change.after.and_then(|object| object.pointer("/spec/nodeENIUID")).and_then(Value::as_str);
    if let Some(uid) = of {
        let now = nodes_of(&state.model, uid);
        let nodes = state.removals.nodes.entry(uid.to_owned()).or_default();
        *nodes = now.max(*nodes);
    }
    if change.before.is_none() || deleting(change.before) || !deleting(change.after) {
        return;
    }
    let object = change.before.and_then(|object| ENIAttachment::deserialize(object).ok());
    let Some(attachment) = object.as_ref().map(Attachment::read) else { return };
    let uid = attachment.nodeeni_uid.clone();
    let knows_names = state.removals.moved.get(&uid).is_none_or(|moved| at >= moved + MAX_NAME_AGE);
    if !is_paced(&state.model, &state.subnets, &attachment, (at, knows_names)) || state.has_died(&attachment) {
        return;
    }
    if state.repeats.is_old_deletion(change.actor, &attachment.name, at) {
        // The replica decided the deletion when the ENI may not have been in use yet.
        return;
    }
    let removals = &mut state.removals;
    let most = removals.most(&uid, at);
    let lost = removals.lost.entry(uid.clone()).or_default();
    lost.push((at, attachment.node.clone(), change.actor.to_owned()));
    let apart = removals.apart;
    let window = |by: &str| if by == change.actor { WINDOW } else { WINDOW.saturating_sub(apart) };
    let recent = lost.iter().filter(|(then, _, by)| at < then + window(by));
    let recent: BTreeSet<&str> = recent.map(|(_, node, _)| node.as_str()).collect();
    let is_released = removals.released.get(&uid).is_some_and(|since| at < since + MAX_STALENESS);
    if recent.len() > most && !is_released {
        let how = format!(
            "{} deletes {}: {} nodes lose ENIs of {} within {} s, and at most {most} may",
            change.actor,
            attachment.name,
            recent.len(),
            attachment.nodeeni,
            WINDOW / 1_000
        );
        state.broke(at, Invariant::RemovalPace, how);
    }
}

/// How many nodes have an ENI of this NodeENI that is in place, or whose status says so.
fn nodes_of(model: &Model, uid: &str) -> usize {
    let mine = model
        .attachments
        .values()
        .map(|attachment| &attachment.attachment)
        .filter(|attachment| attachment.nodeeni_uid == uid);
    let said = |attachment: &Attachment| {
        attachment.adopted.is_some() || is_true(&attachment.status.conditions, types::ATTACHED)
    };
    let has = |attachment: &&Attachment| said(attachment) || model.in_place(attachment).is_some();
    mine.filter(has).map(|attachment| &attachment.node).collect::<BTreeSet<_>>().len()
}

/// Whether an ENIAttachment's removal counts: its Node exists and loses an ENI that was in use, and no other ENI replaces it.
fn is_paced(
    model: &Model,
    subnets: &[SubnetPlace],
    attachment: &Attachment,
    (at, knows_names): (Millis, bool),
) -> bool {
    let instance = attachment.instance.as_ref().map(ToString::to_string).unwrap_or_default();
    let here = |node: &ModelNode| node.instance == instance;
    let node = model.nodes.get(&attachment.node).filter(|node| here(node) && !node.deleting);
    let nodeeni = model.nodeenis.values().find(|nodeeni| nodeeni.uid == attachment.nodeeni_uid && !nodeeni.deleting);
    let is_one = model.nodes.values().filter(|node| here(node)).count() == 1;
    // A replica may not know yet of an ENI that was attached a moment ago.
    let arrived = model.in_place(attachment).is_some_and(|eni| at >= eni.state_since + ARRIVED);
    let in_use = is_true(&attachment.status.conditions, types::ATTACHED) && arrived;
    let Some((node, nodeeni)) = node.zip(nodeeni).filter(|_| is_one && in_use) else { return false };
    let mine = |other: &&Attachment| {
        other.nodeeni_uid == attachment.nodeeni_uid && other.instance == attachment.instance && other.deleting.is_none()
    };
    match desired_places(model, nodeeni, node, subnets) {
        DesiredPlaces::Nothing => true,
        // A replica that knows the names from before replaces ENIs that others remove.
        DesiredPlaces::These(_) if !knows_names => false,
        DesiredPlaces::These(places) => {
            let (card, index) = attachment.slot();
            let is_desired = places.iter().any(|place| (place.card, place.index) == (card, index));
            !is_desired
                && model.attachments.values().map(|attachment| &attachment.attachment).filter(mine).count()
                    > places.len()
        }
        DesiredPlaces::Unknown => false,
    }
}
