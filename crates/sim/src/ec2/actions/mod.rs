//! EC2's actions: a file for each, and the table that finds an action by its name.
//!
//! An action checks its parameters and the account, changes the account, and answers. Checks that EC2 makes of every request
//! are in `handle_request`.

mod attach;
mod call;
mod connection_tracking;
mod create;
mod delete;
mod describe_enis;
mod describe_instance_types;
mod describe_instances;
mod describe_security_groups;
mod describe_subnets;
mod detach;
mod groups;
mod modify;
mod tags;

use super::api_error::ApiError;
use super::model::Creator;
use super::state::State;

pub(super) use attach::attach;
pub(super) use call::{Call, Response};
pub(super) use create::create;
pub(super) use delete::delete;
pub(super) use detach::detach;
pub(super) use modify::modify;

/// The function that executes an action.
type Run = fn(&mut State, &Call) -> Result<Response, ApiError>;

/// An action: the names of its parameters, up to the first dot, and the function that executes it.
pub(super) struct Action {
    pub parameters: &'static [&'static str],
    pub run: Run,
}

/// Finds an action by its name.
pub(super) fn find(name: &str) -> Result<Action, ApiError> {
    let (parameters, run): (&[&str], Run) = match name {
        "CreateNetworkInterface" => (create::PARAMETERS, |state, call| create(state, call, Creator::Call)),
        "AttachNetworkInterface" => (attach::PARAMETERS, attach),
        "DetachNetworkInterface" => (detach::PARAMETERS, detach),
        "DeleteNetworkInterface" => (delete::PARAMETERS, delete),
        "ModifyNetworkInterfaceAttribute" => (modify::PARAMETERS, modify),
        "CreateTags" => (tags::PARAMETERS, tags::create_tags),
        "DeleteTags" => (tags::PARAMETERS, tags::delete_tags),
        "DescribeNetworkInterfaces" => (describe_enis::PARAMETERS, describe_enis::describe),
        "DescribeSubnets" => (describe_subnets::PARAMETERS, describe_subnets::describe),
        "DescribeSecurityGroups" => (describe_security_groups::PARAMETERS, describe_security_groups::describe),
        "DescribeInstances" => (describe_instances::PARAMETERS, describe_instances::describe),
        "DescribeInstanceTypes" => (describe_instance_types::PARAMETERS, describe_instance_types::describe),
        _ => {
            let message = format!("The action {name} is not valid for this web service.");
            return Err(ApiError::new("InvalidAction", message));
        }
    };
    Ok(Action { parameters, run })
}
