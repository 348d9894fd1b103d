//! `status-true`, when a replica writes a status: the status must not say what has been untrue for long.

use super::invariant::Invariant;
use super::max_staleness::{MAX_STALENESS, MAX_WATCH_STALENESS};
use super::settled::is_well;
use super::state::State;
use crate::script::Millis;
use multi_eni_api::ENIAttachment;
use multi_eni_api::conditions::types;
use multi_eni_api::node_config::{NodeMode, mode_of};
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::outdated_reports::is_outdated;
use multi_eni_plan::unconfigured::OVERDUE;
use multi_eni_sim::kube::ObjectChange;
use serde::Deserialize;
use serde_json::Value;

/// A NodeENI's status has changed. Ready means that all desired ENIs are ready, by the status's own counts.
pub fn nodeeni(state: &mut State, at: Millis, change: &ObjectChange<'_>) {
    let Some(status) = change.after.and_then(|object| object.get("status")) else { return };
    let count = |name: &str| status.get(name).and_then(Value::as_i64).unwrap_or(0);
    if is_ready(change.after) == Some(true) && count("ready") < count("desired") {
        let how = format!(
            "{} says that NodeENI {} is Ready, with {} of {} ENIs",
            change.actor,
            change.name,
            count("ready"),
            count("desired")
        );
        state.broke(at, Invariant::StatusTrue, how);
    }
}

/// An ENIAttachment's status has changed.
pub fn attachment(state: &mut State, at: Millis, change: &ObjectChange<'_>) {
    let (before, after) = (is_ready(change.before), is_ready(change.after));
    if before == after {
        return;
    }
    let object = change.after.and_then(|object| ENIAttachment::deserialize(object).ok());
    let Some(attachment) = object.as_ref().map(Attachment::read) else { return };
    let is_of_this_boot = is_of_this_boot(state, &attachment);
    let is_configured =
        !state.node_agent || is_configured(&attachment) && is_of_this_boot.is_none_or(|(is_so, _)| is_so);
    let is_long_known = |since: Millis| at > since + MAX_WATCH_STALENESS;
    let report = match after {
        Some(true)
            if state.node_agent && is_of_this_boot.is_some_and(|(is_so, since)| !is_so && is_long_known(since)) =>
        {
            Some("is Ready, and the report of the node agent is of another boot")
        }
        Some(true) if state.node_agent && !self::is_configured(&attachment) => {
            Some("is Ready, and the node agent has not configured this ENI")
        }
        Some(true) => {
            let elsewhere =
                state.model.made_for(&attachment.uid).next().filter(|_| state.model.in_place(&attachment).is_none());
            elsewhere
                .filter(|eni| at > eni.state_since + MAX_STALENESS)
                .map(|_| "is Ready, and its ENI has long been elsewhere")
        }
        Some(false) | None => {
            // An ENI whose tags someone changed is in place, but the controller must not call it ready, even if the tags are
            // back.
            let retagged = reason(change.after) == "TagsRemoved";
            let is_unfollowed = state.node_agent && is_outdated(&attachment) && has_had_time(state, change.name, at);
            let may_stay =
                before == Some(true) && attachment.deleting.is_none() && !retagged && is_configured && !is_unfollowed;
            let well = may_stay && is_well(state, at, &attachment);
            well.then_some("is not Ready, and its ENI works and fits its NodeENI")
        }
    };
    if let Some(report) = report {
        state.broke(at, Invariant::StatusTrue, format!("{} says that {} {report}", change.actor, change.name));
    }
}

/// Whether the node agent's report says that the interface of this ENI is configured. A report about earlier settings by which the agent
/// did nothing may be old.
fn is_configured(attachment: &Attachment) -> bool {
    let status = &attachment.status;
    let Some(report) = status.conditions.iter().find(|condition| condition.type_ == types::CONFIGURED) else {
        return false;
    };
    let mac = status.node.as_ref().and_then(|node| node.mac_address.as_ref());
    let is_old = report.reason == "NotManaged" && report.observed_generation != attachment.generation;
    let is_none = mode_of(attachment.node_settings.node_config.as_ref()) == NodeMode::None;
    report.status == "True" && mac.is_some() && mac == status.mac_address.as_ref() && (!is_old || is_none)
}

/// Whether the node agent has had the time to follow the last edit of this ENIAttachment.
fn has_had_time(state: &State, name: &str, at: Millis) -> bool {
    let allowed = u64::try_from(OVERDUE.as_millis()).unwrap_or(Millis::MAX);
    state.model.attachments.get(name).is_some_and(|known| at >= known.generation_since.saturating_add(allowed))
}

/// Whether the node agent's report is of the boot that the Node of its instance shows, and since when the Node shows it. None: the
/// instance has no Node that shows a boot, or has several Nodes.
fn is_of_this_boot(state: &State, attachment: &Attachment) -> Option<(bool, Millis)> {
    let instance = attachment.instance.as_ref()?.to_string();
    let mut here = state.model.nodes.values().filter(|node| node.instance == instance);
    let node = here.next().filter(|node| !node.boot.is_empty() && here.next().is_none())?;
    let said = attachment.status.node.as_ref()?.boot_id.as_ref()?;
    Some((*said == node.boot, state.model.reborn.get(&instance).copied().unwrap_or(0)))
}

/// Whether the condition Ready is True; None if there is no such condition.
fn is_ready(object: Option<&Value>) -> Option<bool> {
    Some(ready(object)?.get("status").and_then(Value::as_str) == Some("True"))
}

fn reason(object: Option<&Value>) -> &str {
    ready(object).and_then(|ready| ready.get("reason")).and_then(Value::as_str).unwrap_or_default()
}

fn ready(object: Option<&Value>) -> Option<&Value> {
    let conditions = object?.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| condition.get("type").and_then(Value::as_str) == Some("Ready"))
}
