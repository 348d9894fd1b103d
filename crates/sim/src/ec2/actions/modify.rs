//! ModifyNetworkInterfaceAttribute, which changes one attribute per call.

use super::groups::{GroupUser, check_groups};
use super::{Call, Response, connection_tracking};
use crate::ec2::api_error::ApiError;
use crate::ec2::ids::Kind;
use crate::ec2::model::{AttachmentStatus, Eni};
use crate::ec2::params::Params;
use crate::ec2::state::State;

pub(super) const PARAMETERS: &[&str] = &[
    "Attachment",
    connection_tracking::PARAMETER,
    "Description",
    "NetworkInterfaceId",
    "SecurityGroupId",
    "SourceDestCheck",
];

pub(in crate::ec2) fn modify(state: &mut State, call: &Call) -> Result<Response, ApiError> {
    let params = &call.params;
    let id = params.required("NetworkInterfaceId")?;
    Kind::Eni.check(id)?;
    let attributes =
        ["Attachment", connection_tracking::PARAMETER, "Description", "SecurityGroupId", "SourceDestCheck"];
    let given: Vec<&str> = attributes.into_iter().filter(|name| params.mentions(name)).collect();
    let [attribute] = given[..] else {
        return Err(ApiError::combination(format!("Exactly one attribute may be modified at a time, not {given:?}")));
    };
    let mut eni = state.eni_known(id)?;
    ApiError::check_owner(eni.other_owner.as_deref())?;
    if eni.managed {
        return Err(ApiError::managed(id));
    }
    match attribute {
        "Attachment" => set_delete_on_termination(&mut eni, params)?,
        "Description" => {
            let description = params.get("Description.Value").ok_or_else(|| ApiError::missing("Description.Value"))?;
            if description.chars().count() > 255 {
                return Err(ApiError::value("Invalid value for parameter description: at most 255 characters"));
            }
            description.clone_into(&mut eni.description);
        }
        // A timeout that the request does not name has its default again.
        connection_tracking::PARAMETER => eni.connection_tracking = connection_tracking::read(params)?,
        "SourceDestCheck" => {
            eni.source_dest_check =
                params.flag("SourceDestCheck.Value")?.ok_or_else(|| ApiError::missing("SourceDestCheck.Value"))?;
        }
        _ => {
            let groups = params.list("SecurityGroupId");
            groups.iter().try_for_each(|group| Kind::Group.check(group))?;
            check_groups(state, &groups, &eni.vpc_id, GroupUser::Modify)?;
            eni.groups = groups;
        }
    }
    state.put(eni);
    Ok(Response::return_true())
}

fn set_delete_on_termination(eni: &mut Eni, params: &Params) -> Result<(), ApiError> {
    let id = params.required("Attachment.AttachmentId")?;
    let value = params
        .flag("Attachment.DeleteOnTermination")?
        .ok_or_else(|| ApiError::missing("Attachment.DeleteOnTermination"))?;
    let attachment = eni.attachment.as_mut().filter(|attachment| attachment.id == id);
    let attachment = attachment.ok_or_else(|| ApiError::no_attachment(id))?;
    if attachment.status == AttachmentStatus::Detaching {
        return Err(ApiError::new("IncorrectState", format!("The attachment '{id}' is being detached")));
    }
    attachment.delete_on_termination = value;
    Ok(())
}
