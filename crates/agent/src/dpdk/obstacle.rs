//! Why an ENI is not bound to its DPDK driver, or not given back yet.

use super::driver::{DpdkDriver, NotADpdkDriver};
use crate::pci_address::PciAddress;
use crate::pci_device::GroupDevice;
use multi_eni_api::configured_reason::ConfiguredReason;
use std::fmt;

/// The reason, with what a person needs to act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DpdkObstacle {
    /// The spec names a driver that the agent does not know.
    DriverUnknown(NotADpdkDriver),
    /// The driver is not loaded.
    DriverMissing(DpdkDriver),
    /// vfio-pci needs an IOMMU, or its mode without one.
    NoIommu {
        /// Whether the kernel has the mode without an IOMMU.
        has_mode: bool,
    },
    /// The kernel uses other devices of its IOMMU group, so that no program could open the group.
    GroupInUse {
        /// The group.
        group: u32,
        /// These devices.
        by: Vec<GroupDevice>,
    },
    /// The link is not directly on a PCI device.
    NotPci {
        /// The link.
        link: String,
    },
    /// `dpdkPCIAddress` names another device than the one with the ENI's MAC address.
    PciAddressMismatch {
        /// The address in the spec.
        wanted: PciAddress,
        /// The device of the ENI.
        actual: PciAddress,
    },
    /// The agent may not write the files of the device.
    SysfsReadOnly,
    /// Others use the link.
    LinkInUse(String),
    /// A program other than the agent or upstream has bound the device that `dpdkPCIAddress` names.
    NotOurs {
        /// The device.
        device: PciAddress,
        /// Its driver.
        driver: String,
    },
    /// Steps are under way.
    InProgress(String),
    /// A process holds the device, or the kernel waits for one to let it go.
    DeviceHeld(String),
    /// The device could not be bound. It is at its kernel driver, or on its way back.
    BindFailed(String),
    /// The device could not be given back.
    RestoreFailed(String),
    /// The device has its kernel driver again, and no link of it is in the node's network namespace.
    LinkNotBack {
        /// The device.
        device: PciAddress,
        /// Its driver.
        driver: String,
    },
}

/// Devices, with commas between.
pub(super) fn listed(devices: &[GroupDevice]) -> String {
    devices.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl DpdkObstacle {
    /// The reason of the condition Configured.
    pub fn configured_reason(&self) -> ConfiguredReason {
        match self {
            Self::DriverUnknown(_) => ConfiguredReason::DriverUnknown,
            Self::DriverMissing(_) => ConfiguredReason::DriverMissing,
            Self::NoIommu { .. } => ConfiguredReason::NoIommu,
            Self::GroupInUse { .. } => ConfiguredReason::GroupInUse,
            Self::NotPci { .. } => ConfiguredReason::NotPci,
            Self::PciAddressMismatch { .. } => ConfiguredReason::PciAddressMismatch,
            Self::SysfsReadOnly => ConfiguredReason::SysfsReadOnly,
            Self::LinkInUse(_) => ConfiguredReason::LinkInUse,
            Self::NotOurs { .. } => ConfiguredReason::NotOurs,
            Self::InProgress(_) => ConfiguredReason::DriverChanging,
            Self::DeviceHeld(_) => ConfiguredReason::DeviceHeld,
            Self::BindFailed(_) => ConfiguredReason::BindFailed,
            Self::RestoreFailed(_) => ConfiguredReason::RestoreFailed,
            Self::LinkNotBack { .. } => ConfiguredReason::LinkNotBack,
        }
    }

    /// The same as text.
    pub fn reason(&self) -> &'static str {
        self.configured_reason().as_str()
    }

    /// Whether a person should hear of it by an Event, too.
    pub fn is_for_event(&self) -> bool {
        matches!(self, Self::DeviceHeld(_) | Self::BindFailed(_) | Self::RestoreFailed(_))
    }
}

impl fmt::Display for DpdkObstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DriverUnknown(error) => write!(f, "dpdkDriver: {error}"),
            Self::DriverMissing(driver) => write!(
                f,
                "the driver {driver} is not loaded on the node: load its module, or start the agent with --load-modules"
            ),
            Self::NoIommu { has_mode: true } => write!(
                f,
                "vfio-pci needs an IOMMU, and the device has none: use an instance with an IOMMU, or switch on vfio's mode without one \
                 (enable_unsafe_noiommu_mode, or --enable-no-iommu of the agent)"
            ),
            Self::NoIommu { has_mode: false } => write!(
                f,
                "vfio-pci needs an IOMMU, and the device has none; the node's kernel has no mode without one (CONFIG_VFIO_NOIOMMU)"
            ),
            Self::GroupInUse { group, by } => write!(
                f,
                "no program could open the device, because the kernel uses other devices of its IOMMU group {group}: {}",
                listed(by)
            ),
            Self::NotPci { link } => {
                write!(f, "the link {link} is not directly on a PCI device, so it cannot be bound")
            }
            Self::PciAddressMismatch { wanted, actual } => write!(
                f,
                "dpdkPCIAddress is {wanted}, and the ENI is the device {actual}: the agent binds no other device than the ENI's"
            ),
            Self::SysfsReadOnly => {
                write!(f, "/sys is read-only for the agent: set nodeAgent.dpdk.enabled in the chart")
            }
            Self::LinkInUse(what) => write!(f, "others use the link, so the agent does not take it away: {what}"),
            Self::NotOurs { device, driver } => write!(
                f,
                "the device {device} of dpdkPCIAddress is bound to {driver}, and neither the agent nor upstream has recorded that it is the \
                 ENI: give it back to its kernel driver"
            ),
            Self::InProgress(what) | Self::DeviceHeld(what) | Self::BindFailed(what) | Self::RestoreFailed(what) => {
                write!(f, "{what}")
            }
            Self::LinkNotBack { device, driver } => write!(
                f,
                "the device {device} has its driver {driver} again, and no link of it is in the node's network namespace"
            ),
        }
    }
}
