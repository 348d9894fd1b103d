//! One step for one device. A step is one write, so that the plan looks at the device after each.

use super::bindings::Binding;
use super::driver::DpdkDriver;
use crate::pci_address::PciAddress;
use std::fmt;

/// Where a device is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Goal {
    /// To a driver for DPDK.
    Bind(DpdkDriver),
    /// Back to the kernel.
    Restore,
}

/// A change of the kernel's state. It may block, so a thread of its own makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceStep {
    /// Loads the module of a driver.
    LoadModule(DpdkDriver),
    /// Switches on vfio's mode without an IOMMU.
    EnableNoIommu,
    /// Writes `driver_override`: the kernel gives the device to no other driver.
    SetOverride(String),
    /// Clears `driver_override`.
    ClearOverride,
    /// Takes the device from this driver.
    Unbind(String),
    /// Lets the kernel find a driver.
    Probe,
}

impl DeviceStep {
    /// Whether the step is of this device alone, and not of the whole node.
    pub fn is_of_device(&self) -> bool {
        !matches!(self, Self::LoadModule(_) | Self::EnableNoIommu)
    }
}

/// One step of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DpdkStep {
    /// Writes an entry of the ledger. It comes before the first change of a device.
    Remember(Binding),
    /// Removes an entry. It comes after the last change of a device, or when the device is gone.
    Forget(PciAddress),
    /// Notes that the goal cannot be reached now, and why.
    GiveUp {
        /// The device.
        address: PciAddress,
        /// The goal.
        goal: Goal,
        /// A sentence.
        why: String,
    },
    /// A change of a device.
    Device {
        /// The device.
        address: PciAddress,
        /// The goal.
        goal: Goal,
        /// The change.
        step: DeviceStep,
    },
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(driver) => write!(f, "bind it to {driver}"),
            Self::Restore => write!(f, "give it back to the kernel"),
        }
    }
}

impl fmt::Display for DeviceStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LoadModule(driver) => write!(f, "load the module {driver}"),
            Self::EnableNoIommu => write!(f, "switch on vfio's mode without an IOMMU"),
            Self::SetOverride(driver) => write!(f, "write driver_override {driver}"),
            Self::ClearOverride => write!(f, "clear driver_override"),
            Self::Unbind(driver) => write!(f, "unbind from {driver}"),
            Self::Probe => write!(f, "probe for a driver"),
        }
    }
}

impl fmt::Display for DpdkStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remember(binding) => write!(f, "record device {} in the ledger", binding.pci_address),
            Self::Forget(address) => write!(f, "remove device {address} from the ledger"),
            Self::GiveUp { address, goal, why } => write!(f, "give up on device {address} to {goal}: {why}"),
            Self::Device { address, step, .. } => write!(f, "device {address}: {step}"),
        }
    }
}
