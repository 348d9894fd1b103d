//! Which ENI is in a slot, and for which NodeENI and instance ENIAttachments exist.

use crate::checker::State;
use crate::checker::model::ModelEni;
use crate::expected::Slot;
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::observed::AttachmentState;

/// The ENI that is completely attached in a slot.
pub(super) fn occupant<'a>(state: &'a State, slot: &Slot) -> Option<&'a ModelEni> {
    state.model.enis.values().find(|eni| {
        eni.current.attachment.as_ref().is_some_and(|at| {
            at.instance.as_ref().is_some_and(|instance| instance.as_str() == slot.0)
                && (at.card, at.index) == (slot.1, slot.2)
                && at.state == AttachmentState::Attached
        })
    })
}

/// Whether an ENI was made for an ENIAttachment of that NodeENI.
pub(super) fn is_of(state: &State, eni: &ModelEni, nodeeni_uid: &str) -> bool {
    let name = eni.made_for.as_ref().and_then(|uid| state.model.uids.get(uid));
    name.and_then(|name| state.model.attachments.get(name))
        .is_some_and(|attachment| attachment.attachment.nodeeni_uid == nodeeni_uid)
}

/// Whether that NodeENI has an ENIAttachment for that instance.
pub(super) fn has_any_on(state: &State, uid: &str, instance: &str) -> bool {
    let mut attachment = state.model.attachments.values().map(|attachment| &attachment.attachment);
    attachment.any(|attachment| attachment.nodeeni_uid == uid && is_for(attachment, instance))
}

/// Whether the ENIAttachment is for this instance.
pub(super) fn is_for(attachment: &Attachment, instance: &str) -> bool {
    attachment.instance.as_ref().is_some_and(|on| on.as_str() == instance)
}
