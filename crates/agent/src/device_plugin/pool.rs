//! The devices that are offered to pods, as plain data.

use crate::device_plugin::resource_name::ResourceName;
use crate::pci_address::PciAddress;
use std::collections::BTreeMap;

/// All pools of the node.
pub type Pools = BTreeMap<ResourceName, Pool>;

/// The devices of one resource, in the order of their addresses.
pub type Pool = BTreeMap<PciAddress, Device>;

/// One ENI's device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Whether a pod can have it now.
    pub is_healthy: bool,
    /// The NUMA node. None: the machine has none, or does not tell.
    pub numa_node: Option<u32>,
    /// The driver that the device has.
    pub driver: Option<String>,
    /// How a program uses it.
    pub access: Access,
}

/// How a program uses a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// As a network interface, which a CNI plugin moves into the pod.
    Interface,
    /// By VFIO, with the device node of the IOMMU group.
    Vfio {
        /// The node on the host. Without an IOMMU it has another name than in the container.
        host: String,
        /// The node in the container.
        container: String,
    },
    /// By UIO, with the device node.
    Uio {
        /// The node.
        node: String,
    },
}

impl Access {
    /// The device node of the host that belongs to the device alone, or to its IOMMU group.
    pub fn node(&self) -> Option<&str> {
        match self {
            Self::Interface => None,
            Self::Vfio { host, .. } => Some(host),
            Self::Uio { node } => Some(node),
        }
    }
}
