//! `startup-taint`, when a replica removes the startup taint of a Node: all ENIs that are wanted there are Ready. That the taint goes in
//! the end is checked in `convergence`.

use super::invariant::Invariant;
use super::max_staleness::MAX_STALENESS;
use super::model::{Model, ModelNode, ModelNodeEni};
use super::state::State;
use crate::expected::{Place, desired_places};
use crate::script::{Millis, SubnetPlace};
use multi_eni_api::ENIAttachment;
use multi_eni_api::conditions::{is_true, types};
use multi_eni_api::names::STARTUP_TAINT;
use multi_eni_plan::attachment::Attachment;
use multi_eni_sim::kube::ObjectChange;
use serde::Deserialize;
use serde_json::Value;

/// Whether the Node has the taint.
fn has_taint(node: Option<&Value>) -> bool {
    let taints = node.and_then(|node| node.pointer("/spec/taints")).and_then(Value::as_array);
    taints.into_iter().flatten().any(|taint| taint["key"] == STARTUP_TAINT)
}

/// A Node has changed. The model does not have the change yet.
pub fn node(state: &mut State, at: Millis, change: &ObjectChange<'_>, by_replica: bool) {
    let (had, has) = (has_taint(change.before), has_taint(change.after));
    if has && !had {
        state.startup_taints.tainted.insert(change.name.to_owned(), at);
    }
    if has || !had {
        return;
    }
    let tainted = state.startup_taints.tainted.remove(change.name);
    if !by_replica || change.after.is_none() {
        return;
    }
    // A replica that removes the taint has seen the Node with it, and so the labels that the Node had then.
    let Some(since) = tainted else { return };
    if let Some(why) = missing(state, at, change.name, since) {
        let how = format!("{} removes the startup taint of {}, and {why}", change.actor, change.name);
        state.broke(at, Invariant::StartupTaint, how);
    }
}

/// An ENIAttachment has changed. The model does not have the change yet.
pub fn attachment(state: &mut State, at: Millis, change: &ObjectChange<'_>) {
    let taints = &mut state.startup_taints;
    let is_ready =
        |object: ENIAttachment| object.status.is_some_and(|status| is_true(&status.conditions, types::READY));
    match change.after.and_then(|object| ENIAttachment::deserialize(object).ok()).map(is_ready) {
        Some(false) => drop(taints.not_ready.entry(change.name.to_owned()).or_insert(at)),
        Some(true) | None => drop(taints.not_ready.remove(change.name)),
    }
    let is_leaving = |object: &Value| object.pointer("/metadata/deletionTimestamp").is_some();
    if change.after.is_none_or(is_leaving)
        && let Some(instance) =
            change.before.and_then(|object| object.pointer("/spec/instanceID")).and_then(Value::as_str)
    {
        taints.lost.insert(instance.to_owned(), at);
    }
}

/// The ENI that a NodeENI has long wanted on the Node and that is certainly not Ready. None: there is none, or a replica may
/// have seen it otherwise.
fn missing(state: &State, at: Millis, name: &str, tainted: Millis) -> Option<String> {
    let model = &state.model;
    let node = model.nodes.get(name).filter(|node| !node.deleting)?;
    let long_ago = |since: Option<&Millis>| since.is_none_or(|since| at > since + MAX_STALENESS);
    let is_labelled = model.nodes_changed.get(name).is_none_or(|changed| *changed <= tainted);
    let is_known = is_labelled
        && long_ago(state.startup_taints.lost.get(&node.instance))
        && long_ago(model.instances_changed.get(&node.instance))
        && is_alone(model, node);
    if !is_known {
        return None;
    }
    let is_settled = |nodeeni: &&ModelNodeEni| long_ago(model.nodeenis_changed.get(&nodeeni.uid));
    model.nodeenis.values().filter(is_settled).find_map(|nodeeni| {
        // An ENI adopted from upstream keeps its slot and its subnet, and stands for the one of another place.
        let has_adopted = model.attachments.values().map(|attachment| &attachment.attachment).any(|attachment| {
            attachment.adopted.is_some()
                && attachment.nodeeni_uid == nodeeni.uid
                && attachment.instance.as_ref().is_some_and(|on| on.as_str() == node.instance)
        });
        if has_adopted {
            return None;
        }
        let places = places(model, &state.subnets, nodeeni, node);
        // An ENI at another slot and in another subnet than the spec asks for now stands for a place until its turn in the rollout.
        let mut former = former(model, &nodeeni.uid, &node.instance, &places);
        places.iter().find_map(|place| {
            let Some(attachment) = holder(model, &nodeeni.uid, &node.instance, place).or_else(|| former.pop()) else {
                return Some(format!("no ENIAttachment is at {}/{}", place.card, place.index));
            };
            let since = state.startup_taints.not_ready.get(&attachment.name);
            since.filter(|since| at > **since + MAX_STALENESS).map(|_| format!("{} is not Ready", attachment.name))
        })
    })
}

/// Whether no other Node has the instance.
pub fn is_alone(model: &Model, node: &ModelNode) -> bool {
    model.nodes.values().filter(|other| other.instance == node.instance).count() == 1
}

fn places(model: &Model, subnets: &[SubnetPlace], nodeeni: &ModelNodeEni, node: &ModelNode) -> Vec<Place> {
    desired_places(model, nodeeni, node, subnets).places()
}

/// The ENIAttachment of a place.
fn holder<'a>(model: &'a Model, nodeeni: &str, instance: &str, place: &Place) -> Option<&'a Attachment> {
    attachments_on(model, nodeeni, instance).find(|attachment| holds(attachment, place))
}

/// The ENIAttachments that hold none of the places and are not leaving.
fn former<'a>(model: &'a Model, nodeeni: &str, instance: &str, places: &[Place]) -> Vec<&'a Attachment> {
    let of_none = |attachment: &&Attachment| !places.iter().any(|place| holds(attachment, place));
    let stays = |attachment: &&Attachment| attachment.deleting.is_none() && attachment.deselected_since.is_none();
    attachments_on(model, nodeeni, instance).filter(of_none).filter(stays).collect()
}

fn holds(attachment: &Attachment, place: &Place) -> bool {
    attachment.slot() == (place.card, place.index) || attachment.request.subnet_id == place.subnet
}

fn attachments_on<'a>(model: &'a Model, nodeeni: &str, instance: &str) -> impl Iterator<Item = &'a Attachment> {
    model.attachments.values().map(|attachment| &attachment.attachment).filter(move |attachment| {
        attachment.nodeeni_uid == nodeeni && attachment.instance.as_ref().is_some_and(|on| on.as_str() == instance)
    })
}
