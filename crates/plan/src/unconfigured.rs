//! ENIs that are attached and not Ready: the node agent has not configured their interface. The statuses show them only where the node
//! agent is enabled. Here is since when that lasts, and from when on it is a problem.

use crate::attachment::Attachment;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::EniAttachmentStatus;
use multi_eni_api::conditions::types;

/// For this time an ENI may be attached and not configured: the link appears, the agent starts, and repeats a step. After it the NodeENI
/// is Degraded.
pub const OVERDUE: SignedDuration = SignedDuration::from_mins(2);

/// Since when the ENI is attached and not Ready. None: it is not attached, or it is Ready.
pub fn since(status: &EniAttachmentStatus) -> Option<Timestamp> {
    let of = |kind: &str| status.conditions.iter().find(|condition| condition.type_ == kind);
    let attached = of(types::ATTACHED).filter(|attached| attached.status == "True")?.last_transition_time.0;
    match of(types::READY) {
        None => Some(attached),
        Some(ready) if ready.status == "True" => None,
        Some(ready) => Some(attached.max(ready.last_transition_time.0)),
    }
}

/// When the ENI that is attached and not Ready is a problem, if nothing changes before.
pub fn overdue_at(attachment: &Attachment) -> Option<Timestamp> {
    let since = since(&attachment.status).filter(|_| attachment.deleting.is_none())?;
    Some(since.saturating_add(OVERDUE).unwrap_or(Timestamp::MAX))
}

/// Whether the ENI has been attached and not Ready for so long that a user should look.
pub fn is_overdue(attachment: &Attachment, now: Timestamp) -> bool {
    overdue_at(attachment).is_some_and(|at| at <= now)
}
