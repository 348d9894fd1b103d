//! The check of security groups that CreateNetworkInterface and ModifyNetworkInterfaceAttribute share.

use crate::ec2::api_error::ApiError;
use crate::ec2::state::State;

/// The action that names the groups. EC2's errors differ between the two.
#[derive(Clone, Copy)]
pub(super) enum GroupUser<'a> {
    /// CreateNetworkInterface, in this subnet.
    Create(&'a str),
    /// ModifyNetworkInterfaceAttribute.
    Modify,
}

/// Checks that the groups exist, are in the VPC, and are not too many.
pub(super) fn check_groups(state: &State, groups: &[String], vpc: &str, user: GroupUser<'_>) -> Result<(), ApiError> {
    for id in groups {
        let group = state.groups.get(id).ok_or_else(|| ApiError::no_group(id))?;
        if group.vpc_id != vpc {
            return Err(match user {
                GroupUser::Create(subnet) => ApiError::new(
                    "InvalidParameter",
                    format!("Security group {id} and subnet {subnet} belong to different networks."),
                ),
                GroupUser::Modify => ApiError::new(
                    "InvalidGroup.NotFound",
                    "You have specified two resources that belong to different networks.",
                ),
            });
        }
    }
    let most = state.settings.groups_per_interface;
    if groups.len() > most {
        return Err(match user {
            GroupUser::Create(_) => ApiError::value(format!(
                "user 123456789012 exceeded limit {most} on the number of interface security group memberships"
            )),
            GroupUser::Modify => ApiError::new(
                "SecurityGroupsPerInterfaceLimitExceeded",
                "The maximum number of security groups per interface has been reached.",
            ),
        });
    }
    Ok(())
}
