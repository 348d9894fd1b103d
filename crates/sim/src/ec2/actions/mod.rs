//! EC2's actions: one file each for what changes something.

mod attach;
mod create;
mod delete;
mod describe_enis;
mod describe_instance_types;
mod describe_instances;
mod describe_places;
mod detach;
mod modify;
mod tags;

use super::faults::Fault;
use super::params::Params;
use super::refusal::Refusal;
use super::state::State;
use super::xml::Element;

pub(super) use attach::attach;
pub(super) use create::create;
pub(super) use delete::delete;
pub(super) use detach::detach;
pub(super) use modify::modify;

/// A request that has landed.
pub(super) struct Call {
    pub params: Params,
    pub fault: Option<Fault>,
    /// Whoever makes it waits until it has come true.
    pub at_once: bool,
}

impl Call {
    /// As somebody at a console would make it.
    pub fn by_hand(params: Params) -> Self {
        Self { params, fault: None, at_once: true }
    }
}

/// A request that succeeded.
#[derive(Default)]
pub(super) struct Done {
    pub body: Vec<Element>,
    pub eni_id: Option<String>,
    pub items: Option<usize>,
}

impl Done {
    /// What calls without an answer of their own say.
    fn plainly() -> Self {
        Self { body: vec![Element::leaf("return", true)], ..Self::default() }
    }

    fn list(set: &'static str, items: Vec<Element>, next_token: Option<String>) -> Self {
        let count = items.len();
        let mut body = vec![Element::set(set, items)];
        body.extend(next_token.map(|token| Element::leaf("nextToken", token)));
        Self { body, eni_id: None, items: Some(count) }
    }
}

/// What an action does.
type Run = fn(&mut State, &Call) -> Result<Done, Refusal>;

/// An action: the roots of its parameters and what it does.
pub(super) struct Action {
    pub parameters: &'static [&'static str],
    pub run: Run,
}

pub(super) fn find(name: &str) -> Result<Action, Refusal> {
    let (parameters, run): (&[&str], Run) = match name {
        "CreateNetworkInterface" => {
            (create::PARAMETERS, |state, call| create(state, call, super::model::Creator::Call))
        }
        "AttachNetworkInterface" => (attach::PARAMETERS, attach),
        "DetachNetworkInterface" => (detach::PARAMETERS, detach),
        "DeleteNetworkInterface" => (delete::PARAMETERS, delete),
        "ModifyNetworkInterfaceAttribute" => (modify::PARAMETERS, modify),
        "CreateTags" => (tags::PARAMETERS, tags::create_tags),
        "DeleteTags" => (tags::PARAMETERS, tags::delete_tags),
        "DescribeNetworkInterfaces" => (describe_enis::PARAMETERS, describe_enis::describe),
        "DescribeSubnets" => (describe_places::SUBNET_PARAMETERS, describe_places::subnets),
        "DescribeSecurityGroups" => (describe_places::GROUP_PARAMETERS, describe_places::groups),
        "DescribeInstances" => (describe_instances::PARAMETERS, describe_instances::describe),
        "DescribeInstanceTypes" => (describe_instance_types::PARAMETERS, describe_instance_types::describe),
        _ => {
            let message = format!("The action {name} is not valid for this web service.");
            return Err(Refusal::new("InvalidAction", message));
        }
    };
    Ok(Action { parameters, run })
}

/// Calls that EC2 gives a smaller bucket: everything, in one answer.
pub(super) fn is_unfiltered(action: &str, params: &Params) -> bool {
    let narrowing = ["Filter", "MaxResults", "NextToken", "NetworkInterfaceId", "InstanceId"];
    ["DescribeNetworkInterfaces", "DescribeInstances"].contains(&action)
        && !narrowing.iter().any(|name| params.mentions(name))
}
