//! PCI devices as sysfs shows them, as plain data.

use crate::pci_address::PciAddress;
use std::collections::{BTreeMap, BTreeSet};

/// The IOMMU group of a device. Its number is of this boot and of this binding: it is never stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IommuGroup {
    /// The number, as in `/dev/vfio/NUMBER`.
    pub number: String,
    /// Whether vfio made the group because there is no IOMMU. The file is then `/dev/vfio/noiommu-NUMBER`.
    pub is_noiommu: bool,
}

/// One PCI device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PciDevice {
    /// The ID of the vendor.
    pub vendor: Option<u16>,
    /// The ID of the device.
    pub device: Option<u16>,
    /// The driver.
    pub driver: Option<String>,
    /// The driver that the kernel must use at the next probe. It is read of the devices of the ledger alone.
    pub driver_override: Option<String>,
    /// Whether the kernel is busy with the device: it does not answer what `driver_override` is.
    pub is_locked: bool,
    /// Whether the agent may not write the files that move the device to another driver.
    pub is_read_only: bool,
    /// The NUMA node.
    pub numa_node: Option<i32>,
    /// The IOMMU group.
    pub iommu_group: Option<IommuGroup>,
    /// The names of its links, in the network namespace of sysfs.
    pub links: Vec<String>,
    /// The names of its uio devices, such as uio0.
    pub uio: Vec<String>,
}

impl PciDevice {
    /// Whether the driver gives the device to user space.
    pub fn has_dpdk_driver(&self) -> bool {
        self.driver.as_deref().is_some_and(super::driver::DpdkDriver::is_name)
    }

    /// The files of `/dev` by which a program holds the device.
    pub fn device_files(&self) -> Vec<String> {
        let group = self.iommu_group.iter().flat_map(|group| {
            // A container may have the file without the prefix.
            [format!("/dev/vfio/{}", group.number), format!("/dev/vfio/noiommu-{}", group.number)]
        });
        group.chain(self.uio.iter().map(|name| format!("/dev/{name}"))).collect()
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_in_both_cases_and_nothing_else_is() {
        assert_eq!("0000:0A:1f.7".parse::<PciAddress>().unwrap().as_str(), "0000:0a:1f.7");
        assert_eq!("10000:01:00.0".parse::<PciAddress>().unwrap().as_str(), "10000:01:00.0");
        for wrong in [
            "",
            "00:06.0",
            "0000:00:06",
            "0000:00:06.8",
            "0000:00:06.10",
            "0000:00:6.0",
            "0000:00:06.0:1",
            "../0:00:06.0",
            "virtio3",
        ] {
            assert!(wrong.parse::<PciAddress>().is_err(), "{wrong}");
        }
    }
}
