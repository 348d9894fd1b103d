//! When a call may be sent, or sent again: after a failure, after a call without an answer, after a forced Detach. It is
//! given the call history and the gates, and sends no call.

use super::action::Action;
use super::input::Input;
use super::report::Report;
use crate::backoff;
use crate::ec2_errors::{Call, Class};
use crate::failure::{BEFORE_SAID, Failure, MOST, PASSING, TURNS};
use crate::observed::ObservedEni;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::names::short_digest;

/// When this call may be tried again, if it failed before. None: now.
pub(super) fn not_before(input: &Input<'_>, call: Call) -> Option<Timestamp> {
    let failure = input.call_history.failure.as_ref().filter(|failure| failure.call == call)?;
    not_before_after(input, failure)
}

/// When the call of this failure may be tried again. None: now.
pub(super) fn not_before_after(input: &Input<'_>, failure: &Failure) -> Option<Timestamp> {
    let call = failure.call;
    if let Some(until) = input.permissions.governs(failure, input.now) {
        if let Some(at) = input.permissions.requested_try(failure, input.call_history.woken) {
            return (at > input.now).then_some(at);
        }
        // One call tries for all that are refused. The digest, not a queue, decides which call comes first.
        return until.map(|at| {
            at.saturating_add(spread(SignedDuration::from_secs(40), &input.attachment.uid, failure.count)).unwrap_or(at)
        });
    }
    let wait = match failure.class {
        Class::Throttled if failure.count <= 10 => SignedDuration::from_millis(250),
        Class::Throttled => doubled(failure, 1, 9),
        // The first retries are quick, because a Delete comes right after a Detach.
        Class::Wait => doubled(failure, 1, 3),
        Class::Retry | Class::Unknown | Class::AlreadySo | Class::EniNotFound | Class::TokenMismatch => {
            doubled(failure, 1, 1)
        }
        Class::InstanceState | Class::InstanceNotFound => doubled(failure, 2, 1),
        Class::ReferenceNotFound if failure.count <= 3 => doubled(failure, 2, 1),
        Class::SubnetFull => input.settings.subnet_cooldown,
        Class::Credentials => doubled(failure, 15, 1),
        Class::Unauthorized => SignedDuration::from_secs(match failure.count {
            ..=1 => 2,
            2 => 5,
            _ => 15,
        }),
        Class::ReferenceNotFound | Class::SlotTaken | Class::Limit | Class::Blocked | Class::Permanent => match call {
            // One more Attach comes before the ENI is deleted as unattachable: the slot may have become free before a
            // lookup shows it.
            Call::Attach => input.settings.blocked_recheck.min(input.settings.unattachable_kept / 2),
            _ => input.settings.blocked_recheck,
        },
    };
    let turns = failure.turns;
    let wait = if turns.are_many() { wait.max(doubled_for(turns.count - TURNS, 1)) } else { wait };
    let wait = spread(wait, &input.attachment.uid, failure.count);
    let wait = if is_woken(input, failure) { wait.min(backoff::FIRST) } else { wait };
    let at = failure.at.saturating_add(wait).unwrap_or(Timestamp::MAX);
    (at > input.now).then_some(at)
}

/// Whether a user asked for a new try after this failure. The wait after a throttling answer is no back-off of the object: EC2
/// asks for it, and it stays.
fn is_woken(input: &Input<'_>, failure: &Failure) -> bool {
    failure.class != Class::Throttled && input.call_history.is_woken_after(failure.at)
}

/// A call without a token got no answer, or EC2 says that nothing is left to do. A lookup of the ENI after that answer
/// comes before the call is repeated.
pub(super) fn observe_first(input: &Input<'_>, call: Call, eni: &ObservedEni) -> Option<Action> {
    let failure = input.call_history.failure.as_ref().filter(|failure| failure.call == call)?;
    observe_first_after(failure, eni)
}

/// The same for this failure.
pub(super) fn observe_first_after(failure: &Failure, eni: &ObservedEni) -> Option<Action> {
    let needs_lookup = match failure.class {
        Class::Unknown | Class::AlreadySo => true,
        // With the documented IAM policy, EC2 gives this answer also for an ENI that is gone or whose tags EC2 does not
        // see yet.
        Class::Unauthorized => failure.count <= PASSING,
        _ => false,
    };
    (needs_lookup && eni.as_of() <= failure.at).then(|| Action::LookupById(eni.id.clone()))
}

/// Until when no further forced Detach is sent, after one that EC2 accepted. None: there was no forced Detach, or its
/// time is over.
pub(super) fn forced_until(input: &Input<'_>, eni: &ObservedEni, force_at: Timestamp) -> Option<Timestamp> {
    let sent = eni.last_call.filter(|call| *call >= force_at)?;
    let wait = sent.duration_since(force_at).clamp(FORCED_AGAIN, FORCED_SLOWEST);
    let until = sent.saturating_add(wait).unwrap_or(Timestamp::MAX);
    (input.now < until).then_some(until)
}

/// The longest wait between two forced Detaches.
const FORCED_SLOWEST: SignedDuration = SignedDuration::from_mins(15);
/// The shortest wait between two forced Detaches. EC2 does not say how long a forced Detach may take; a plain one takes
/// seconds. Between these bounds the wait is the time from when the first forced Detach was due until the last one was
/// sent.
const FORCED_AGAIN: SignedDuration = SignedDuration::from_secs(60);

/// Looks the ENI up by its ID, once every `blocked_recheck`. Somebody changed the ENI by hand and has to undo that. A
/// resync may not show this, because the ENI may not carry this cluster's tag any more.
pub(super) fn lookup_again(input: &Input<'_>, eni: &ObservedEni, report: Report) -> (Action, Report) {
    let again = eni.as_of().saturating_add(input.settings.blocked_recheck).unwrap_or(Timestamp::MAX);
    if input.now >= again || input.call_history.is_woken_after(eni.as_of()) {
        (Action::LookupById(eni.id.clone()), report)
    } else {
        (Action::Wait, report.until(again))
    }
}

/// `first` seconds for the first `tries` failures, then doubled each time, up to [`MOST`]. Before the failure is lasting,
/// at most [`BEFORE_SAID`].
fn doubled(failure: &Failure, first: i64, tries: i32) -> SignedDuration {
    let wait = doubled_for(failure.count - tries, first);
    if failure.is_lasting() { wait } else { wait.min(BEFORE_SAID) }
}

/// `first` seconds, doubled `times` times, up to [`MOST`].
fn doubled_for(times: i32, first: i64) -> SignedDuration {
    let doublings = u32::try_from(times.clamp(0, 10)).unwrap_or(0);
    SignedDuration::from_secs((first << doublings).min(MOST))
}

/// Adds up to a quarter, by a digest of UID and count. This jitter is deterministic.
fn spread(wait: SignedDuration, uid: &str, count: i32) -> SignedDuration {
    let digest = u32::from_str_radix(&short_digest(&format!("{uid}/{count}")), 16).unwrap_or(0);
    wait.saturating_add(wait.checked_mul((digest % 256) as i32).map_or(SignedDuration::ZERO, |d| d / 1024))
}

/// Whether a lookup that did not show the ENI proves that it does not exist: the lookup must have begun at least `lag`
/// after the last call that could have made or changed the ENI.
pub(super) fn past_lag(input: &Input<'_>, lookup: Timestamp, last_call: Timestamp) -> bool {
    last_call.saturating_add(input.settings.lag).is_ok_and(|credible| lookup >= credible)
}
