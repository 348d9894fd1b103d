//! Whether an ENI waits for another device index. `assign` makes that decision; here it only matters for the report.

use super::input::Input;
use crate::ec2_errors::Class;
use crate::failure::Failure;
use crate::gates::instance_type::is_of_an_index;
use multi_eni_api::DeviceIndexPolicy;

/// Whether `assign` deletes this ENI soon and gives another one the next free index: `deviceIndexPolicy: highestFree`, the slot is
/// occupied or the instance type does not have this index, and the ENI was never attached.
pub(super) fn chooses_another_index(input: &Input<'_>, failure: &Failure) -> bool {
    input.spec.is_some_and(|spec| spec.index_policy == DeviceIndexPolicy::HighestFree)
        && (failure.class == Class::SlotTaken || is_of_an_index(failure))
        && input.attachment.adopted.is_none()
        && !input.attachment.was_attached()
}
