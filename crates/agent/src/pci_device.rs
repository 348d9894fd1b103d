//! A PCI device as sysfs shows it, as plain data: for the plan of DPDK, and for what pods are offered. [`pci_sysfs`](crate::pci_sysfs)
//! reads it.

use crate::dpdk::driver::DpdkDriver;
use crate::pci_address::PciAddress;
use std::fmt;

/// The IOMMU group of a device. Its number is of this boot and of this binding: it is never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IommuGroup {
    /// The number, as in `/dev/vfio/NUMBER`.
    pub number: u32,
    /// Whether vfio made the group because there is no IOMMU. The file is then `/dev/vfio/noiommu-NUMBER`.
    pub is_noiommu: bool,
}

impl IommuGroup {
    /// The file of the group, as a container has it.
    pub fn file(&self) -> String {
        format!("/dev/vfio/{}", self.number)
    }

    /// The file of the group on the host.
    pub fn host_file(&self) -> String {
        if self.is_noiommu { format!("/dev/vfio/noiommu-{}", self.number) } else { self.file() }
    }
}

/// A device of an IOMMU group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDevice {
    /// The device.
    pub address: PciAddress,
    /// Its driver.
    pub driver: String,
}

impl GroupDevice {
    /// Whether a device with this driver leaves its group to programs: those of vfio, and those that use no memory of the node.
    pub fn leaves_group(driver: &str) -> bool {
        driver.contains("vfio") || matches!(driver, "pci-stub" | "pcieport")
    }
}

impl fmt::Display for GroupDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.address, self.driver)
    }
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
    /// The NUMA node. None: the machine has none, or does not tell.
    pub numa_node: Option<u32>,
    /// The IOMMU group.
    pub iommu_group: Option<IommuGroup>,
    /// The other devices of its IOMMU group that the kernel uses itself, with their drivers. While there is one, no program can open the
    /// group.
    pub group_in_use: Vec<GroupDevice>,
    /// The names of its links, in the network namespace of sysfs.
    pub links: Vec<String>,
    /// The names of its uio devices, such as uio0.
    pub uio: Vec<String>,
}

impl PciDevice {
    /// Whether the driver gives the device to user space.
    pub fn has_dpdk_driver(&self) -> bool {
        self.driver.as_deref().is_some_and(DpdkDriver::is_name)
    }

    /// Whether the device has a driver, and the kernel itself uses it.
    pub fn has_kernel_driver(&self) -> bool {
        self.driver.is_some() && !self.has_dpdk_driver()
    }

    /// The files of `/dev` by which a program holds the device.
    pub fn device_files(&self) -> Vec<String> {
        // A container may have the file without the prefix.
        let group = self
            .iommu_group
            .iter()
            .flat_map(|group| [format!("/dev/vfio/{}", group.number), format!("/dev/vfio/noiommu-{}", group.number)]);
        group.chain(self.uio.iter().map(|name| format!("/dev/{name}"))).collect()
    }
}
