//! Operations that move names: security groups that are created again, and subnets that are renamed. When the faults stop, every
//! name gets its first meaning again.

use super::Environment;
use super::ec2_setup::{GROUPS, add_group, all_groups, group, group_name, vpc_of_group};
use super::operation_result::OperationResult;
use crate::script::SubnetPlace;

impl Environment {
    /// Deletes a security group and creates one with the same name.
    pub(super) fn remake_group(&self, number: u64) -> OperationResult {
        let name = group_name(number);
        let (old, new) = (self.current_group(number).ok_or("there is no such group")?, self.unused_group());
        self.ec2.remove_place(&old);
        add_group(&self.ec2, number, &new)?;
        Ok(format!("security group {name} is deleted and created again: {old} becomes {new}"))
    }

    /// Sets a subnet's tag Name. An empty name removes the tag.
    pub(super) fn rename_subnet(&self, subnet: &str, name: &str) -> OperationResult {
        self.ec2.name_subnet(subnet, name).map_err(|error| error.to_string())?;
        Ok(format!("{subnet} is named {name:?}"))
    }

    /// The ID of the group that has the name of the nth group now.
    fn current_group(&self, number: u64) -> Option<String> {
        let (name, vpc) = (group_name(number), vpc_of_group(number));
        let mut all = self.ec2.snapshot().groups.into_values();
        all.find(|group| group.name == name && group.vpc_id == vpc).map(|group| group.id)
    }

    /// An ID that no group has had: the next number after the account's groups.
    fn unused_group(&self) -> String {
        let last = self.ec2.snapshot().groups.into_keys().filter(|id| id.starts_with("sg-00000000")).max();
        let last = last.and_then(|id| u64::from_str_radix(id.trim_start_matches("sg-"), 16).ok());
        group(last.unwrap_or(GROUPS).max(GROUPS) + 1)
    }

    /// Gives every name its first meaning again.
    pub(super) fn put_names_back(&self, subnets: &[SubnetPlace]) -> Result<(), String> {
        for number in all_groups(subnets) {
            let id = group(number);
            match self.current_group(number) {
                Some(now) if now == id => continue,
                Some(now) => self.ec2.remove_place(&now),
                None => {}
            }
            add_group(&self.ec2, number, &id)?;
        }
        let snapshot = self.ec2.snapshot();
        for place in subnets {
            let now = snapshot.subnets.get(&place.id).and_then(|subnet| subnet.tags.get("Name"));
            let name = place.name.as_deref().unwrap_or_default();
            if now.map(String::as_str).unwrap_or_default() != name {
                self.ec2.name_subnet(&place.id, name).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }
}
