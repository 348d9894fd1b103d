//! What the agent has bound: for each device, how it was before. Once a device has left its kernel driver, it has no link and no MAC
//! address, so this is all that says whose it is. This file has the data alone; [`bindings_file`](super::bindings_file) stores it.

use crate::node::Mac;
use crate::pci_address::PciAddress;
use serde::{Deserialize, Serialize};

/// One device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Binding {
    /// The device.
    pub pci_address: PciAddress,
    /// The MAC address of the ENI.
    pub mac: Mac,
    /// The ENI.
    #[serde(rename = "eniID", default, skip_serializing_if = "Option::is_none")]
    pub eni_id: Option<String>,
    /// Name of the ENIAttachment.
    pub attachment: String,
    /// UID of the ENIAttachment.
    pub uid: String,
    /// The IDs of vendor and device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<u16>,
    /// See `vendor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<u16>,
    /// The kernel's driver of before. None: it is not known, and the kernel is to choose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_driver: Option<String>,
    /// The driver for DPDK.
    pub driver: String,
    /// Why the device is on its way back although it is wanted bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolling_back: Option<String>,
}

/// All devices.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bindings {
    /// The kernel's ID of the boot. A reboot gives each device back to its kernel driver.
    #[serde(rename = "bootID")]
    pub boot_id: String,
    /// The devices, by PCI address.
    #[serde(default)]
    pub devices: Vec<Binding>,
}

impl Bindings {
    /// No device.
    pub fn of_boot(boot_id: &str) -> Self {
        Self { boot_id: boot_id.to_owned(), devices: Vec::new() }
    }

    /// The entry of an ENI: by the UID of its ENIAttachment, or by its MAC address if the ENIAttachment is a new one.
    pub fn of(&self, uid: &str, mac: Option<Mac>) -> Option<&Binding> {
        let by_uid = self.devices.iter().find(|binding| binding.uid == uid);
        by_uid.or_else(|| self.devices.iter().find(|binding| Some(binding.mac) == mac))
    }

    /// The entry of a device.
    pub fn at(&self, address: &PciAddress) -> Option<&Binding> {
        self.devices.iter().find(|binding| &binding.pci_address == address)
    }

    /// Adds or replaces an entry.
    pub fn remember(&mut self, binding: Binding) {
        self.forget(&binding.pci_address);
        self.devices.push(binding);
        self.devices.sort_by(|a, b| a.pci_address.cmp(&b.pci_address));
    }

    /// Removes an entry.
    pub fn forget(&mut self, address: &PciAddress) {
        self.devices.retain(|binding| &binding.pci_address != address);
    }
}
