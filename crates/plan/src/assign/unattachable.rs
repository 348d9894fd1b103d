//! Whether an ENI that was created can never be attached where it should be.

use super::attach_refused::lasts;
use super::input::Input;
use crate::attachment::Attachment;
use crate::ec2_errors::{Call, CallError};
use crate::observed::ObservedEni;
use jiff::Timestamp;

/// Created, and refused for longer than it is kept by an answer that lasts. What the credentials, a permission, throttling or
/// an outage is the reason for says nothing about the ENI.
pub(super) fn unattachable(input: &Input<'_>, attachment: &Attachment) -> bool {
    // A status may be behind what was done: the ENI itself tells whether it is attached after all.
    let is_attached = |eni: &ObservedEni| Some(&eni.id) == attachment.eni().as_ref() && eni.attachment.is_some();
    input.instance.is_some_and(|interfaces| !interfaces.enis.iter().any(is_attached)) && is_refused(input, attachment)
}

/// Whether its last Attach was refused for so long, by its status.
pub(super) fn is_refused(input: &Input<'_>, attachment: &Attachment) -> bool {
    let error = attachment.status.last_error.as_ref().filter(|_| attachment.failed_call() == Some(Call::Attach));
    let Some(error) = error.filter(|_| attachment.status.attachment_id.is_none()) else { return false };
    let met = CallError::recorded(&error.code, &error.message);
    let since = error.at.as_ref().map_or(attachment.created, |at| at.0.max(attachment.created));
    let end = since.saturating_add(input.settings.unattachable_kept).unwrap_or(Timestamp::MAX);
    lasts(&met) && end <= input.now
}
