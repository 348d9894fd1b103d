//! The next step of one device towards its goal, from what sysfs shows now.
//!
//! `driver_override` names the wanted driver before the device has none, because another driver may claim its ID (vfio-pci with `ids=`,
//! for example). It is cleared at the end: a device that keeps it is refused by every other driver.

use super::step::{DeviceStep, Goal};
use crate::pci_device::PciDevice;
use std::collections::BTreeSet;

/// The next step. None: the goal is reached.
///
/// A device goes back to its original driver, or, if that is not known or not loaded, to the one that the kernel finds. A kernel
/// driver is never unbound on the way back.
pub(super) fn next_step(
    device: &PciDevice,
    goal: Goal,
    original: Option<&str>,
    loaded: &BTreeSet<String>,
) -> Option<DeviceStep> {
    let target = match goal {
        Goal::Bind(driver) => Some(driver.name()),
        Goal::Restore => original.filter(|driver| loaded.contains(*driver)),
    };
    let clear = || device.driver_override.is_some().then_some(DeviceStep::ClearOverride);
    let is_there = match goal {
        Goal::Bind(_) => device.driver.as_deref() == target,
        Goal::Restore => device.driver.is_some() && !device.has_dpdk_driver(),
    };
    if is_there {
        return clear();
    }
    let has_override = device.driver_override.as_deref() == target;
    let first = match target {
        Some(target) => (!has_override).then(|| DeviceStep::SetOverride(target.to_owned())),
        None => clear(),
    };
    first.or_else(|| match &device.driver {
        Some(driver) => Some(DeviceStep::Unbind(driver.clone())),
        None => Some(DeviceStep::Probe),
    })
}
