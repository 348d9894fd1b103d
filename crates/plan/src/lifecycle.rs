//! `step`: one ENIAttachment, what EC2 shows of it, and the clock → the one next action, or what it waits for.
//!
//! The way in: Create → Attach → (settled; deleteOnTermination and other attributes repaired off the path).
//! The way out: Detach → Delete → finalizer away. Every case says why, as data.

mod action;
mod adoption;
mod call_history;
mod change;
mod conditions;
mod drift;
mod drift_repair;
mod force;
mod in_use;
mod input;
mod instance;
mod provision;
mod repair_history;
mod retry;
mod tags;
mod teardown;
#[cfg(test)]
pub(crate) mod tests;

pub use crate::failure::{Failure, Turns};
pub use action::{Action, Step};
pub use call_history::CallHistory;
pub use change::Change;
pub use conditions::Report;
pub use drift::changes;
pub use input::Input;
pub use tags::tags;

use crate::observed::Observation;
use jiff::Timestamp;

/// Decides the next step.
pub fn step(input: Input<'_>) -> Step {
    if *input.observation == Observation::Blind && !input.attachment.status.conditions.is_empty() {
        // A new process knows nothing yet. What an earlier one has reported stands until there is something to be seen.
        return Step { action: Action::Wait, status: input.attachment.status.clone(), recheck: None };
    }
    if input.attachment.unreadable.is_some() {
        return Step { action: Action::Settled, status: input.attachment.status.clone(), recheck: None };
    }
    if !input.attachment.guarded && input.attachment.deleting.is_none() && input.attachment.status.eni_id.is_some() {
        // Nothing is done to its ENI before the finalizer is back, and what was said of it is so still.
        return Step { action: Action::Wait, status: input.attachment.status.clone(), recheck: None };
    }
    let (action, report) = match input.attachment.deleting {
        None => provision::next(&input),
        Some(_) if !input.attachment.guarded => {
            (Action::Wait, Report::leaving("waits for the API server to remove the object"))
        }
        Some(_) => teardown::next(&input),
    };
    conditions::complete(&input, up_to_date(&input, action), report)
}

/// Nothing is done to an ENI on the strength of an old observation of it: somebody may have taken its tags away since, or the
/// ENI itself. Sweeps keep the view young; where they fail, a look comes first.
fn up_to_date(input: &Input<'_>, action: Action) -> Action {
    let Observation::Seen(seen) = input.observation else { return action };
    let valid_until = seen.shown_at.saturating_add(input.settings.view_valid).unwrap_or(Timestamp::MAX);
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
