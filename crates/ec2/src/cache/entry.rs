//! One ENI in the cache: it exists, or it is absent, as far as the cache knows.

use super::answered_calls::AnsweredCalls;
use crate::unchanged::items::Digest;
use jiff::Timestamp;
use multi_eni_plan::observed::{Missed, ObservedEni};

/// An ENI that exists, as far as the cache knows.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub seen: ObservedEni,
    /// The digest of the item as which a page of a resync showed the ENI, if `seen` is exactly what that item says.
    pub listed: Option<Digest>,
    /// The answers of calls that still override Describes. None for nearly all ENIs, so the box saves memory.
    answered_calls: Option<Box<AnsweredCalls>>,
}

impl Entry {
    /// An ENI, and the answers of calls that override Describes of it.
    pub fn new(seen: ObservedEni, calls: AnsweredCalls) -> Self {
        Self { seen, listed: None, answered_calls: boxed(calls) }
    }

    /// A Describe showed the ENI [the same](super::comparison::same): only the times and the answers that override Describes change.
    pub fn seen_again(&mut self, shown: &ObservedEni, calls: AnsweredCalls) {
        let seen = &mut self.seen;
        (seen.shown_at, seen.last_call, seen.in_use_since) = (shown.shown_at, shown.last_call, shown.in_use_since);
        if let (Some(attachment), Some(shown)) = (&mut seen.attachment, &shown.attachment) {
            attachment.since = shown.since;
        }
        self.listed = None;
        self.answered_calls = boxed(calls);
    }

    /// The answers of calls that override Describes.
    pub fn answered_calls(&self) -> &AnsweredCalls {
        static NOTHING: AnsweredCalls = AnsweredCalls::NOTHING;
        self.answered_calls.as_deref().unwrap_or(&NOTHING)
    }
}

/// None for no answers.
fn boxed(calls: AnsweredCalls) -> Option<Box<AnsweredCalls>> {
    (calls != AnsweredCalls::NOTHING).then(|| Box::new(calls))
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
    /// Whether a lookup that began at this time and showed the ENI is outdated.
    pub fn is_after(&self, began: Timestamp) -> bool {
        self.uid.is_some() || self.deleted.is_some() || self.by_id.is_some_and(|missed| missed.last >= began)
    }

    /// When EC2 answered our Delete, if any Delete succeeded.
    pub fn confirmed(&self) -> Option<Timestamp> {
        self.deleted.filter(|_| !self.unknown)
    }
}
