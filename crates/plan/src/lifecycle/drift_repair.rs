//! Repair of drift: decides which change in place of an attached ENI is sent now. It is given the observation of the ENI
//! and the call history. A refused change delays no other change.

use super::action::Action;
use super::drift::to_be_changed;
use super::drift_cause::cause;
use super::in_place_change::Change;
use super::input::Input;
use super::repair_history::{ATTACHMENT, UNDONE_OFTEN, want};
use super::report::Report;
use super::retry::{not_before_after, observe_first_after};
use crate::failure::Failure;
use crate::observed::{ObservedAttachment, ObservedEni};
use jiff::Timestamp;

/// A change that the ENI needs.
struct NeededChange<'a> {
    change: Change,
    /// How the change was refused.
    failure: Option<&'a Failure>,
    /// Somebody else undoes the change repeatedly.
    undone: bool,
    /// The earliest time at which the change may be sent. None: now.
    wait: Option<Timestamp>,
}

/// The first change that may be sent now. A refused change holds up no other change, and is reported.
pub(super) fn next(input: &Input<'_>, eni: &ObservedEni, at: &ObservedAttachment) -> (Action, Report) {
    let wanted: Vec<NeededChange<'_>> =
        to_be_changed(input, eni).into_iter().map(|change| judged(input, change)).collect();
    let failure = wanted.iter().find_map(|wanted| wanted.failure);
    let undone = input.call_history.repairs.undone_often(input.now);
    let report = match (failure, undone) {
        (Some(failure), _) => Report::ready(eni, at, Some(failure)),
        (None, Some(undone)) if undone.attribute == ATTACHMENT => Report::detached_often(eni, at).until(undone.until),
        (None, Some(undone)) if wanted.is_empty() || wanted.iter().any(|wanted| wanted.undone) => {
            Report::undone(eni, at, undone.attribute, undone.action).until(undone.until)
        }
        (None, _) => Report::ready(eni, at, None),
    };
    let soonest = wanted.iter().filter_map(|wanted| wanted.wait).min();
    match wanted.into_iter().find(|wanted| wanted.wait.is_none()) {
        Some(NeededChange { change, failure, .. }) => {
            let cause = cause(input, eni, &change);
            let modify = Action::Modify { eni: eni.id.clone(), change, cause };
            (failure.and_then(|failure| observe_first_after(failure, eni)).unwrap_or(modify), report)
        }
        None => match soonest {
            Some(at) => (Action::Wait, report.until(at)),
            None => (Action::Settled, report),
        },
    }
}

fn judged<'a>(input: &Input<'a>, change: Change) -> NeededChange<'a> {
    let (want, call_history) = (want(&change, input.spec), input.call_history);
    let failure = call_history.change_refused(&change, &want);
    let undone = call_history.repairs.undone(change.attribute().name(), &want, input.now);
    let again = undone.map(|(_, again)| again).filter(|again| input.now < *again);
    let wait = failure.and_then(|failure| not_before_after(input, failure)).max(again);
    NeededChange { change, failure, undone: undone.is_some_and(|(count, _)| count >= UNDONE_OFTEN), wait }
}
