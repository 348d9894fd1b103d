//! DetachNetworkInterface, plain and forced.

use super::{Call, Response};
use crate::ec2::api_error::ApiError;
use crate::ec2::faults::Fault;
use crate::ec2::ids::well_formed;
use crate::ec2::model::{AttachmentStatus, Stuck};
use crate::ec2::state::{Event, State};

pub(super) const PARAMETERS: &[&str] = &["AttachmentId", "Force"];

pub(in crate::ec2) fn detach(state: &mut State, call: &Call) -> Result<Response, ApiError> {
    let id = call.params.required("AttachmentId")?;
    if !id.strip_prefix("eni-attach-").is_some_and(well_formed) {
        return Err(ApiError::value(format!("Value ({id}) for parameter attachmentId is invalid")));
    }
    let force = call.params.flag("Force")?.unwrap_or(false);
    let mut eni = state.eni_of_attachment(id).cloned().ok_or_else(|| ApiError::no_attachment(id))?;
    let Some(attachment) = &mut eni.attachment else {
        return Err(ApiError::no_attachment(id));
    };
    let slot = (attachment.network_card_index, attachment.device_index);
    if slot == (0, 0) {
        return Err(ApiError::new(
            "OperationNotPermitted",
            "The network interface at device index 0 and networkCard index 0 cannot be detached.",
        ));
    }
    ApiError::check_owner(eni.other_owner.as_deref())?;
    if eni.managed {
        return Err(ApiError::managed(&eni.id));
    }
    if eni.requester_managed {
        return Err(ApiError::new("OperationNotPermitted", "You are not allowed to manage 'ela-attach' attachments."));
    }
    if attachment.status == AttachmentStatus::Detaching && !force {
        let message = format!("The attachment '{id}' is already being detached");
        return Err(ApiError::new("IncorrectState", message));
    }
    if force {
        if state.settings.force_spoils_slot
            && let Some(instance) = state.instances.get_mut(&attachment.instance_id)
        {
            instance.unusable_slots.insert(slot);
        }
        if call.at_once {
            state.finish_detach(id);
            return Ok(Response::return_true());
        }
    }
    attachment.status = AttachmentStatus::Detaching;
    let never = attachment.stuck == Some(Stuck::UntilForced) && !force;
    state.put(eni);
    if !never {
        let delay = match call.fault {
            Some(Fault::SlowTransition(delay)) => delay,
            _ => state.draw(&state.settings.detach_delay.clone()),
        };
        state.schedule(delay, Event::Detached(id.to_owned()));
    }
    Ok(Response::return_true())
}
