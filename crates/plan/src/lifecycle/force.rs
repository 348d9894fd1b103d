//! A forced Detach is a last resort. This file decides from when on an attachment may be detached by force: a plain
//! Detach that EC2 accepted must have had its time before.

use super::input::Input;
use crate::api_time::whole_second;
use crate::observed::{AttachmentState, ObservedAttachment};
use jiff::{SignedDuration, Timestamp};

/// A detach usually takes seconds. One that takes longer than this is noted in the status.
const NOTED_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// Since when EC2 shows this attachment detaching, as noted in the status.
fn noted(input: &Input<'_>, at: &ObservedAttachment) -> Option<Timestamp> {
    let status = &input.attachment.status;
    status
        .detaching_since
        .as_ref()
        .filter(|_| status.attachment_id.as_deref() == Some(at.id.as_str()))
        .map(|since| since.0)
}

/// The time to note in the status, and when the note is due.
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

/// From when on this attachment may be detached by force. None: EC2 has accepted no plain Detach of it, so a plain Detach
/// comes first, however much time has passed.
///
/// The time counts from EC2's answer to this process or from the first observation of the attachment as `detaching`,
/// whichever is earlier. An earlier process may have noted that observation in the status.
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
