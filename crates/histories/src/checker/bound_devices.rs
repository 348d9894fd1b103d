//! Which driver has the device of an ENI, by the node agent's report. It judges nothing.

use multi_eni_api::conditions::types;
use multi_eni_plan::attachment::Attachment;

/// The drivers that give a device to a program.
const DRIVERS: [&str; 3] = ["vfio-pci", "igb_uio", "uio_pci_generic"];

/// Whether the stored report is about the ENI with this MAC address, and says that a driver for DPDK has its device.
pub fn is_bound_of(attachment: &Attachment, mac: &str) -> bool {
    let reported = attachment.status.node.as_ref().and_then(|node| node.mac_address.as_deref());
    reported.is_some_and(|reported| reported.eq_ignore_ascii_case(mac)) && is_bound(attachment)
}

fn is_bound(attachment: &Attachment) -> bool {
    let status = &attachment.status;
    let driver = status.node.as_ref().and_then(|node| node.driver.as_deref());
    let configured = status.conditions.iter().find(|condition| condition.type_ == types::CONFIGURED);
    let is_restored = configured.is_some_and(|said| said.status == "False" && said.reason == "Restored");
    driver.is_some_and(|driver| DRIVERS.contains(&driver)) && !is_restored
}
