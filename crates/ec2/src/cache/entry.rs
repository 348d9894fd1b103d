//! One ENI in the cache: it exists, or it is absent, as far as the cache knows.

use super::answered_calls::AnsweredCalls;
use jiff::Timestamp;
use multi_eni_plan::observed::{Missed, ObservedEni};

/// An ENI that exists, as far as the cache knows.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub seen: ObservedEni,
    /// The answers of calls that still override Describes. None for nearly all ENIs, so the box saves memory.
    answered_calls: Option<Box<AnsweredCalls>>,
}

impl Entry {
    /// An ENI, and the answers of calls that override Describes of it.
    pub fn new(seen: ObservedEni, calls: AnsweredCalls) -> Self {
        Self { seen, answered_calls: (calls != AnsweredCalls::default()).then(|| Box::new(calls)) }
    }

    /// The answers of calls that override Describes.
    pub fn answered_calls(&self) -> &AnsweredCalls {
        static NOTHING: AnsweredCalls = AnsweredCalls::NOTHING;
        self.answered_calls.as_deref().unwrap_or(&NOTHING)
    }
}

/// An ENI that is absent, as far as the cache knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gone {
    /// The UID of the ENIAttachment that its tags named, if the cache ever held the ENI.
    pub uid: Option<String>,
    /// The lookups by ID that did not show the ENI, or EC2's answer NotFound to our Delete.
    pub by_id: Option<Missed>,
    /// When EC2 answered our Delete, with success or with NotFound.
    pub deleted: Option<Timestamp>,
    /// EC2 answered our Deletes with NotFound only.
    pub unknown: bool,
    /// When this record was last updated.
    pub noted: Timestamp,
}

impl Gone {
    /// When EC2 answered our Delete, if any Delete succeeded.
    pub fn confirmed(&self) -> Option<Timestamp> {
        self.deleted.filter(|_| !self.unknown)
    }
}
