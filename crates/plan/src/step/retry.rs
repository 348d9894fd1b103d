//! What a process remembers of its own calls for one attachment, and when it may try again.

use super::{Action, Input, Report};
use crate::errors::{Call, CallError, Class, classify};
use crate::facts::EniSeen;
use crate::held::Held;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::names::short_digest;

/// A call that failed, and has not succeeded since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which call.
    pub call: Call,
    /// What its error means.
    pub class: Class,
    /// EC2's code.
    pub code: String,
    /// EC2's words.
    pub message: String,
    /// When.
    pub at: Timestamp,
    /// How often in a row.
    pub count: i32,
}

/// One process's memory of one attachment. All of it can be lost: `acting_since` says from when on it is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// Since when this process is the leader and knows all calls that are made.
    pub acting_since: Timestamp,
    /// This process made the object, so nobody called for it before. Times on the API server tell that only if its clock
    /// and ours agree.
    pub made_here: bool,
    /// When the last Create whose outcome is not known was sent.
    pub create_unknown: Option<Timestamp>,
    /// The last Create attempt's outcome was: nothing was made.
    pub failure: Option<Failure>,
}

impl Memory {
    /// Memory of an object that this process has just made.
    pub fn made(acting_since: Timestamp) -> Self {
        Self { acting_since, made_here: true, create_unknown: None, failure: None }
    }

    /// Memory of an object that was there when this process met it, with the error that an earlier one recorded. What was taken
    /// over was there before its object, so a look that shows what was before that is no proof of its absence.
    pub fn begin(acting_since: Timestamp, held: &Held) -> Self {
        let acting_since = if held.adopted.is_some() { acting_since.max(held.created) } else { acting_since };
        let failure = held.status.last_error.as_ref().and_then(|error| {
            let call = Call::named(&error.action)?;
            let answered = CallError::Answered { code: error.code.clone(), message: error.message.clone() };
            Some(Failure {
                call,
                class: classify(call, &answered),
                code: error.code.clone(),
                message: error.message.clone(),
                at: error.at.as_ref().map_or(acting_since, |at| at.0),
                count: error.count,
            })
        });
        Self { acting_since, made_here: false, create_unknown: None, failure }
    }

    /// This process made the object, as it learns now. The watch may have been faster, and calls have been made since: what they
    /// left here stays. What is taken over was there before its object, so for it memory is complete from now on only.
    pub fn learns_that_it_was_made_here(&mut self, held: &Held, now: Timestamp) {
        match &held.adopted {
            Some(_) => self.acting_since = self.acting_since.max(now),
            None => self.made_here = true,
        }
    }

    /// A call succeeded.
    pub fn succeeded(&mut self, call: Call) {
        if call == Call::Create {
            self.create_unknown = None;
        }
        if self.failure.as_ref().is_some_and(|failure| failure.call == call) {
            self.failure = None;
        }
    }

    /// A call failed. Not having been sent is nobody's failure, unless the credentials are missing.
    pub fn failed(&mut self, call: Call, error: &CallError, sent: Timestamp, now: Timestamp) {
        if matches!(error, CallError::NotLeader | CallError::QuotaRefused | CallError::Withdrawn) {
            return;
        }
        let class = classify(call, error);
        // Limit errors may ignore the token, so a Create that got one may have succeeded before.
        if call == Call::Create && matches!(class, Class::Unknown | Class::Limit | Class::TokenMismatch) {
            self.create_unknown = Some(sent);
        }
        let count = match &self.failure {
            Some(previous) if previous.call == call && previous.class == class => previous.count.saturating_add(1),
            _ => 1,
        };
        let message = match error {
            CallError::Answered { message, .. } => message.clone(),
            other => other.to_string(),
        };
        self.failure = Some(Failure { call, class, code: error.code().to_owned(), message, at: now, count });
    }

    /// Since when a Create by somebody (an earlier process, or one of ours that got no answer) may have made an ENI that
    /// nobody has shown us yet. None: nothing can exist unseen.
    pub fn may_exist_since(&self) -> Option<Timestamp> {
        self.create_unknown.max((!self.made_here).then_some(self.acting_since))
    }
}

/// When this call may be tried again, if it failed before; None for now.
pub(super) fn not_before(input: &Input<'_>, call: Call) -> Option<Timestamp> {
    let failure = input.memory.failure.as_ref().filter(|failure| failure.call == call)?;
    let wait = match failure.class {
        Class::Throttled => SignedDuration::from_millis(250),
        Class::Wait => SignedDuration::from_secs(1),
        Class::Retry | Class::Unknown | Class::AlreadySo | Class::EniNotFound | Class::TokenMismatch => {
            backoff(failure, 1, 30)
        }
        Class::InstanceState | Class::InstanceNotFound => backoff(failure, 2, 60),
        Class::ReferenceNotFound if failure.count <= 3 => backoff(failure, 2, 60),
        Class::SubnetFull => input.settings.subnet_cooldown,
        Class::Credentials => backoff(failure, 15, 300),
        Class::ReferenceNotFound
        | Class::SlotTaken
        | Class::Limit
        | Class::Unauthorized
        | Class::Blocked
        | Class::Permanent => input.settings.blocked_recheck,
    };
    let at = failure.at.saturating_add(spread(wait, &input.held.uid, failure.count)).unwrap_or(Timestamp::MAX);
    (at > input.now).then_some(at)
}

/// A call without a token got no answer, or EC2 says that there is nothing left to do: what the ENI shows after that comes before
/// any repetition.
pub(super) fn observe_first(input: &Input<'_>, call: Call, eni: &EniSeen) -> Option<Action> {
    let failure = input.memory.failure.as_ref().filter(|failure| failure.call == call)?;
    let tells = matches!(failure.class, Class::Unknown | Class::AlreadySo);
    (tells && eni.as_of() <= failure.at).then(|| Action::LookById(eni.id.clone()))
}

/// A detach by force, once EC2 has accepted it, is given time: until when no other one is sent. None: there was none, or its
/// time is over.
pub(super) fn forced_until(input: &Input<'_>, eni: &EniSeen, force_at: Timestamp) -> Option<Timestamp> {
    let sent = eni.last_call.filter(|call| *call >= force_at)?;
    let until = sent.saturating_add(FORCED_AGAIN).unwrap_or(Timestamp::MAX);
    (input.now < until).then_some(until)
}

/// How long a detach by force may take. EC2 does not say; a plain one takes seconds.
const FORCED_AGAIN: SignedDuration = SignedDuration::from_secs(60);

/// What somebody did by hand to an ENI, and has to undo, no sweep need show: it may not carry our tag any more. So it is
/// looked at by its ID, slowly.
pub(super) fn look_again(input: &Input<'_>, eni: &EniSeen, report: Report) -> (Action, Report) {
    let again = eni.as_of().saturating_add(input.settings.blocked_recheck).unwrap_or(Timestamp::MAX);
    if input.now >= again { (Action::LookById(eni.id.clone()), report) } else { (Action::Wait, report.until(again)) }
}

fn backoff(failure: &Failure, first: i64, most: i64) -> SignedDuration {
    let doublings = u32::try_from(failure.count.clamp(1, 10) - 1).unwrap_or(0);
    SignedDuration::from_secs((first << doublings).min(most))
}

/// Up to a quarter more, by UID and count: jitter without chance.
fn spread(wait: SignedDuration, uid: &str, count: i32) -> SignedDuration {
    let digest = u32::from_str_radix(&short_digest(&format!("{uid}/{count}")), 16).unwrap_or(0);
    wait.saturating_add(wait.checked_mul((digest % 256) as i32).map_or(SignedDuration::ZERO, |d| d / 1024))
}

/// Whether what is not seen can be taken as not being there: the look began long enough after the last call that could
/// have made or changed it.
pub(super) fn past_lag(input: &Input<'_>, look: Timestamp, last_call: Timestamp) -> bool {
    last_call.saturating_add(input.settings.lag).is_ok_and(|credible| look >= credible)
}
