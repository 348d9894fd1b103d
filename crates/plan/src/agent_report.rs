//! The node agent's report in the status of an ENIAttachment: whether it is about this ENI and about this boot of the node, and which
//! driver for DPDK has the device. It is given the status. It decides no action.

use crate::attachment::Attachment;
use multi_eni_api::node_status::NodeStatus;

/// The drivers that give a PCI device to a program in user space.
const DPDK_DRIVERS: [&str; 3] = ["vfio-pci", "igb_uio", "uio_pci_generic"];

/// The report of the node agent about the ENI with this MAC address. An ENI that replaces another one has another MAC address.
pub fn of_eni<'a>(attachment: &'a Attachment, mac: Option<&str>) -> Option<&'a NodeStatus> {
    let report = attachment.status.node.as_deref()?;
    let is_of_it = report.mac_address.as_deref().zip(mac).is_some_and(|(said, has)| said.eq_ignore_ascii_case(has));
    is_of_it.then_some(report)
}

/// Whether the report is of the present boot of the node. `boot_ids`: the boots that the Nodes of its instance show. A report that names
/// no boot, and a Node that shows none, say nothing against it.
pub fn is_of_this_boot(report: &NodeStatus, boot_ids: &[&str]) -> bool {
    let Some(said) = report.boot_id.as_deref().filter(|said| !said.is_empty()) else { return true };
    let mut shown = boot_ids.iter().filter(|shown| !shown.is_empty()).peekable();
    shown.peek().is_none() || shown.any(|shown| *shown == said)
}

/// The driver for DPDK that has the device, by this report.
pub fn dpdk_driver(report: &NodeStatus) -> Option<&str> {
    report.driver.as_deref().filter(|driver| DPDK_DRIVERS.contains(driver))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_an_earlier_boot_is_known_only_if_the_node_shows_its_boot() {
        let of = |boot: Option<&str>| NodeStatus { boot_id: boot.map(str::to_owned), ..NodeStatus::default() };
        let cases: [(Option<&str>, &[&str], bool); 8] = [
            (Some("b"), &["b"], true),
            (Some("b"), &["a"], false),
            (Some("b"), &[], true),
            (Some("b"), &[""], true),
            // A stale Node of the same instance shows an earlier boot.
            (Some("b"), &["a", "b"], true),
            (Some("b"), &["", "a"], false),
            (None, &["a"], true),
            (Some(""), &["a"], true),
        ];
        for (said, shown, expected) in cases {
            assert_eq!(is_of_this_boot(&of(said), shown), expected, "{said:?} {shown:?}");
        }
    }

    #[test]
    fn only_drivers_for_dpdk_have_a_device() {
        let of = |driver: Option<&str>| NodeStatus { driver: driver.map(str::to_owned), ..NodeStatus::default() };
        for driver in DPDK_DRIVERS {
            assert_eq!(dpdk_driver(&of(Some(driver))), Some(driver));
        }
        for driver in [None, Some("ena"), Some(""), Some("VFIO-PCI")] {
            assert_eq!(dpdk_driver(&of(driver)), None, "{driver:?}");
        }
    }
}
