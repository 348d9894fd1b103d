//! Detach by force is the last resort: it may come only when a plain Detach that EC2 accepted has had its time.

use super::Input;
use crate::facts::{AttachmentState, SeenAttachment};
use jiff::Timestamp;

/// From when on this attachment may be detached by force. None: EC2 has accepted no plain Detach of it yet, so a plain one
/// comes first, whatever time has passed.
///
/// The time runs from what this process was answered, or from when it first saw the attachment `detaching`. A new process
/// counts anew.
pub(super) fn due(input: &Input<'_>, at: &SeenAttachment) -> Option<Timestamp> {
    let answered = input.memory.detach_accepted(&at.id);
    let begun = match at.state {
        AttachmentState::Detaching => Some(answered.map_or(at.since, |accepted| accepted.min(at.since))),
        AttachmentState::Attaching | AttachmentState::Attached => answered,
    };
    begun.map(|begun| begun.saturating_add(input.settings.force_detach).unwrap_or(Timestamp::MAX))
}
