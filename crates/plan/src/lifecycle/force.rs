//! Detach by force is the last resort: it may come only when a plain Detach that EC2 accepted has had its time.

use super::input::Input;
use crate::api_time::whole_second;
use crate::observed::{AttachmentState, ObservedAttachment};
use jiff::{SignedDuration, Timestamp};

/// What detaches for so long is noted: a detach takes seconds.
const NOTED_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// Since when the status says that EC2 shows this attachment detaching.
fn noted(input: &Input<'_>, at: &ObservedAttachment) -> Option<Timestamp> {
    let status = &input.attachment.status;
    status
        .detaching_since
        .as_ref()
        .filter(|_| status.attachment_id.as_deref() == Some(at.id.as_str()))
        .map(|since| since.0)
}

/// What the status is to say of it, and when that changes.
pub(super) fn to_be_noted(
    input: &Input<'_>,
    at: Option<&ObservedAttachment>,
) -> (Option<Timestamp>, Option<Timestamp>) {
    let Some(at) = at.filter(|at| at.state == AttachmentState::Detaching) else { return (None, None) };
    let due = at.since.saturating_add(NOTED_AFTER).unwrap_or(Timestamp::MAX);
    match noted(input, at) {
        Some(since) => (Some(since), None),
        None if input.now >= due => (Some(whole_second(at.since).0), None),
        None => (None, Some(due)),
    }
}

/// From when on this attachment may be detached by force. None: EC2 has accepted no plain Detach of it yet, so a plain one
/// comes first, whatever time has passed.
///
/// The time runs from what this process was answered, or from when the attachment was first seen `detaching`: by this process, or by
/// an earlier one that noted it.
pub(super) fn due(input: &Input<'_>, at: &ObservedAttachment) -> Option<Timestamp> {
    let answered = input.call_history.detach_accepted(&at.id, input.attachment.deleting.is_some());
    let begun = match at.state {
        AttachmentState::Detaching => {
            let first = noted(input, at).map_or(at.since, |noted| noted.min(at.since));
            Some(answered.map_or(first, |accepted| accepted.min(first)))
        }
        AttachmentState::Attaching | AttachmentState::Attached => answered,
    };
    begun.map(|begun| begun.saturating_add(input.settings.force_detach).unwrap_or(Timestamp::MAX))
}
