//! A failed call of one ENIAttachment: what EC2 answered, since when, and how often in a row.
//!
//! The call history keeps failures; the gates, the retry rules and the conditions read them.

use crate::attachment::{Attachment, REPAIR_UNDONE};
use crate::ec2_errors::{Call, CallError, Class, classify};
use jiff::{SignedDuration, Timestamp};

/// An authorisation that is new, or that depends on tags, may come late: so many refusals in a row are passing.
pub const PASSING: i32 = 3;

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
    /// When, the last time.
    pub at: Timestamp,
    /// When, the first time in a row.
    pub since: Timestamp,
    /// How often in a row.
    pub count: i32,
    /// How the answers took turns, since the call began to fail.
    pub turns: Turns,
}

/// Failures of one call that are no repetition of the one before: EC2 gives now this answer and now that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turns {
    /// When the call began to fail.
    pub since: Timestamp,
    /// How often another answer came than before.
    pub count: i32,
}

impl Turns {
    /// The first failure.
    pub fn none(since: Timestamp) -> Self {
        Self { since, count: 0 }
    }

    pub(crate) fn and_another(self) -> Self {
        Self { count: self.count.saturating_add(1), ..self }
    }

    /// So often that no answer's own wait keeps the call from repeating for ever.
    pub(crate) fn are_many(self) -> bool {
        self.count >= TURNS
    }
}

impl Failure {
    /// It has been answered so for [`LASTING`], or now so and now so: it does not pass within seconds.
    pub fn is_lasting(&self) -> bool {
        self.turns.are_many() && self.at.duration_since(self.turns.since) >= LASTING
            || self.count > 1 && self.at.duration_since(self.since) >= LASTING
    }

    /// Since when the call has failed.
    pub fn failing_since(&self) -> Timestamp {
        if self.turns.are_many() { self.turns.since.min(self.since) } else { self.since }
    }
}

/// So often the answers may take turns, and each of them has its own wait. From then on the call has one.
pub(crate) const TURNS: i32 = 4;

/// What EC2 answers the same for so long is said.
const LASTING: SignedDuration = SignedDuration::from_mins(3);
/// The wait between tries until then, at most: it is said in time.
pub(crate) const BEFORE_SAID: SignedDuration = SignedDuration::from_secs(45);
/// The longest wait between tries of what may pass by itself.
pub(crate) const MOST: i64 = 300;

impl Failure {
    /// What the status of an ENIAttachment records, for a process that acts since then.
    pub(crate) fn recorded(eni_attachment: &Attachment, acting_since: Timestamp) -> Option<Self> {
        let error = eni_attachment.status.last_error.as_ref().filter(|error| error.code != REPAIR_UNDONE)?;
        let call = Call::named(&error.action)?;
        let met = CallError::recorded(&error.code, &error.message);
        let (class, since) = (classify(call, &met), error.at.as_ref().map_or(acting_since, |at| at.0));
        // What had lasted until now is still so until it is tried again.
        let lasts = matches!(class, Class::Retry | Class::Wait | Class::AlreadySo | Class::EniNotFound);
        Some(Self {
            call,
            class,
            code: error.code.clone(),
            message: error.message.clone(),
            at: if lasts { since.max(acting_since) } else { since },
            since,
            count: error.count,
            turns: Turns::none(since),
        })
    }

    /// Whether somebody must act before it can work.
    pub(crate) fn needs_a_person(&self) -> bool {
        match self.class {
            _ if self.is_lasting() => true,
            Class::Unauthorized => self.count > PASSING,
            Class::Retry | Class::Throttled | Class::Unknown | Class::AlreadySo | Class::Wait | Class::EniNotFound => {
                false
            }
            Class::TokenMismatch | Class::InstanceState => false,
            Class::InstanceNotFound | Class::ReferenceNotFound => self.count > 3,
            Class::SlotTaken | Class::Limit | Class::SubnetFull | Class::Credentials => true,
            Class::Blocked | Class::Permanent => true,
        }
    }
}
