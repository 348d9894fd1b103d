//! All PCI devices of the node, as plain data.

use crate::pci_address::PciAddress;
use crate::pci_device::PciDevice;
use std::collections::{BTreeMap, BTreeSet};

/// All PCI devices of the node, and what the kernel has for DPDK.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pci {
    /// The devices.
    pub devices: BTreeMap<PciAddress, PciDevice>,
    /// The PCI drivers that are loaded.
    pub drivers: BTreeSet<String>,
    /// Whether the machine has an IOMMU.
    pub has_iommu: bool,
    /// Whether vfio's mode without an IOMMU is on. None: the kernel has no such mode, or vfio is not loaded.
    pub no_iommu: Option<bool>,
    /// Whether igb_uio maps with write-combining. None: it is not loaded, or cannot tell.
    pub write_combining: Option<bool>,
    /// How many processes do not show the agent which files they have open. It is counted while the kernel is busy with a device.
    pub unseen_processes: usize,
}
