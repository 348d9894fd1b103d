//! Which ENIs the last page of a resync showed exactly as the cache holds them, by the digest of their item in the answer.
//! Everything else that changes an ENI makes a new [`Entry`](super::entry::Entry), which has no digest. Synchronous, no I/O.

use super::answered_calls::AnsweredCalls;
use super::state::CacheState;
use crate::unchanged::items::Digest;
use jiff::Timestamp;
use multi_eni_api::ids::EniId;
use multi_eni_plan::observed::{AttachmentState, ObservedEni};

impl CacheState {
    /// The page that began at `began` was applied; these are the digests of its items.
    pub fn note_listed(&mut self, began: Timestamp, digests: Vec<(EniId, Digest)>) {
        for (id, digest) in digests {
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            // A newer entry, or one that is corrected by the answers of our calls, is not what the item says.
            let is_of_item = entry.seen.as_of() == began && *entry.answered_calls() == AnsweredCalls::NOTHING;
            if is_of_item && is_at_rest(&entry.seen) {
                entry.listed = Some(digest);
            }
        }
    }

    /// The ENI that an item with this digest shows, with the times of an earlier page: see [`shown_again`]. None: the cache does not
    /// know what the item says.
    pub fn as_listed(&self, id: &EniId, digest: Digest) -> Option<ObservedEni> {
        let entry = self.entries.get(id).filter(|entry| entry.listed == Some(digest))?;
        Some(entry.seen.clone())
    }
}

/// The ENI as it is read from its item in the answer of a Describe that began at `began`.
pub(crate) fn shown_again(mut seen: ObservedEni, began: Timestamp) -> ObservedEni {
    (seen.shown_at, seen.last_call) = (began, None);
    if let Some(attachment) = &mut seen.attachment {
        attachment.since = began;
    }
    seen
}

/// Whether the item of the ENI gives no time: since when it is attached follows from the time of the observation.
fn is_at_rest(seen: &ObservedEni) -> bool {
    let attached = |at: &AttachmentState| *at == AttachmentState::Attached;
    seen.in_use_since.is_none() && seen.attachment.as_ref().is_none_or(|attachment| attached(&attachment.state))
}
