//! A failed call of one ENIAttachment: what EC2 answered, since when, and how often in a row.
//!
//! The call history keeps failures; the gates, the retry rules and the conditions read them.

use crate::attachment::{Attachment, REPAIR_UNDONE};
use crate::ec2_errors::{Call, CallError, Class, classify};
use jiff::{SignedDuration, Timestamp};

/// A new permission, or one that depends on tags, may take effect late. So this many refusals in a row count as passing.
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
    /// Time of the last failure.
    pub at: Timestamp,
    /// Time of the first failure in a row.
    pub since: Timestamp,
    /// Number of failures in a row.
    pub count: i32,
    /// How often the answers alternated since the call began to fail.
    pub turns: Alternations,
}

/// The alternations of EC2's answers to one failing call: failures that do not repeat the failure before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alternations {
    /// When the call began to fail.
    pub since: Timestamp,
    /// How often the answer differed from the one before.
    pub count: i32,
}

impl Alternations {
    /// The value at the first failure: no alternation.
    pub fn none(since: Timestamp) -> Self {
        Self { since, count: 0 }
    }

    pub(crate) fn and_another(self) -> Self {
        Self { count: self.count.saturating_add(1), ..self }
    }

    /// Whether the call now has a back-off of its own. Each different answer restarts the wait of its class, so without
    /// this the call would be repeated without end.
    pub(crate) fn are_many(self) -> bool {
        self.count >= TURNS
    }
}

impl Failure {
    /// Whether the failure does not end within seconds: EC2 has given the same answer, or alternating answers, for
    /// [`LASTING`].
    pub fn is_lasting(&self) -> bool {
        self.turns.are_many() && self.at.duration_since(self.turns.since) >= LASTING
            || self.count > 1 && self.at.duration_since(self.since) >= LASTING
    }

    /// Since when the call has failed.
    pub fn failing_since(&self) -> Timestamp {
        if self.turns.are_many() { self.turns.since.min(self.since) } else { self.since }
    }
}

/// From this many alternations on, the call has a back-off of its own. Before, only the wait of the last answer counts.
pub(crate) const TURNS: i32 = 4;

/// A failure that lasts this long is reported.
const LASTING: SignedDuration = SignedDuration::from_mins(3);
/// The longest wait between tries until then, so that the failure is reported in time.
pub(crate) const BEFORE_SAID: SignedDuration = SignedDuration::from_secs(45);
/// The longest wait between tries of a call that may succeed without a change, in seconds.
pub(crate) const MOST: i64 = 300;

impl Failure {
    /// The failure that the status of an ENIAttachment records, for a process that has been the leader since
    /// `acting_since`.
    pub(crate) fn recorded(eni_attachment: &Attachment, acting_since: Timestamp) -> Option<Self> {
        let error = eni_attachment.status.last_error.as_ref().filter(|error| error.code != REPAIR_UNDONE)?;
        let call = Call::named(&error.action)?;
        let met = CallError::recorded(&error.code, &error.message);
        let (class, since) = (classify(call, &met), error.at.as_ref().map_or(acting_since, |at| at.0));
        // A failure that lasted until now is taken as current until the call is tried again.
        let lasts = matches!(class, Class::Retry | Class::Wait | Class::AlreadySo | Class::EniNotFound);
        Some(Self {
            call,
            class,
            code: error.code.clone(),
            message: error.message.clone(),
            at: if lasts { since.max(acting_since) } else { since },
            since,
            count: error.count,
            turns: Alternations::none(since),
        })
    }

    /// Whether a user must act before the call can succeed.
    pub(crate) fn needs_a_person(&self) -> bool {
        match self.class {
            _ if self.is_lasting() => true,
            Class::Unauthorized => self.count > PASSING,
            Class::Retry | Class::Throttled | Class::Unknown | Class::AlreadySo | Class::Wait | Class::EniNotFound => {
                false
            }
            Class::TokenMismatch | Class::InstanceState => false,
            Class::InstanceNotFound => self.count > PASSING,
            Class::SlotTaken | Class::Limit | Class::SubnetFull | Class::Credentials => true,
            // The first answer says that a group or a subnet does not exist. The quick retries go on, in case it was just made.
            Class::Blocked | Class::Permanent | Class::ReferenceNotFound => true,
        }
    }
}
