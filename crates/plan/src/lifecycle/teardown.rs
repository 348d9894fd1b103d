//! Teardown: the next action for an ENIAttachment that is being deleted. It detaches and deletes the ENI, and then
//! removes the finalizer. The finalizer stays until EC2 confirms that the ENI is gone.

use super::action::Action;
use super::input::Input;
use super::repair_history::UNDONE_OFTEN;
use super::report::Report;
use super::retry::{forced_until, lookup_again, not_before, observe_first, past_lag};
use super::tags::is_ours;
use super::{adoption, force, in_use_without_attachment};
use crate::device_return::{self, DeviceReturn};
use crate::ec2_errors::Call;
use crate::instance_life::{APART, Life};
use crate::message_time::second;
use crate::observed::{AttachmentState, Missed, Observation, ObservedAttachment, ObservedEni};
use crate::upcoming::from;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::EniId;

/// The shortest and the longest time between two lookups of an ENI whose instance is terminated, until EC2 detaches the
/// ENI.
const GONE_LOOK_EVERY: SignedDuration = SignedDuration::from_secs(5);
const GONE_LOOK_SLOWEST: SignedDuration = SignedDuration::from_secs(300);
/// A detach that lasts this long is reported.
const STUCK_SAID_AFTER: SignedDuration = SignedDuration::from_mins(5);
/// How often a terminated instance is looked up again. The state is needed during the whole teardown, and the cache keeps
/// it for an hour.
const END_LOOK_EVERY: SignedDuration = SignedDuration::from_mins(30);

pub(super) fn next(input: &Input<'_>) -> (Action, Report) {
    match input.observation {
        Observation::Blind => (Action::Wait, Report::leaving("waiting for the first resync of EC2")),
        Observation::Absent { deleted: Some(_), .. } => (Action::Release, Report::leaving("the ENI is deleted")),
        Observation::Absent { by_tag, home, by_id, deleted: None } => absent(input, (*by_tag, *home), *by_id),
        Observation::Seen(eni) if adoption::is_to_be_adopted(input, eni) => adoption::take_over(input, eni),
        Observation::Seen(eni) if adoption::is_out_of_reach(input, eni) => match adoption::confirm_moved(input, eni) {
            Some(next) => next,
            None => (
                Action::Release,
                Report::leaving("the ENI that was to be adopted is on another instance, and is left unchanged"),
            ),
        },
        Observation::Seen(eni) if !is_ours(input, eni) => {
            let message = format!(
                "{} no longer has the tags of this cluster and ENIAttachment, so the controller does not change it: restore the \
                 tags, or detach and delete the ENI by hand",
                eni.id
            );
            lookup_again(input, eni, Report::blocked("TagsRemoved", message))
        }
        Observation::Seen(eni) => match &eni.attachment {
            None => match eni.in_use_since {
                Some(since) => in_use_without_attachment::wait(input, eni, since),
                None => delete(input, eni),
            },
            Some(at) => detach(input, eni, at),
        },
    }
}

/// The ENI is not observed. If its ID is known, a lookup by ID decides. Otherwise a lookup by tag decides that began at
/// least `lag` after the last Create that any process can have sent.
fn absent(
    input: &Input<'_>,
    (by_tag, home): (Timestamp, Option<Timestamp>),
    by_id: Option<Missed>,
) -> (Action, Report) {
    let attachment = input.attachment;
    let unseen_since = input.call_history.may_exist_since();
    // An ENI that this process created existed, whatever the status says.
    let known = input.call_history.eni_of(attachment);
    let sure = |lookup: Timestamp| unseen_since.is_none_or(|since| past_lag(input, lookup, since));
    let (is_sure, lookup) = match known.clone() {
        Some(eni) => match by_id.filter(|missed| missed.by_delete || sure(missed.last)) {
            Some(missed) => match unproven(input, eni, missed) {
                Some(next) => return next,
                None => (true, Action::Wait),
            },
            None => (false, Action::LookupById(eni)),
        },
        None => (sure(by_tag), Action::LookupByTag),
    };
    if is_sure {
        // An earlier process, or a Create without an answer, may have made an ENI. Another account shows no such ENI
        // either. So EC2 must have shown something of this cluster since the time from which on a lookup would have shown
        // the ENI.
        let credible = unseen_since.map(|since| since.saturating_add(input.settings.lag).unwrap_or(Timestamp::MAX));
        let since = credible.filter(|since| known.is_none() && home.is_none_or(|home| home < *since));
        return match since.map(|since| prove_home(input, since).unwrap_or(Action::LookupByTag)) {
            Some(lookup) => (lookup, Report::leaving("checking that EC2 has no ENI of this ENIAttachment")),
            None => (Action::Release, Report::leaving("EC2 shows no ENI of this ENIAttachment")),
        };
    }
    let from =
        unseen_since.map_or(input.now, |since| since.saturating_add(input.settings.lag).unwrap_or(Timestamp::MAX));
    let report = Report::leaving("checking that EC2 has no ENI of this ENIAttachment");
    if input.now >= from { (lookup, report) } else { (Action::Wait, report.until(from)) }
}

/// An ENI that existed and that EC2 no longer shows, although no call of this controller has deleted it. One answer may
/// be an error, and another account shows no ENI of this cluster. So two lookups must miss the ENI, unless its instance
/// is gone or EC2 says that it does not know the ENI. EC2 must also have shown something of this cluster since the first
/// lookup. Returns the action until then. None: the ENI is proven gone.
fn unproven(input: &Input<'_>, eni: EniId, missed: Missed) -> Option<(Action, Report)> {
    let is_explained = missed.by_delete || input.instance.is_some_and(|lookup| lookup.is_reported_gone());
    let report =
        Report::leaving("EC2 does not show the ENI, which this controller has not deleted: checking that it is gone");
    if !is_explained && missed.last.duration_since(missed.since) < APART {
        let again = missed.since.saturating_add(APART).unwrap_or(Timestamp::MAX);
        return Some(if input.now >= again {
            (Action::LookupById(eni), report)
        } else {
            (Action::Wait, report.until(again))
        });
    }
    if missed.is_proven() {
        return None;
    }
    Some((prove_home(input, missed.since).unwrap_or(Action::LookupById(eni)), report))
}

/// None if EC2 has shown something of this cluster since `since`. Otherwise the lookup that may show something.
fn prove_home(input: &Input<'_>, since: Timestamp) -> Option<Action> {
    if input.home_shown.is_some_and(|at| at >= since) {
        return None;
    }
    let asked = input.instance.is_some_and(|lookup| lookup.as_of >= since) || input.states_failure.is_some();
    // Without an instance that EC2 knows, the next resync decides: it shows other ENIs of this cluster, or it raises
    // doubt about the account and Region.
    Some(input.attachment.instance.clone().filter(|_| !asked).map_or(Action::Wait, Action::LookupInstance))
}

/// A Detach that EC2 accepted takes seconds. One that lasts is reported, with the time of the forced Detach.
fn is_detaching(input: &Input<'_>, eni: &ObservedEni, force_at: Option<Timestamp>) -> Report {
    let report = Report::detaching(format!("EC2 is detaching {}", eni.id));
    let Some(force_at) = force_at else { return report };
    let since = force_at.saturating_sub(input.settings.force_detach).unwrap_or(Timestamp::MIN);
    let report_at = since.saturating_add(STUCK_SAID_AFTER).unwrap_or(Timestamp::MAX);
    if input.now < report_at {
        return report.until(report_at);
    }
    let message = format!(
        "EC2 has been detaching {} since {}: {} the controller detaches it by force, which may make the device index \
         unusable. Check the instance: its operating system may hold the interface",
        eni.id,
        second(since),
        from(force_at, input.now)
    );
    Report::blocked("StuckDetaching", message)
}

fn delete(input: &Input<'_>, eni: &ObservedEni) -> (Action, Report) {
    let report = Report::deleting(eni, input.call_history.failure.as_ref().filter(|f| f.call == Call::Delete));
    match not_before(input, Call::Delete) {
        Some(at) => (Action::Wait, report.until(at)),
        None => {
            (observe_first(input, Call::Delete, eni).unwrap_or_else(|| Action::Delete { eni: eni.id.clone() }), report)
        }
    }
}

fn detach(input: &Input<'_>, eni: &ObservedEni, at: &ObservedAttachment) -> (Action, Report) {
    if at.instance != input.attachment.instance {
        let place = at.instance.as_ref().map_or_else(|| "another account's instance".to_owned(), ToString::to_string);
        let message = format!(
            "another actor attached {} to {place}: the controller does not detach it there; detach it by hand, and the \
             controller deletes it",
            eni.id
        );
        return lookup_again(input, eni, Report::blocked("AttachedElsewhere", message));
    }
    if let Some(lookup) = input.instance.filter(|lookup| lookup.life() == Life::Gone) {
        // EC2 detaches the ENIs of a terminated instance by itself. An ENI that remains is then available, and is
        // deleted. The lookups here make that faster than waiting for a resync.
        let report = Report::detaching("the instance is terminated: waiting for EC2 to detach the ENI".to_owned());
        let again = match lookup.is_reported_gone() {
            true => lookup.as_of.saturating_add(END_LOOK_EVERY).unwrap_or(Timestamp::MAX),
            // A lookup that does not show the instance may be an error.
            false => lookup.again_at(),
        };
        if let Some(instance) = input.attachment.instance.clone().filter(|_| input.now >= again) {
            return (Action::LookupInstance(instance), report);
        }
        let gone_for = input.now.duration_since(lookup.since);
        let report = if gone_for >= STUCK_SAID_AFTER {
            let message = format!(
                "its instance has been gone since {}, and EC2 still shows {} attached to it: EC2 detaches the ENI when it has \
                 terminated the instance; if it never does, ask AWS Support about the instance",
                second(lookup.since),
                eni.id
            );
            Report::blocked("StuckDetaching", message)
        } else {
            report.until(lookup.since.saturating_add(STUCK_SAID_AFTER).unwrap_or(Timestamp::MAX))
        };
        let every = SignedDuration::from_secs(gone_for.as_secs() / 8).clamp(GONE_LOOK_EVERY, GONE_LOOK_SLOWEST);
        let again = eni.as_of().saturating_add(every).unwrap_or(Timestamp::MAX);
        return if input.now >= again {
            (Action::LookupById(eni.id.clone()), report)
        } else {
            (Action::Wait, report.until(again))
        };
    }
    let settings = input.settings;
    let failure = input.call_history.failure.as_ref().filter(|f| f.call == Call::Detach);
    let due = force::due(input, at);
    let call = |force| {
        observe_first(input, Call::Detach, eni).unwrap_or_else(|| Action::Detach {
            eni: eni.id.clone(),
            attachment: at.id.clone(),
            force,
        })
    };
    let report = match failure {
        Some(failure) => Report::detach_failed(failure),
        None => is_detaching(input, eni, due),
    };
    let report = match device_return(input, eni) {
        // EC2 is taking the device away already if the state is `detaching`.
        Some(device) if !device.is_over(input.now) && at.state != AttachmentState::Detaching => {
            return (Action::Wait, Report::returning(device, input.now));
        }
        Some(device) if device.is_over(input.now) => report.without_return(&device),
        Some(_) | None => report,
    };
    if let Some(force_at) = due.filter(|force_at| input.now >= *force_at) {
        if eni.as_of() < force_at {
            // An older observation does not prove that the ENI is still attached.
            return (Action::LookupById(eni.id.clone()), report);
        }
        let wait = not_before(input, Call::Detach).max(forced_until(input, eni, force_at));
        return match wait {
            Some(again) => (Action::Wait, report.until(again)),
            None => (call(true), report),
        };
    }
    match at.state {
        AttachmentState::Detaching => (Action::Wait, due.map_or(report.clone(), |at| report.until(at))),
        AttachmentState::Attaching => {
            // A young attachment is left to complete: EC2 refuses to detach it, and a forced Detach may cost the device
            // index.
            let patience = at.since.saturating_add(settings.attaching_detach).unwrap_or(Timestamp::MAX);
            if input.now < patience {
                let message =
                    format!("EC2 is still attaching {}: the controller detaches it as soon as it is attached", eni.id);
                return (Action::Wait, Report::detaching(message).until(patience));
            }
            if eni.as_of() < patience {
                return (Action::LookupById(eni.id.clone()), report);
            }
            not_before(input, Call::Detach)
                .map_or((call(false), report.clone()), |again| (Action::Wait, report.until(again)))
        }
        AttachmentState::Attached => {
            let undone = input.call_history.repairs.attached_by_others(input.now);
            let report = match undone.filter(|(count, _)| *count >= UNDONE_OFTEN) {
                Some(_) if failure.is_none() => Report::attached_often(eni),
                Some(_) | None => report,
            };
            let wait = undone.map(|(_, again)| again).filter(|again| input.now < *again);
            match wait.max(not_before(input, Call::Detach)) {
                None => (call(false), report),
                Some(again) => (Action::Wait, report.until(again)),
            }
        }
    }
}

/// The return of the ENI's device that comes before the Detach.
fn device_return(input: &Input<'_>, eni: &ObservedEni) -> Option<DeviceReturn> {
    device_return::awaited(&device_return::Input {
        attachment: input.attachment,
        mac: &eni.mac,
        node: input.node,
        boot_ids: input.boot_ids,
        node_agent: input.settings.node_agent,
    })
}
