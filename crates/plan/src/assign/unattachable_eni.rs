//! Decides whether an ENI that was created can never be attached in its slot, by the status of its ENIAttachment and the last
//! lookup of the instance. It deletes nothing.

use super::attach_refusals::lasts;
use super::input::Input;
use crate::attachment::Attachment;
use crate::ec2_errors::{Call, CallError};
use crate::observed::ObservedEni;
use jiff::Timestamp;

/// Whether EC2 has refused the Attach with an error that lasts, for longer than `unattachable_kept`, and the ENI is not attached.
/// Errors of credentials, permissions, throttling or an outage do not count: they say nothing about the ENI.
pub(super) fn unattachable(input: &Input<'_>, attachment: &Attachment) -> bool {
    // A status may be older than the state on EC2, so check that the ENI is not attached.
    let is_attached = |eni: &ObservedEni| Some(&eni.id) == attachment.eni().as_ref() && eni.attachment.is_some();
    input.instance.is_some_and(|interfaces| !interfaces.enis.iter().any(is_attached)) && is_refused(input, attachment)
}

/// Whether the status shows an Attach that EC2 has refused for that long.
pub(super) fn is_refused(input: &Input<'_>, attachment: &Attachment) -> bool {
    let error = attachment.status.last_error.as_ref().filter(|_| attachment.failed_call() == Some(Call::Attach));
    // Without an ENI, the status records the refusal of another instance of the same type.
    let error = error.filter(|_| attachment.eni().is_some());
    let Some(error) = error.filter(|_| attachment.status.attachment_id.is_none()) else { return false };
    let met = CallError::recorded(&error.code, &error.message);
    let since = error.at.as_ref().map_or(attachment.created, |at| at.0.max(attachment.created));
    let end = since.saturating_add(input.settings.unattachable_kept).unwrap_or(Timestamp::MAX);
    lasts(&met) && end <= input.now
}
