//! Decides for an ENI with an attachment that EC2 shows: attached, attaching or detaching, at the right place or elsewhere. It detaches
//! only what is stuck. It never deletes an ENI.

use super::action::Action;
use super::input::Input;
use super::report::Report;
use super::retry::{forced_until, lookup_again, not_before, observe_first};
use super::{drift_repair, force};
use crate::ec2_errors::Call;
use crate::message_time::second;
use crate::observed::{AttachmentState, ObservedAttachment, ObservedEni};
use jiff::Timestamp;

pub(super) fn attached(input: &Input<'_>, eni: &ObservedEni, at: &ObservedAttachment) -> (Action, Report) {
    let (card, index) = input.attachment.slot();
    if at.instance != input.attachment.instance || (at.card, at.index) != (card, index) {
        let place = at.instance.as_ref().map_or_else(|| "another account's instance".to_owned(), ToString::to_string);
        let message = format!(
            "another actor attached {} to {place} at device index {}; the controller does not detach it there: detach it, and \
             the controller attaches it here again",
            eni.id, at.index
        );
        return lookup_again(input, eni, Report::blocked("AttachedElsewhere", message));
    }
    match at.state {
        AttachmentState::Attaching => attaching(input, eni, at),
        AttachmentState::Detaching => detaching(input, eni, at),
        AttachmentState::Attached => drift_repair::next(input, eni, at),
    }
}

/// EC2 is detaching the ENI: somebody detached it, or this controller did because it was stuck. The ENI is attached again
/// once it is free.
fn detaching(input: &Input<'_>, eni: &ObservedEni, at: &ObservedAttachment) -> (Action, Report) {
    let report = Report::attaching(format!("EC2 is detaching {}: the controller attaches it again afterwards", eni.id));
    let force_at = force::due(input, at).unwrap_or(Timestamp::MAX);
    if input.now < force_at {
        return (Action::Wait, report.until(force_at));
    }
    if eni.as_of() < force_at {
        // An older observation does not prove that the ENI is still detaching.
        return (Action::LookupById(eni.id.clone()), report);
    }
    match not_before(input, Call::Detach).max(forced_until(input, eni, force_at)) {
        Some(again) => (Action::Wait, report.until(again)),
        None => {
            let detach = Action::Detach { eni: eni.id.clone(), attachment: at.id.clone(), force: true };
            (observe_first(input, Call::Detach, eni).unwrap_or(detach), report)
        }
    }
}

/// EC2 is attaching the ENI. EC2 gives no limit for this: usually it takes seconds, rarely minutes, sometimes forever.
fn attaching(input: &Input<'_>, eni: &ObservedEni, at: &ObservedAttachment) -> (Action, Report) {
    let settings = input.settings;
    let end = |wait| at.since.saturating_add(wait).unwrap_or(Timestamp::MAX);
    let usual = Report::attaching(format!("EC2 is attaching {} at device index {}", eni.id, at.index));
    let stuck = Report::stuck(format!(
        "EC2 has been attaching {} since {}: if this lasts, the controller detaches it and retries",
        eni.id,
        second(at.since)
    ));
    if input.now < end(settings.attaching_warn) {
        return (Action::Wait, usual.until(end(settings.attaching_warn)));
    }
    if input.now < end(settings.attaching_detach) {
        return (Action::Wait, stuck.until(end(settings.attaching_detach)));
    }
    // A plain Detach comes first, because it leaves the slot usable.
    let force_at = force::due(input, at).filter(|force_at| input.now >= *force_at);
    if eni.as_of() < force_at.unwrap_or(end(settings.attaching_detach)) {
        // An older observation does not prove that the ENI is still stuck.
        return (Action::LookupById(eni.id.clone()), stuck);
    }
    let forced = force_at.and_then(|force_at| forced_until(input, eni, force_at));
    let failure = input.call_history.failure.as_ref().filter(|failure| failure.call == Call::Detach);
    let stuck = match failure.filter(|failure| failure.needs_a_person()) {
        Some(failure) => Report::detach_failed(failure),
        None => stuck,
    };
    match not_before(input, Call::Detach).max(forced) {
        Some(at) => (Action::Wait, stuck.until(at)),
        None => {
            let detach = Action::Detach { eni: eni.id.clone(), attachment: at.id.clone(), force: force_at.is_some() };
            (observe_first(input, Call::Detach, eni).unwrap_or(detach), stuck)
        }
    }
}
