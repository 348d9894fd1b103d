//! Times at which replicas cannot see or write. They are computed from the script alone.

use crate::script::{Event, Millis, Operation, Script};
use std::ops::Range;

/// When no replica can be relied on to see and to write.
pub fn unable(script: &Script) -> Vec<Range<Millis>> {
    let span = |at: Millis, operation: &Operation| match operation {
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
    script.events.iter().filter_map(|event| span(event.at, &event.operation)).collect()
}

/// When IAM allows an action again.
fn allowed(script: &Script, from: Millis, denied: &str) -> Millis {
    let allows = |operation: &Operation| matches!(operation, Operation::Allow { action } if action == denied);
    script
        .events
        .iter()
        .find(|event| event.at >= from && allows(&event.operation))
        .map_or(script.calm_at, |event| event.at)
}

/// When some replica is frozen, and one second before, because an answer may be on its way then.
pub fn frozen(script: &Script) -> Vec<Range<Millis>> {
    let span = |event: &Event| match event.operation {
        Operation::Pause { lasts, .. } => Some(event.at.saturating_sub(1_000)..event.at + lasts),
        _ => None,
    };
    script.events.iter().filter_map(span).collect()
}

/// How long replicas may see no change of the API server, or be frozen, in total.
pub fn blind_for(script: &Script) -> Millis {
    let lasts = script.events.iter().map(|event| match event.operation {
        Operation::Pause { lasts, .. } | Operation::Partition { lasts, .. } | Operation::StaleWatch { lasts, .. } => {
            lasts
        }
        Operation::RestartApi { lasts } | Operation::Forbid { reads: true, lasts } => lasts,
        _ => 0,
    });
    lasts.sum()
}
