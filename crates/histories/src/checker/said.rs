//! `said`: what EC2 or the API server has refused for minutes is reported on the NodeENI whose ENI waits for it. So is an ENI
//! that somebody took the tags from.

use super::eni_change_event::EniChange;
use super::invariant::Invariant;
use super::model::ModelEni;
use super::refused_requests::{ANEW, AttachmentPlace, InPlace, WITHIN};
use super::state::State;
use crate::expected::differs;
use crate::script::Millis;
use multi_eni_plan::attachment::Attachment;
use multi_eni_sim::ec2::Eni;
use serde_json::Value;

/// An ENI has changed. If its attachment changed, the controller attaches, detaches or deletes it anew: earlier refusals are
/// over.
pub fn eni(state: &mut State, change: &EniChange<'_>) {
    let EniChange { at, id, before, after, .. } = *change;
    let made_for = state.model.enis.get(id).and_then(|eni| eni.made_for.as_ref());
    let Some(name) = made_for.and_then(|uid| state.model.uids.get(uid)) else { return };
    state.refusals.changed(name);
    let attached = |eni: Option<&Eni>| eni.and_then(|eni| eni.attachment.as_ref()).map(|on| (on.id.clone(), on.status));
    if attached(before) == attached(after) {
        return;
    }
    for call in ["AttachNetworkInterface", "DetachNetworkInterface", "DeleteNetworkInterface"] {
        state.refusals.ended(at, name, call, None);
    }
}

/// Checks that every long refusal is reported, if a replica could see and write for long enough.
pub fn check(state: &mut State, at: Millis) {
    // An ENI that is in place has been created and attached, whether those answers were received or not.
    let there = state
        .model
        .attachments
        .values()
        .map(|attachment| &attachment.attachment)
        .filter(|attachment| state.model.in_place(attachment).is_some());
    let there: Vec<String> = there.map(|attachment| attachment.name.clone()).collect();
    for name in there {
        for call in ["CreateNetworkInterface", "AttachNetworkInterface"] {
            state.refusals.ended(at, &name, call, None);
        }
    }
    let reports = state.model.nodeenis.values().filter(|nodeeni| all_is_well(&nodeeni.object).is_none());
    state.refusals.reported.extend(reports.map(|nodeeni| (nodeeni.uid.clone(), at)));
    if !state.is_able(at, WITHIN) {
        return;
    }
    // An ENIAttachment that is not wanted any more waits for nothing, unless it is being deleted.
    let is_desired = |attachment: &Attachment| {
        let node = state.model.nodes.get(&attachment.node);
        attachment.deselected_since.is_none() && node.is_some_and(|node| !node.deleting)
    };
    let waits = |attachment: &Attachment| attachment.deleting.is_some() || is_desired(attachment);
    let unsaid = state
        .model
        .attachments
        .values()
        .map(|attachment| &attachment.attachment)
        .filter(|attachment| waits(attachment))
        .find_map(|attachment| {
            let nodeeni = state
                .model
                .nodeenis
                .get(&attachment.nodeeni)
                .filter(|nodeeni| nodeeni.uid == attachment.nodeeni_uid)?;
            let eni = state.model.in_place(attachment);
            // The ENI is as the NodeENI asks, whether the controller received the answer to its change or not.
            let is_as_asked =
                eni.zip(nodeeni.spec.as_ref()).is_some_and(|(eni, spec)| differs(eni, spec, &state.subnets).is_none());
            let place = attached(state, attachment);
            let in_place = InPlace { is_attached: eni.is_some(), is_as_asked };
            let refused = state.refusals.standing(at, attachment, place, in_place);
            let standing = refused.or_else(|| lost_tags(at, eni?))?;
            let claim = all_is_well(&nodeeni.object)?;
            if state.refusals.reported.get(&nodeeni.uid).is_some_and(|reported| at <= reported + ANEW) {
                return None;
            }
            Some(format!(
                "for ENIAttachment {}: {standing}, and NodeENI {} reports {claim}",
                attachment.name, attachment.nodeeni
            ))
        });
    if let Some(how) = unsaid {
        state.broke(at, Invariant::Said, how);
    }
}

/// What somebody took from an ENI that is in place: the controller does not change the ENI any more.
fn lost_tags(at: Millis, eni: &ModelEni) -> Option<String> {
    let since = eni.untagged.filter(|since| at > since + WITHIN)?;
    Some(format!("{} has been without its tags since {since} ms", eni.current.id))
}

fn attached(state: &State, attachment: &Attachment) -> AttachmentPlace {
    let mut enis = state.model.made_for(&attachment.uid);
    match enis.find_map(|eni| eni.current.attachment.as_ref()) {
        None => AttachmentPlace::Nowhere,
        Some(at) if at.instance == attachment.instance && (at.card, at.index) == attachment.slot() => {
            AttachmentPlace::InPlace
        }
        Some(_) => AttachmentPlace::Elsewhere,
    }
}

/// What a NodeENI's status claims, if it reports no problem; None if it reports one.
fn all_is_well(object: &Value) -> Option<String> {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let Some(conditions) = conditions else { return Some("nothing".to_owned()) };
    let of = |kind: &str, field: &str| {
        let found = conditions.iter().find(|c| c.get("type").and_then(Value::as_str) == Some(kind));
        found.and_then(|c| c.get(field)).and_then(Value::as_str).unwrap_or_default()
    };
    if of("Ready", "status") == "True" {
        return Some("Ready".to_owned());
    }
    // A status that reports progress does not report a refusal.
    let explains = of("Degraded", "status") == "True" || of("Progressing", "reason") == "Adopting";
    (!explains).then(|| format!("Degraded={}: {}", of("Degraded", "status"), of("Degraded", "message")))
}
