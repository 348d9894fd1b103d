//! `removal-pace`: of one NodeENI no more nodes lose ENIs at a time than its pace allows, when labels or an edit are why.
//!
//! A NodeENI that is deleted, a Node that is gone or going, and an ENI that another one follows are not counted. It does not matter
//! which process removes: nothing may go before the status counts it.

use super::allowed::PICTURE;
use super::invariant::Promise;
use super::model::Model;
use super::state::{NAMES, State};
use crate::expected::{Asked, asked};
use crate::script::{Millis, SubnetPlace};
use multi_eni_api::ENIAttachment;
use multi_eni_api::conditions::{is_true, types};
use multi_eni_api::names::ANNOTATION_ALLOW_REMOVALS;
use multi_eni_plan::attachment::Attachment;
use multi_eni_sim::kube::ObjectChange;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A part of the window of removals, 300 s: what was permitted may go late.
const WINDOW: Millis = 150_000;
/// How long an ENI is attached until a replica has heard of it, at the latest, if its status says so.
const ARRIVED: Millis = 5_000;
/// Nodes that every NodeENI may lose within a window.
const AT_LEAST: usize = 10;

/// What each NodeENI has lost, and what it allowed. All by its UID.
#[derive(Debug, Default)]
pub struct Paces {
    /// When, on which Node, by which process.
    lost: BTreeMap<String, Vec<(Millis, String, String)>>,
    /// How far the clocks of two processes may be apart: what one has written is older, or younger, to the other.
    apart: Millis,
    /// Since when `rollout.maxRemovals` is so.
    allowed: BTreeMap<String, Vec<(Millis, Value)>>,
    /// The most Nodes that ever had an ENI of it in place.
    nodes: BTreeMap<String, usize>,
    /// When a name that it uses last stood for another subnet.
    moved: BTreeMap<String, Millis>,
    /// When a person last let all go at once.
    released: BTreeMap<String, Millis>,
}

/// A NodeENI has changed: what it allows from now on.
pub fn nodeeni(state: &mut State, at: Millis, change: &ObjectChange<'_>) {
    let Some(object) = change.after else { return };
    let uid = object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default().to_owned();
    let most = object.pointer("/spec/rollout/maxRemovals").cloned().unwrap_or_default();
    let allowed = state.paces.allowed.entry(uid.clone()).or_default();
    if allowed.last().is_none_or(|(_, last)| *last != most) {
        allowed.push((at, most));
    }
    let annotations = object.pointer("/metadata/annotations");
    let allowed = annotations.and_then(|all| all.get(ANNOTATION_ALLOW_REMOVALS)).and_then(Value::as_str);
    let generation = object.pointer("/metadata/generation").map(Value::to_string);
    if allowed.is_some() && allowed == generation.as_deref() {
        state.paces.released.insert(uid, at);
    }
}

/// An ENIAttachment has changed; the model does not know it yet.
pub fn attachment(state: &mut State, at: Millis, change: &ObjectChange<'_>) {
    let deleting = |object: Option<&Value>| object.is_none_or(|o| o.pointer("/metadata/deletionTimestamp").is_some());
    let of = change.after.and_then(|object| object.pointer("/spec/nodeENIUID")).and_then(Value::as_str);
    if let Some(uid) = of {
        let now = nodes_of(&state.model, uid);
        let nodes = state.paces.nodes.entry(uid.to_owned()).or_default();
        *nodes = now.max(*nodes);
    }
    if change.before.is_none() || deleting(change.before) || !deleting(change.after) {
        return;
    }
    let object = change.before.and_then(|object| ENIAttachment::deserialize(object).ok());
    let Some(attachment) = object.as_ref().map(Attachment::read) else { return };
    let uid = attachment.nodeeni_uid.clone();
    let knows_names = state.paces.moved.get(&uid).is_none_or(|moved| at >= moved + NAMES);
    if !is_paced(&state.model, &state.subnets, &attachment, (at, knows_names)) || state.has_died(&attachment) {
        return;
    }
    if state.repeats.is_old_deletion(change.actor, &attachment.name, at) {
        // It was asked for when the ENI may not have been in use yet.
        return;
    }
    let paces = &mut state.paces;
    let most = paces.most(&uid, at);
    let lost = paces.lost.entry(uid.clone()).or_default();
    lost.push((at, attachment.node.clone(), change.actor.to_owned()));
    let apart = paces.apart;
    let window = |by: &str| if by == change.actor { WINDOW } else { WINDOW.saturating_sub(apart) };
    let recent = lost.iter().filter(|(then, _, by)| at < then + window(by));
    let recent: BTreeSet<&str> = recent.map(|(_, node, _)| node.as_str()).collect();
    let is_released = paces.released.get(&uid).is_some_and(|since| at < since + PICTURE);
    if recent.len() > most && !is_released {
        let how = format!(
            "{} deletes {}: {} nodes lose ENIs of {} within {} s, and {most} may",
            change.actor,
            attachment.name,
            recent.len(),
            attachment.nodeeni,
            WINDOW / 1_000
        );
        state.broke(at, Promise::RemovalPace, how);
    }
}

impl Paces {
    /// Of processes whose clocks may be so far apart.
    pub fn new(apart: Millis) -> Self {
        Self { apart, ..Self::default() }
    }

    /// A name that this NodeENI uses stands for another subnet.
    pub fn names_moved(&mut self, at: Millis, uid: &str) {
        self.moved.insert(uid.to_owned(), at);
    }

    /// The most that a NodeENI has allowed of late: an edit may not have been heard of.
    fn most(&self, uid: &str, at: Millis) -> usize {
        let nodes = self.nodes.get(uid).copied().unwrap_or(0);
        let spans = self.allowed.get(uid).map(Vec::as_slice).unwrap_or_default();
        let ended = |n: usize| spans.get(n + 1).map(|(since, _)| *since);
        let late = |(n, _): &(usize, &(Millis, Value))| ended(*n).is_none_or(|ended| at <= ended + PICTURE + WINDOW);
        let of = |value: &Value| match value {
            Value::String(text) => {
                let percent = text.strip_suffix('%').and_then(|number| number.parse::<usize>().ok()).unwrap_or(100);
                // A node more or less is a matter of moments.
                ((nodes + 1) * percent / 100).max(1)
            }
            Value::Number(number) => number.as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX),
            _ => (nodes / 10).max(AT_LEAST),
        };
        spans.iter().enumerate().filter(late).map(|(_, (_, value))| of(value)).max().unwrap_or(usize::MAX)
    }
}

/// Nodes that have an ENI of this NodeENI in place, or of which the status says so.
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

/// Whether its Node is there and loses something that it had in use, and nothing follows.
fn is_paced(
    model: &Model,
    subnets: &[SubnetPlace],
    attachment: &Attachment,
    (at, knows_names): (Millis, bool),
) -> bool {
    let instance = attachment.instance.as_ref().map(ToString::to_string).unwrap_or_default();
    let here = |node: &crate::checker::model::NodeTruth| node.instance == instance;
    let node = model.nodes.get(&attachment.node).filter(|node| here(node) && !node.deleting);
    let nodeeni = model.nodeenis.values().find(|nodeeni| nodeeni.uid == attachment.nodeeni_uid && !nodeeni.deleting);
    let is_one = model.nodes.values().filter(|node| here(node)).count() == 1;
    // What has arrived this moment nobody has heard of.
    let arrived = model.in_place(attachment).is_some_and(|eni| at >= eni.state_since + ARRIVED);
    let in_use = is_true(&attachment.status.conditions, types::ATTACHED) && arrived;
    let Some((node, nodeeni)) = node.zip(nodeeni).filter(|_| is_one && in_use) else { return false };
    let mine = |other: &&Attachment| {
        other.nodeeni_uid == attachment.nodeeni_uid && other.instance == attachment.instance && other.deleting.is_none()
    };
    match asked(model, nodeeni, node, subnets) {
        Asked::Nothing => true,
        // Who knows them from before replaces what others lose.
        Asked::These(_) if !knows_names => false,
        Asked::These(places) => {
            let (card, index) = attachment.slot();
            let is_asked = places.iter().any(|place| (place.card, place.index) == (card, index));
            !is_asked
                && model.attachments.values().map(|attachment| &attachment.attachment).filter(mine).count()
                    > places.len()
        }
        Asked::Unknown => false,
    }
}
