//! When a call may be sent, or sent again: after a failure, after a call without an answer, after a Detach by force.

use super::action::Action;
use super::conditions::Report;
use super::input::Input;
use crate::ec2_errors::{Call, Class};
use crate::failure::{BEFORE_SAID, Failure, MOST, PASSING, TURNS};
use crate::observed::ObservedEni;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::names::short_digest;

/// When this call may be tried again, if it failed before; None for now.
pub(super) fn not_before(input: &Input<'_>, call: Call) -> Option<Timestamp> {
    let failure = input.call_history.failure.as_ref().filter(|failure| failure.call == call)?;
    not_before_after(input, failure)
}

/// The same of a call that failed so.
pub(super) fn not_before_after(input: &Input<'_>, failure: &Failure) -> Option<Timestamp> {
    let call = failure.call;
    if let Some(until) = input.permissions.governs(failure, input.now) {
        // One tries for all: which one it is, is no matter of order but of who comes first by the digest.
        return until.map(|at| {
            at.saturating_add(spread(SignedDuration::from_secs(40), &input.attachment.uid, failure.count)).unwrap_or(at)
        });
    }
    let wait = match failure.class {
        Class::Throttled if failure.count <= 10 => SignedDuration::from_millis(250),
        Class::Throttled => doubled(failure, 1, 9),
        // As quickly as ever at first: a Delete comes right after a Detach.
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
            // Once more before the ENI goes: what refused it may have left before any look showed it.
            Call::Attach => input.settings.blocked_recheck.min(input.settings.unattachable_kept / 2),
            _ => input.settings.blocked_recheck,
        },
    };
    let turns = failure.turns;
    let wait = if turns.are_many() { wait.max(doubled_for(turns.count - TURNS, 1)) } else { wait };
    let at = failure.at.saturating_add(spread(wait, &input.attachment.uid, failure.count)).unwrap_or(Timestamp::MAX);
    (at > input.now).then_some(at)
}

/// A call without a token got no answer, or EC2 says that there is nothing left to do: what the ENI shows after that comes before
/// any repetition.
pub(super) fn observe_first(input: &Input<'_>, call: Call, eni: &ObservedEni) -> Option<Action> {
    let failure = input.call_history.failure.as_ref().filter(|failure| failure.call == call)?;
    observe_first_after(failure, eni)
}

/// The same after a call that failed so.
pub(super) fn observe_first_after(failure: &Failure, eni: &ObservedEni) -> Option<Action> {
    let tells = match failure.class {
        Class::Unknown | Class::AlreadySo => true,
        // By our policy EC2 answers so for an ENI that is gone as well, or whose tags it does not see yet.
        Class::Unauthorized => failure.count <= PASSING,
        _ => false,
    };
    (tells && eni.as_of() <= failure.at).then(|| Action::LookupById(eni.id.clone()))
}

/// A detach by force, once EC2 has accepted it, is given time: until when no other one is sent. None: there was none, or its
/// time is over.
pub(super) fn forced_until(input: &Input<'_>, eni: &ObservedEni, force_at: Timestamp) -> Option<Timestamp> {
    let sent = eni.last_call.filter(|call| *call >= force_at)?;
    let wait = sent.duration_since(force_at).clamp(FORCED_AGAIN, FORCED_SLOWEST);
    let until = sent.saturating_add(wait).unwrap_or(Timestamp::MAX);
    (input.now < until).then_some(until)
}

/// At most so long after one by force the next one comes.
const FORCED_SLOWEST: SignedDuration = SignedDuration::from_mins(15);
/// How long a detach by force may take. EC2 does not say; a plain one takes seconds. The next one comes when as much time again has
/// passed as since it was due.
const FORCED_AGAIN: SignedDuration = SignedDuration::from_secs(60);

/// What somebody did by hand to an ENI, and has to undo, no sweep need show: it may not carry our tag any more. So it is
/// looked at by its ID, slowly.
pub(super) fn lookup_again(input: &Input<'_>, eni: &ObservedEni, report: Report) -> (Action, Report) {
    let again = eni.as_of().saturating_add(input.settings.blocked_recheck).unwrap_or(Timestamp::MAX);
    if input.now >= again { (Action::LookupById(eni.id.clone()), report) } else { (Action::Wait, report.until(again)) }
}

/// `first` seconds for the first tries, then doubled each time, up to [`MOST`].
fn doubled(failure: &Failure, first: i64, tries: i32) -> SignedDuration {
    let wait = doubled_for(failure.count - tries, first);
    if failure.is_lasting() { wait } else { wait.min(BEFORE_SAID) }
}

/// `first` seconds, doubled so many times, up to [`MOST`].
fn doubled_for(times: i32, first: i64) -> SignedDuration {
    let doublings = u32::try_from(times.clamp(0, 10)).unwrap_or(0);
    SignedDuration::from_secs((first << doublings).min(MOST))
}

/// Up to a quarter more, by UID and count: jitter without chance.
fn spread(wait: SignedDuration, uid: &str, count: i32) -> SignedDuration {
    let digest = u32::from_str_radix(&short_digest(&format!("{uid}/{count}")), 16).unwrap_or(0);
    wait.saturating_add(wait.checked_mul((digest % 256) as i32).map_or(SignedDuration::ZERO, |d| d / 1024))
}

/// Whether what is not seen can be taken as not being there: the look began long enough after the last call that could
/// have made or changed it.
pub(super) fn past_lag(input: &Input<'_>, lookup: Timestamp, last_call: Timestamp) -> bool {
    last_call.saturating_add(input.settings.lag).is_ok_and(|credible| lookup >= credible)
}
