//! What a process remembers of its own calls for one attachment, and when it may try again.

use super::change::Change;
use super::repair_history::{RepairHistory, want};
use crate::attachment::Attachment;
use crate::ec2_errors::{Call, CallError, Class, classify};
use crate::failure::{Failure, Turns};
use crate::nodeeni::EniSpec;
use crate::wording::{says_the_same, words_of};
use jiff::Timestamp;
use multi_eni_api::ids::EniId;

/// One process's memory of one attachment. All of it can be lost: `acting_since` says from when on it is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallHistory {
    /// Since when this process is the leader and knows all calls that are made.
    pub acting_since: Timestamp,
    /// This process made the object, so nobody called for it before. Times on the API server tell that only if its clock
    /// and ours agree.
    pub made_here: bool,
    /// When the last Create whose outcome is not known had ended: it reached EC2 before.
    pub create_unknown: Option<Timestamp>,
    /// The ENI with which EC2 answered a Create of this process. The status may not name it yet.
    pub created_eni: Option<EniId>,
    /// The last Create attempt's outcome was: nothing was made.
    pub failure: Option<Failure>,
    /// The Detach that was sent last: EC2's attachment ID, if it was a plain one.
    pub(crate) plain_detach: Option<(String, bool)>,
    /// The attachment that was last detached by force.
    pub(crate) forced: Option<String>,
    /// The attachment of which EC2 accepted a plain Detach, and when it did so first.
    pub(crate) detach_accepted: Option<(String, Timestamp, bool)>,
    /// The Attach on its way is of an ENI that was attached before, and that this process did not detach.
    pub(crate) attaches_again: bool,
    /// Changes in place.
    pub(crate) repairs: RepairHistory,
}

impl CallHistory {
    /// Memory of an object that this process has just made.
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
        }
    }

    /// Memory of an object that was there when this process met it, with the error that an earlier one recorded. What was taken
    /// over was there before its object, so a look that shows what was before that is no proof of its absence.
    pub fn begin(acting_since: Timestamp, eni_attachment: &Attachment) -> Self {
        let acting_since =
            if eni_attachment.adopted.is_some() { acting_since.max(eni_attachment.created) } else { acting_since };
        let failure = Failure::recorded(eni_attachment, acting_since);
        Self { failure, made_here: false, ..Self::made(acting_since) }
    }

    /// This process made the object, as it learns now. The watch may have been faster, and calls have been made since: what they
    /// left here stays. What is taken over was there before its object, so for it memory is complete from now on only.
    pub fn learns_that_it_was_made_here(&mut self, eni_attachment: &Attachment, now: Timestamp) {
        match &eni_attachment.adopted {
            Some(_) => self.acting_since = self.acting_since.max(now),
            None => self.made_here = true,
        }
    }

    /// A Detach is sent; `leaving`: on the way out. True for the first one by force of this attachment.
    pub fn sends_detach(&mut self, attachment: &str, force: bool, leaving: bool) -> bool {
        self.plain_detach = (!force).then(|| (attachment.to_owned(), leaving));
        force && self.forced.replace(attachment.to_owned()).as_deref() != Some(attachment)
    }

    /// When EC2 first accepted a plain Detach of this attachment, if this process was told so. On the way out one of the way in does not
    /// count: it came to nothing if the ENI arrived after all.
    pub fn detach_accepted(&self, attachment: &str, leaving: bool) -> Option<Timestamp> {
        let of_it = self.detach_accepted.as_ref().filter(|(id, ..)| id == attachment);
        of_it.filter(|(.., was_leaving)| *was_leaving || !leaving).map(|(_, at, _)| *at)
    }

    /// An Attach is sent. `before`: the last attachment that was recorded.
    pub fn sends_attach(&mut self, before: Option<&str>) {
        let is_ours = |id: &str| {
            self.plain_detach.as_ref().is_some_and(|(sent, _)| sent == id) || self.detach_accepted(id, false).is_some()
        };
        self.attaches_again = before.is_some_and(|id| !is_ours(id));
    }

    /// A change in place is sent. `ask`: what its NodeENI asks for.
    pub fn sends_change(&mut self, change: &Change, spec: Option<&EniSpec>, now: Timestamp) {
        self.repairs.sends(change, want(change, spec), now);
    }

    /// How a change was refused, in this term or before it began.
    pub(super) fn change_refused(&self, change: &Change, want: &str) -> Option<&Failure> {
        let before = self.failure.as_ref().filter(|failure| failure.call == change.call());
        self.repairs.refused(change, want).or(before)
    }

    /// All that failed, and has not succeeded since.
    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.failure.iter().chain(self.repairs.all_refused())
    }

    /// The last failure of that call.
    pub fn failure_of(&self, call: Call) -> Option<&Failure> {
        self.failure.as_ref().filter(|failure| failure.call == call).or_else(|| self.repairs.last_refused(call))
    }

    /// A call succeeded.
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
            // Another attachment: what is set on it was undone by nobody.
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

    /// A call failed. Not having been sent is nobody's failure, unless the credentials are missing.
    pub fn failed(&mut self, call: Call, error: &CallError, now: Timestamp) {
        let changes = is_change(call) && self.repairs.is_under_way();
        if changes {
            // Without an answer it may have been made: to count it once too few does no harm.
            self.repairs.not_made();
        }
        if matches!(error, CallError::NotLeader | CallError::QuotaRefused | CallError::Withdrawn) {
            return;
        }
        let class = classify(call, error);
        // Limit errors may ignore the token, so a Create that got one may have succeeded before.
        if call == Call::Create && matches!(class, Class::Unknown | Class::Limit | Class::TokenMismatch) {
            // When it reached EC2 is not known: it may have waited for its turn for minutes, or its process may have been frozen.
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
            None => begins(Turns::none(now), message),
        };
        if changes {
            self.repairs.failed(failure);
        } else {
            self.failure = Some(failure);
        }
    }

    /// Its ENI, by its status or by what this process was answered.
    pub fn eni_of(&self, eni_attachment: &Attachment) -> Option<EniId> {
        eni_attachment.eni().or_else(|| self.created_eni.clone())
    }

    /// Since when a Create by somebody (an earlier process, or one of ours that got no answer) may have made an ENI that
    /// nobody has shown us yet. None: nothing can exist unseen.
    pub fn may_exist_since(&self) -> Option<Timestamp> {
        self.create_unknown.max((!self.made_here).then_some(self.acting_since))
    }

    /// Whether a Create of this token may have been sent before: by this process, which heard no answer, or by an earlier one. An object
    /// that is younger than this term is this process's own, though the answer to its creation may still be on the way.
    pub(super) fn may_repeat_a_create(&self, eni_attachment: &Attachment) -> bool {
        let is_older = eni_attachment.created.as_second() < self.acting_since.as_second();
        self.create_unknown.is_some() || !self.made_here && is_older
    }
}

/// A change in place, of which there may be several.
fn is_change(call: Call) -> bool {
    match call {
        Call::Modify | Call::Tag | Call::Untag => true,
        Call::Create | Call::Attach | Call::Detach | Call::Delete | Call::Describe => false,
    }
}

/// Whether one failure after another of these is the same trouble still: where EC2 answers now this way and now that way, or not at
/// all, the back-off goes on. What waits by a rule of its own counts for itself.
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
