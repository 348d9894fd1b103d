//! DeleteNetworkInterface, for interfaces without an attachment.

use super::{Call, Response};
use crate::ec2::api_error::ApiError;
use crate::ec2::faults::Fault;
use crate::ec2::ids::Kind;
use crate::ec2::model::AttachmentStatus;
use crate::ec2::state::State;

pub(super) const PARAMETERS: &[&str] = &["NetworkInterfaceId"];

/// Deletes an interface, even one that Describe does not show yet. The answer is NotFound only if the interface does not
/// exist, so that a caller may take NotFound for success.
pub(in crate::ec2) fn delete(state: &mut State, call: &Call) -> Result<Response, ApiError> {
    let id = call.params.required("NetworkInterfaceId")?;
    Kind::Eni.check(id)?;
    let mut eni = state.eni(id).cloned().ok_or_else(|| ApiError::no_eni(id))?;
    ApiError::check_owner(eni.other_owner.as_deref())?;
    if eni.managed {
        return Err(ApiError::managed(id));
    }
    if eni.requester_managed && eni.attachment.is_none() {
        let message = "You are not allowed to manage network interfaces that belong to another AWS service.";
        return Err(ApiError::new("OperationNotPermitted", message));
    }
    match eni.attachment.as_ref().map(|attachment| attachment.status) {
        None => {}
        // The recorded code. InvalidNetworkInterface.InUse is documented as well; here, only a fault answers it.
        Some(AttachmentStatus::Attaching | AttachmentStatus::Attached | AttachmentStatus::Detaching) => {
            return Err(ApiError::value(format!("Network interface '{id}' is currently in use.")));
        }
    }
    if call.fault == Some(Fault::LeakOnDelete) {
        eni.tags.clear();
        state.put(eni);
    } else {
        state.remove(id);
    }
    Ok(Response::return_true())
}
