//! DeleteNetworkInterface.

use super::{Call, Done};
use crate::ec2::faults::Fault;
use crate::ec2::ids::Kind;
use crate::ec2::model::AttachmentStatus;
use crate::ec2::refusal::Refusal;
use crate::ec2::state::State;

pub(super) const PARAMETERS: &[&str] = &["NetworkInterfaceId"];

/// Succeeds on an interface that Describe does not show yet: only an absence in truth is `NotFound`, which callers
/// may take for success.
pub(in crate::ec2) fn delete(state: &mut State, call: &Call) -> Result<Done, Refusal> {
    let id = call.params.required("NetworkInterfaceId")?;
    Kind::Eni.check(id)?;
    let mut eni = state.eni(id).cloned().ok_or_else(|| Refusal::no_eni(id))?;
    if eni.requester_managed && eni.attachment.is_none() {
        let message = "You are not allowed to manage network interfaces that belong to another AWS service.";
        return Err(Refusal::new("OperationNotPermitted", message));
    }
    match eni.attachment.as_ref().map(|attachment| attachment.status) {
        None => {}
        // As recorded; InvalidNetworkInterface.InUse is documented as well, and only a fault answers it here.
        Some(AttachmentStatus::Attaching | AttachmentStatus::Attached | AttachmentStatus::Detaching) => {
            return Err(Refusal::value(format!("Network interface '{id}' is currently in use.")));
        }
    }
    if call.fault == Some(Fault::LeakOnDelete) {
        eni.tags.clear();
        state.put(eni);
    } else {
        state.remove(id);
    }
    Ok(Done::plainly())
}
