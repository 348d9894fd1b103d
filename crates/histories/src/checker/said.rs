//! `said`: what EC2 or the API server has refused for minutes stands on the NodeENI whose ENI waits for it.

use super::invariant::Promise;
use super::state::State;
use crate::script::{Millis, Operation, Script};
use multi_eni_api::conditions::types;
use multi_eni_plan::assign::INSTANCE_GONE;
use multi_eni_plan::attachment::Attachment;
use multi_eni_sim::ec2::Eni;
use multi_eni_sim::kube::ObjectChange;
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Range;

/// How long something may be refused before it is said.
pub const WITHIN: Millis = 300_000;
/// How long what was said may be unsaid: another ENIAttachment, or another edit, has as long as the first had.
const ANEW: Millis = 180_000;
/// How old the last refusal may be: the longest back-off, and a little.
const STANDS: Millis = 400_000;

/// Calls that change an ENI in place.
const CHANGES: [&str; 3] = ["ModifyNetworkInterfaceAttribute", "CreateTags", "DeleteTags"];

/// What is refused.
#[derive(Debug, Default)]
pub struct Refusals {
    /// By ENIAttachment, and what is asked for.
    refused: BTreeMap<String, BTreeMap<String, Refused>>,
    /// By NodeENI's UID, when it last said that something needs a person.
    told: BTreeMap<String, Millis>,
}

#[derive(Debug, Clone)]
struct Refused {
    why: String,
    first: Millis,
    last: Millis,
    /// How often since then.
    count: u32,
}

impl Refusals {
    /// A request about an ENIAttachment has ended: refused for that reason, or not.
    pub fn ended(&mut self, at: Millis, about: &str, what: &str, why: Option<&str>) {
        let of = self.refused.entry(about.to_owned()).or_default();
        match (why, of.get_mut(what)) {
            (None, _) => drop(of.remove(what)),
            (Some(why), Some(refused)) if refused.why == why => {
                if refused.count == 0 {
                    refused.first = at;
                }
                refused.last = at;
                refused.count += 1;
            }
            (Some(why), _) => {
                drop(of.insert(what.to_owned(), Refused { why: why.to_owned(), first: at, last: at, count: 1 }))
            }
        }
    }

    /// A process leads anew: of what passes by itself as a rule it knows only what it is answered from now on.
    pub fn counted_anew(&mut self, at: Millis) {
        self.refused
            .values_mut()
            .flat_map(|of| of.values_mut())
            .for_each(|refused| (refused.first, refused.count) = (refused.first.max(at), 0));
    }

    /// An ENIAttachment has been changed: what did that is not refused any more, whether its answer is heard or not.
    pub fn done(&mut self, at: Millis, change: &ObjectChange<'_>) {
        let part = |object: Option<&Value>, pointer: &str| object.and_then(|o| o.pointer(pointer).cloned());
        let differs = |pointer: &str| part(change.before, pointer) != part(change.after, pointer);
        let of = format!("{}.{}", change.resource.resource, change.resource.group);
        let what = if change.before.is_none() {
            // What was refused to the one that had this name is over with it; but that none can be made is so for both.
            if let Some(refused) = self.refused.get_mut(change.name) {
                refused.retain(|what, _| what == "CreateNetworkInterface");
            }
            format!("create {of}")
        } else if differs("/status") {
            format!("patch {of}/status")
        } else if change.after.is_some() && differs("/metadata/deletionTimestamp") {
            format!("delete {of}")
        } else {
            format!("patch {of}")
        };
        self.ended(at, change.name, &what, None);
    }

    /// Its NodeENI asks for something else, or its ENI was changed: other changes are wanted.
    pub fn changed(&mut self, name: &str) {
        if let Some(refused) = self.refused.get_mut(name) {
            refused.retain(|what, _| !CHANGES.contains(&what.as_str()));
        }
    }

    /// What has been refused to that one for long, in words.
    fn standing(&self, at: Millis, about: &Attachment, attached: Attached, in_place: bool) -> Option<String> {
        let ready = about.status.conditions.iter().find(|condition| condition.type_ == types::READY);
        let is_gone = ready.is_some_and(|ready| ready.reason == INSTANCE_GONE);
        let is_over = |what: &str, refused: &Refused| match what {
            // An instance that answers of EC2 have left out, or that is gone, gets nothing: that it is so is judged elsewhere.
            "CreateNetworkInterface" | "AttachNetworkInterface" if is_gone => true,
            // EC2 is attaching it.
            "AttachNetworkInterface" if attached == Attached::InPlace => true,
            // It is detached first.
            "DeleteNetworkInterface" => attached != Attached::Nowhere,
            // What is on its way out waits for no answer of its way in, and what is not in its place for no change there.
            "CreateNetworkInterface" | "AttachNetworkInterface" | "CreateTags" => about.deleting.is_some(),
            // What a name stands for may have changed, and then it may be no change any more.
            "ModifyNetworkInterfaceAttribute" if refused.why == "InvalidGroup.NotFound" => true,
            "ModifyNetworkInterfaceAttribute" | "DeleteTags" => about.deleting.is_some() || !in_place,
            // It is being detached already.
            "DetachNetworkInterface" => refused.why == "IncorrectState",
            _ => false,
        };
        // A write that is still wanted is sent again when its wait is over, which doubles.
        let again = |what: &str, refused: &Refused| match what.contains(' ') {
            true => STANDS.min(60_000 + 2 * (refused.last - refused.first)),
            false => STANDS,
        };
        let stands = |what: &str, refused: &Refused| {
            at >= refused.first + WITHIN && refused.count > 1 && at <= refused.last + again(what, refused)
        };
        let all = self.refused.get(&about.name)?;
        // What is in place waits for changes in place only.
        let waits = |what: &str| !in_place || about.deleting.is_some() || CHANGES.contains(&what);
        let (what, refused) =
            all.iter().find(|(what, refused)| waits(what) && stands(what, refused) && !is_over(what, refused))?;
        Some(format!("{what} has been refused ({}) for {} s", refused.why, (at - refused.first) / 1000))
    }
}

/// An ENI has changed. One that has moved on is asked for anew: what was refused before that is over.
pub fn eni(state: &mut State, at: Millis, id: &str, before: Option<&Eni>, after: Option<&Eni>) {
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

/// Looks whether everything is said that should be, if a replica could see and write for long enough.
pub fn look(state: &mut State, at: Millis) {
    // What is in place has been made and attached, whether that answer was heard or not.
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
    let tells = state.model.nodeenis.values().filter(|nodeeni| all_is_well(&nodeeni.object).is_none());
    state.refusals.told.extend(tells.map(|nodeeni| (nodeeni.uid.clone(), at)));
    if !state.is_able(at, WITHIN) {
        return;
    }
    // What is not wanted any more waits for nothing, unless it is on its way out.
    let is_wanted = |attachment: &Attachment| {
        let node = state.model.nodes.get(&attachment.node);
        attachment.deselected_since.is_none() && node.is_some_and(|node| !node.deleting)
    };
    let waits = |attachment: &Attachment| attachment.deleting.is_some() || is_wanted(attachment);
    let unsaid = state
        .model
        .attachments
        .values()
        .map(|attachment| &attachment.attachment)
        .filter(|attachment| waits(attachment))
        .find_map(|attachment| {
            let in_place = state.model.in_place(attachment).is_some();
            let standing = state.refusals.standing(at, attachment, attached(state, attachment), in_place)?;
            let nodeeni = state
                .model
                .nodeenis
                .get(&attachment.nodeeni)
                .filter(|nodeeni| nodeeni.uid == attachment.nodeeni_uid)?;
            let claim = all_is_well(&nodeeni.object)?;
            if state.refusals.told.get(&nodeeni.uid).is_some_and(|told| at <= told + ANEW) {
                return None;
            }
            Some(format!("of {}: {standing}, and NodeENI {} says {claim}", attachment.name, attachment.nodeeni))
        });
    if let Some(how) = unsaid {
        state.broke(at, Promise::Said, how);
    }
}

/// Where an ENI is attached, or on its way in or out, by the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attached {
    Nowhere,
    InPlace,
    Elsewhere,
}

fn attached(state: &State, attachment: &Attachment) -> Attached {
    let mut enis = state.model.made_for(&attachment.uid);
    match enis.find_map(|eni| eni.seen.attachment.as_ref()) {
        None => Attached::Nowhere,
        Some(at) if at.instance == attachment.instance && (at.card, at.index) == attachment.slot() => Attached::InPlace,
        Some(_) => Attached::Elsewhere,
    }
}

/// What a NodeENI's status claims, if it says neither that it is not ready nor why.
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
    // That something is under way says nothing of what is refused.
    let told = of("Degraded", "status") == "True" || of("Progressing", "reason") == "Adopting";
    (!told).then(|| format!("Degraded={}: {}", of("Degraded", "status"), of("Degraded", "message")))
}

/// When no replica can be relied on to see and to write, by the script.
pub fn unable(script: &Script) -> Vec<Range<Millis>> {
    let span = |at: Millis, act: &Operation| match act {
        Operation::Pause { lasts, .. }
        | Operation::Partition { lasts, .. }
        | Operation::StaleWatch { lasts, .. }
        | Operation::RestartApi { lasts }
        | Operation::Forbid { lasts, .. }
        | Operation::Kill { restart: lasts, .. }
        | Operation::Elsewhere { lasts, .. }
        | Operation::RoleSwap { lasts, .. }
        | Operation::Stop { restart: lasts, .. } => Some(at..at + lasts + 1),
        Operation::Deny { action } if action.starts_with("Describe") => Some(at..allowed(script, at, action)),
        _ => None,
    };
    script.events.iter().filter_map(|event| span(event.at, &event.act)).collect()
}

/// When IAM allows an action again.
fn allowed(script: &Script, from: Millis, denied: &str) -> Millis {
    let allows = |act: &Operation| matches!(act, Operation::Allow { action } if action == denied);
    script.events.iter().find(|event| event.at >= from && allows(&event.act)).map_or(script.calm_at, |event| event.at)
}
