//! The drivers that give a PCI device to a program in user space.

use std::fmt;
use std::str::FromStr;

/// A driver for DPDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DpdkDriver {
    /// Linux's own. It needs an IOMMU, or its mode without one.
    VfioPci,
    /// Of DPDK's repository of kernel modules.
    IgbUio,
    /// Linux's own, for devices with legacy interrupts.
    UioPciGeneric,
}

/// A text that names none of the drivers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no driver for DPDK that the agent knows: vfio-pci, igb_uio, uio_pci_generic")]
pub struct NotADpdkDriver(pub String);

impl DpdkDriver {
    /// All drivers.
    pub const ALL: [Self; 3] = [Self::VfioPci, Self::IgbUio, Self::UioPciGeneric];

    /// The name in sysfs, which is also the name of the module.
    pub const fn name(self) -> &'static str {
        match self {
            Self::VfioPci => "vfio-pci",
            Self::IgbUio => "igb_uio",
            Self::UioPciGeneric => "uio_pci_generic",
        }
    }

    /// Whether a driver of this name gives its devices to user space.
    pub fn is_name(name: &str) -> bool {
        Self::ALL.iter().any(|driver| driver.name() == name)
    }
}

impl FromStr for DpdkDriver {
    type Err = NotADpdkDriver;

    fn from_str(name: &str) -> Result<Self, NotADpdkDriver> {
        Self::ALL.into_iter().find(|driver| driver.name() == name).ok_or_else(|| NotADpdkDriver(name.to_owned()))
    }
}

impl fmt::Display for DpdkDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_three_drivers_are_read() {
        for driver in DpdkDriver::ALL {
            assert_eq!(driver.name().parse(), Ok(driver));
        }
        for wrong in ["", "ena", "vfio_pci", "VFIO-PCI", "../vfio-pci"] {
            assert!(wrong.parse::<DpdkDriver>().unwrap_err().to_string().contains("vfio-pci, igb_uio"), "{wrong}");
        }
    }
}
