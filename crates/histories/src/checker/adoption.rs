//! `taken-over`: each ENI that upstream's status lists has an ENIAttachment before that list is replaced, because nothing else
//! names the ENI.

use super::invariant::Invariant;
use super::model::ModelEni;
use super::state::State;
use crate::script::Millis;
use multi_eni_api::NodeEniStatus;
use multi_eni_plan::observed::AttachmentState;
use multi_eni_sim::kube::ObjectChange;
use serde::Deserialize;
use serde_json::Value;

/// How old a lookup may be at the decision, plus how long the write that follows may take.
const LOOK_LASTS: Millis = 35_000;

/// A replica has changed a NodeENI.
pub fn nodeeni(state: &mut State, at: Millis, change: &ObjectChange<'_>) {
    let status = |object: Option<&Value>| {
        object.and_then(|o| o.get("status")).and_then(|status| NodeEniStatus::deserialize(status).ok())
    };
    let (Some(before), Some(after)) = (status(change.before), status(change.after)) else { return };
    let deleting = change.after.is_some_and(|object| object.pointer("/metadata/deletionTimestamp").is_some());
    if before.observed_generation.is_some() || after.observed_generation.is_none() || deleting {
        return;
    }
    let uid = change.after.and_then(|o| o.pointer("/metadata/uid")).and_then(Value::as_str).unwrap_or_default();
    let listed = before.attachments.iter().filter_map(|entry| state.model.enis.get(&entry.eni_id));
    let left = listed.filter(|eni| is_left_behind(state, at, uid, eni)).map(|eni| eni.current.id.clone()).next();
    if let Some(eni) = left {
        let how = format!("{} replaces upstream's status of {}, and has not adopted {eni}", change.actor, change.name);
        state.broke(at, Invariant::TakenOver, how);
    }
}

/// Whether the controller could have adopted the ENI, and did not.
fn is_left_behind(state: &State, at: Millis, nodeeni_uid: &str, eni: &ModelEni) -> bool {
    let model = &state.model;
    let Some(on) = eni.current.attachment.as_ref().filter(|on| on.state == AttachmentState::Attached) else {
        return false;
    };
    let Some(instance) = &on.instance else { return false };
    let node = model.nodes.iter().find(|(_, node)| node.instance == instance.as_str());
    let known = eni.state_since.max(eni.disturbed) + state.lag + LOOK_LASTS;
    let joined_before = node
        .is_some_and(|(name, _)| model.nodes_changed.get(name).copied().unwrap_or(0) <= eni.state_since && at > known);
    // Of several ENIs in one subnet the controller adopts one. An ENIAttachment that holds the slot must release it first.
    let has_another = model.attachments.values().map(|attachment| &attachment.attachment).any(|attachment| {
        let here = attachment.instance.as_ref() == Some(instance);
        let same = attachment.nodeeni_uid == nodeeni_uid && eni.current.is_in(&attachment.request.subnet_id);
        here && (same || attachment.slot() == (on.card, on.index))
    });
    joined_before && eni.made_for.is_none() && !has_another
}
