//! `step` decides the next action for one ENIAttachment, or what the ENIAttachment waits for. It is given the
//! ENIAttachment, the observation of its ENI, the history of this process's calls, and the time. It sends no call.
//!
//! Provisioning: Create → Attach → settled. Attributes that differ from the spec, such as deleteOnTermination, are
//! repaired after the ENI is attached. Teardown: Detach → Delete → the finalizer is removed. Each result carries its
//! reason in the status.

mod action;
mod adoption;
mod advice;
mod agreement;
mod another_index;
mod attach;
mod attachment_state;
mod attribute;
pub(crate) mod call_history;
mod cause;
mod conditions;
mod configured;
mod create;
mod create_gates;
mod drift;
mod drift_cause;
mod drift_repair;
mod failure_reports;
mod force;
mod in_place_change;
mod in_use_without_attachment;
mod input;
mod instance;
mod provision;
mod repair_history;
mod report;
mod retry;
mod tags;
mod teardown;
#[cfg(test)]
pub(crate) mod tests;

pub use crate::failure::{Alternations, Failure};
pub use action::{Action, Step};
pub use agreement::Agreement;
pub use attribute::Attribute;
pub use call_history::CallHistory;
pub use cause::Cause;
pub use drift::changes;
pub use in_place_change::Change;
pub use input::Input;
pub use report::Report;
pub use tags::tags;

use crate::observed::Observation;
use jiff::{SignedDuration, Timestamp};

/// Decides the next action and the status of one ENIAttachment.
pub fn step(input: Input<'_>) -> Step {
    if *input.observation == Observation::Blind && !input.attachment.status.conditions.is_empty() {
        // A new process has no observation before its first resync. The status that an earlier process wrote stands until
        // then.
        return Step {
            action: Action::Wait,
            status: input.attachment.status.clone(),
            recheck: None,
            device_return: None,
            agreement: input.agreement,
        };
    }
    if input.attachment.unreadable.is_some() {
        return Step {
            action: Action::Settled,
            status: input.attachment.status.clone(),
            recheck: None,
            device_return: None,
            agreement: input.agreement,
        };
    }
    if !input.attachment.has_finalizer
        && input.attachment.deleting.is_none()
        && input.attachment.status.eni_id.is_some()
    {
        // Without the finalizer no call is made for the ENI. The status still describes the ENI, so it stays unchanged.
        return Step {
            action: Action::Wait,
            status: input.attachment.status.clone(),
            recheck: None,
            device_return: None,
            agreement: input.agreement,
        };
    }
    let (action, report) = match input.attachment.deleting {
        None => provision::next(&input),
        Some(_) if !input.attachment.has_finalizer => {
            (Action::Wait, Report::leaving("waiting for the API server to remove the object"))
        }
        Some(_) => teardown::next(&input),
    };
    conditions::complete(&input, up_to_date(&input, action), report)
}

/// The longest time for which an observation is valid, however long a resync takes.
const LONGEST_VALID: SignedDuration = SignedDuration::from_mins(10);

/// Replaces an action on an ENI by a lookup, if the observation of the ENI is older than `view_valid`, or than two and a half
/// resyncs where those take long. Somebody may have removed the ENI or its tags since then. Resyncs keep observations younger than
/// that; a lookup is needed when resyncs fail.
fn up_to_date(input: &Input<'_>, action: Action) -> Action {
    let Observation::Seen(seen) = input.observation else { return action };
    let valid = input.settings.view_valid.max((input.resync_took.saturating_mul(5) / 2).min(LONGEST_VALID));
    let valid_until = seen.shown_at.saturating_add(valid).unwrap_or(Timestamp::MAX);
    match &action {
        Action::Attach { .. } | Action::Modify { .. } | Action::Detach { .. } | Action::Delete { .. }
            if input.now > valid_until =>
        {
            Action::LookupById(seen.id.clone())
        }
        Action::Attach { .. } | Action::Modify { .. } | Action::Detach { .. } | Action::Delete { .. } => action,
        Action::Create { .. } | Action::NextAttempt | Action::Release | Action::Wait | Action::Settled => action,
        Action::LookupByTag | Action::LookupById(_) | Action::LookupSubnet(_) | Action::LookupInstance(_) => action,
    }
}
