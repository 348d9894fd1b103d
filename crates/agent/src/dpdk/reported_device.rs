//! A device that the agent has reported as bound, of an ENIAttachment that is being deleted. Its ENI stays attached until the report says
//! that the device is given back. The ledger forgets a device before that report is written, so that an agent that ends between the two
//! finds in the report alone that something is left to say.

use super::driver::DpdkDriver;
use crate::node::Mac;
use multi_eni_api::node_status::NodeStatus;

/// The device of an ENI, as the last report has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedDevice {
    /// Name of the ENIAttachment.
    pub attachment: String,
    /// UID of the ENIAttachment.
    pub uid: String,
    /// The MAC address of the ENI.
    pub mac: Mac,
}

impl ReportedDevice {
    /// Reads the last report of an ENIAttachment. None: it is of another boot, or no driver for DPDK had the device.
    pub fn read(attachment: &str, uid: &str, report: &NodeStatus, boot_id: &str) -> Option<Self> {
        let is_bound = report.driver.as_deref().is_some_and(DpdkDriver::is_name);
        let mac = report.mac_address.as_deref().filter(|_| is_bound && report.boot_id.as_deref() == Some(boot_id))?;
        Some(Self { attachment: attachment.to_owned(), uid: uid.to_owned(), mac: mac.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_this_boot_with_a_driver_for_dpdk_counts_and_no_other() {
        let report = |driver: &str, boot: &str| NodeStatus {
            mac_address: Some("02:00:00:00:00:01".to_owned()),
            driver: Some(driver.to_owned()),
            boot_id: Some(boot.to_owned()),
            ..NodeStatus::default()
        };
        let read = |report: NodeStatus| ReportedDevice::read("eni-1", "uid-1", &report, "boot");
        assert!(read(report("vfio-pci", "boot")).is_some_and(|device| device.mac.0[5] == 1));
        for other in [report("ena", "boot"), report("vfio-pci", "before"), NodeStatus::default()] {
            assert_eq!(read(other), None);
        }
        assert_eq!(read(NodeStatus { mac_address: Some("x".to_owned()), ..report("vfio-pci", "boot") }), None);
    }
}
