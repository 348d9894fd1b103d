//! The history of one process's EC2 calls for one ENIAttachment: failures, calls without an answer, and repairs. It is
//! given the start and the result of each call. It is not stored: a new process begins with the failure in the status.

use super::in_place_change::Change;
use super::repair_history::{RepairHistory, want};
use crate::attachment::Attachment;
use crate::ec2_errors::{Call, CallError, Class, classify};
use crate::ec2_messages::{says_the_same, words_of};
use crate::failure::{Alternations, Failure};
use crate::nodeeni::EniSpec;
use jiff::Timestamp;
use multi_eni_api::ids::EniId;

/// One process's call history of one ENIAttachment. The process may lose it: `acting_since` says from when on it is
/// complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallHistory {
    /// Since when this process is the leader, and so knows all calls that are made.
    pub acting_since: Timestamp,
    /// This process created the ENIAttachment, so no earlier process sent a call for it. The creation time that the API
    /// server stores would prove this only if both clocks agreed.
    pub made_here: bool,
    /// When the last Create without a known outcome ended. If the Create reached EC2, it did so before this time.
    pub create_unknown: Option<Timestamp>,
    /// The ENI in EC2's answer to a Create of this process. The status may not name the ENI yet.
    pub created_eni: Option<EniId>,
    /// The last call that failed and has not succeeded since. Failures of changes in place are in `repairs`, except one
    /// that an earlier process recorded in the status.
    pub failure: Option<Failure>,
    /// The Detach that was sent last, if it was not forced: EC2's attachment ID, and whether the ENIAttachment was being
    /// deleted.
    pub(crate) plain_detach: Option<(String, bool)>,
    /// EC2's ID of the attachment that was last detached by force.
    pub(crate) forced: Option<String>,
    /// A plain Detach that EC2 accepted: EC2's attachment ID, the time of the first acceptance, and whether the
    /// ENIAttachment was being deleted.
    pub(crate) detach_accepted: Option<(String, Timestamp, bool)>,
    /// The Attach under way is of an ENI that was attached before, and that this process did not detach.
    pub(crate) attaches_again: bool,
    /// The changes in place.
    pub(crate) repairs: RepairHistory,
    /// When a user last asked for a new try. The back-off of a call that failed before that is over.
    pub(crate) woken: Option<Timestamp>,
}

impl CallHistory {
    /// The history for an ENIAttachment that this process has just created.
    pub fn made(acting_since: Timestamp) -> Self {
        Self {
            acting_since,
            made_here: true,
            create_unknown: None,
            created_eni: None,
            failure: None,
            plain_detach: None,
            forced: None,
            detach_accepted: None,
            attaches_again: false,
            repairs: RepairHistory::default(),
            woken: None,
        }
    }

    /// Records that a user asks for a new try. The failures and their counts stay: if the try fails, the back-off goes on.
    pub fn wake(&mut self, now: Timestamp) {
        self.woken = Some(now);
        self.repairs.wake(now);
    }

    /// Whether a call may wait for a back-off: it has failed, or somebody undoes what it changes.
    pub fn may_wait(&self) -> bool {
        self.failures().next().is_some() || self.repairs.has_repeated()
    }

    /// Whether a user has asked for a new try after this time.
    pub fn is_woken_after(&self, at: Timestamp) -> bool {
        self.woken.is_some_and(|woken| woken > at)
    }

    /// The history for an ENIAttachment that existed before, with the error that an earlier process recorded. An adopted
    /// ENI existed before its ENIAttachment, so a lookup from before the ENIAttachment's creation does not prove that the
    /// ENI is gone.
    pub fn begin(acting_since: Timestamp, eni_attachment: &Attachment) -> Self {
        let acting_since =
            if eni_attachment.adopted.is_some() { acting_since.max(eni_attachment.created) } else { acting_since };
        let failure = Failure::recorded(eni_attachment, acting_since);
        Self { failure, made_here: false, ..Self::made(acting_since) }
    }

    /// Records that this process created the ENIAttachment. The watch may have shown the object before the answer to its
    /// creation; calls that were recorded since then stay. An adopted ENI existed before its ENIAttachment, so for it the
    /// history is complete only from `now` on.
    pub fn learns_that_it_was_made_here(&mut self, eni_attachment: &Attachment, now: Timestamp) {
        match &eni_attachment.adopted {
            Some(_) => self.acting_since = self.acting_since.max(now),
            None => self.made_here = true,
        }
    }

    /// Records that a Detach is sent. `leaving`: the ENIAttachment is being deleted. Returns true for the first forced
    /// Detach of this attachment.
    pub fn sends_detach(&mut self, attachment: &str, force: bool, leaving: bool) -> bool {
        self.plain_detach = (!force).then(|| (attachment.to_owned(), leaving));
        force && self.forced.replace(attachment.to_owned()).as_deref() != Some(attachment)
    }

    /// When EC2 first accepted a plain Detach of this attachment, if this process got the answer. While the ENIAttachment
    /// is being deleted, a Detach from before its deletion does not count: that Detach had no effect if the ENI is
    /// attached after all.
    pub fn detach_accepted(&self, attachment: &str, leaving: bool) -> Option<Timestamp> {
        let of_it = self.detach_accepted.as_ref().filter(|(id, ..)| id == attachment);
        of_it.filter(|(.., was_leaving)| *was_leaving || !leaving).map(|(_, at, _)| *at)
    }

    /// Records that an Attach is sent. `before`: EC2's ID of the attachment in the status.
    pub fn sends_attach(&mut self, before: Option<&str>) {
        let is_ours = |id: &str| {
            self.plain_detach.as_ref().is_some_and(|(sent, _)| sent == id) || self.detach_accepted(id, false).is_some()
        };
        self.attaches_again = before.is_some_and(|id| !is_ours(id));
    }

    /// Records that a change in place is sent. `spec`: what its NodeENI asks for.
    pub fn sends_change(&mut self, change: &Change, spec: Option<&EniSpec>, now: Timestamp) {
        self.repairs.sends(change, want(change, spec), now);
    }

    /// How this change was refused, by the history of this process or by the failure in the status.
    pub(super) fn change_refused(&self, change: &Change, want: &str) -> Option<&Failure> {
        let before = self.failure.as_ref().filter(|failure| failure.call == change.call());
        self.repairs.refused(change, want).or(before)
    }

    /// All failures of calls that have not succeeded since.
    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.failure.iter().chain(self.repairs.all_refused())
    }

    /// The last failure of this call.
    pub fn failure_of(&self, call: Call) -> Option<&Failure> {
        self.failure.as_ref().filter(|failure| failure.call == call).or_else(|| self.repairs.last_refused(call))
    }

    /// Records that a call succeeded.
    pub fn succeeded(&mut self, call: Call, now: Timestamp) {
        if call == Call::Detach
            && let Some((id, leaving)) = self.plain_detach.take()
        {
            if leaving && self.detach_accepted.as_ref().is_some_and(|(.., was_leaving)| *was_leaving) {
                self.repairs.detached_again(now);
            }
            if self.detach_accepted(&id, leaving).is_none() {
                self.detach_accepted = Some((id, now, leaving));
            }
        }
        if call == Call::Create {
            self.create_unknown = None;
        }
        if call == Call::Attach {
            // The ENI has a new attachment. Nobody undid what was set on the former one.
            self.repairs.new_attachment();
            if std::mem::take(&mut self.attaches_again) {
                self.repairs.attached_again(now);
            }
        }
        if is_change(call) {
            self.repairs.succeeded();
        }
        if self.failure.as_ref().is_some_and(|failure| failure.call == call) {
            self.failure = None;
        }
    }

    /// Records that a call failed. A call that was not sent has not failed, unless the credentials are missing.
    pub fn failed(&mut self, call: Call, error: &CallError, now: Timestamp) {
        let changes = is_change(call) && self.repairs.is_under_way();
        if changes {
            // Without an answer the change may have been made. A count that is too low by one does no harm.
            self.repairs.not_made();
        }
        if matches!(error, CallError::NotLeader | CallError::QuotaRefused | CallError::Withdrawn) {
            return;
        }
        let class = classify(call, error);
        // A limit error may ignore the token, so an earlier Create with this token may have succeeded.
        if call == Call::Create && matches!(class, Class::Unknown | Class::Limit | Class::TokenMismatch) {
            // The time at which the Create reached EC2 is not known: the Create may have waited for the rate limiter for
            // minutes, or the process may have been frozen.
            self.create_unknown = Some(now);
        }
        let message = words_of(error);
        let code = error.code().to_owned();
        let before = if changes { self.repairs.refused_before() } else { None };
        let before = before.or_else(|| self.failure.take_if(|failure| !changes || failure.call == call));
        let begins =
            |turns, message| Failure { call, class, code: code.clone(), message, at: now, since: now, count: 1, turns };
        let failure = match before.filter(|before| before.call == call) {
            Some(before) if goes_on(before.class, class) => {
                let same = before.code == code && says_the_same(&before.message, &message);
                let message = if same { before.message } else { message };
                let count = before.count.saturating_add(1);
                Failure { since: before.since, count, ..begins(before.turns, message) }
            }
            Some(before) => begins(before.turns.and_another(), message),
            None => begins(Alternations::none(now), message),
        };
        if changes {
            self.repairs.failed(failure);
        } else {
            self.failure = Some(failure);
        }
    }

    /// The ENI's ID, from the ENIAttachment or from EC2's answer to this process.
    pub fn eni_of(&self, eni_attachment: &Attachment) -> Option<EniId> {
        eni_attachment.eni().or_else(|| self.created_eni.clone())
    }

    /// Since when an ENI may exist that was not observed: an earlier process may have sent a Create, or a Create of this
    /// process got no answer. None: no such ENI can exist.
    pub fn may_exist_since(&self) -> Option<Timestamp> {
        self.create_unknown.max((!self.made_here).then_some(self.acting_since))
    }

    /// Whether a Create with the current token may have been sent before: by this process, which got no answer, or by an
    /// earlier one. An ENIAttachment that is younger than this leadership is this process's own, even if the answer to
    /// its creation is still under way.
    pub(super) fn may_repeat_a_create(&self, eni_attachment: &Attachment) -> bool {
        let is_older = eni_attachment.created.as_second() < self.acting_since.as_second();
        self.create_unknown.is_some() || !self.made_here && is_older
    }
}

/// Whether the call is a change in place. One ENI may need several of these.
fn is_change(call: Call) -> bool {
    match call {
        Call::Modify | Call::Tag | Call::Untag => true,
        Call::Create | Call::Attach | Call::Detach | Call::Delete | Call::Describe => false,
    }
}

/// Whether a failure of class `now` continues the back-off of a failure of class `before`. The back-off must go on if EC2
/// alternates between these answers, or does not answer. A class with a wait of its own starts a new count.
fn goes_on(before: Class, now: Class) -> bool {
    let is_doubled = |class| match class {
        Class::Retry | Class::Unknown | Class::AlreadySo | Class::EniNotFound => true,
        Class::Wait | Class::InstanceState => true,
        Class::Throttled | Class::TokenMismatch | Class::InstanceNotFound | Class::ReferenceNotFound => false,
        Class::SubnetFull | Class::Credentials | Class::Unauthorized => false,
        Class::SlotTaken | Class::Limit | Class::Blocked | Class::Permanent => false,
    };
    before == now || is_doubled(before) && is_doubled(now)
}
