//! What `multi-eni-agent doctor` says of DPDK: the drivers, the IOMMU, and each device that has a link or a driver for DPDK, with the
//! processes that hold it.

use super::bindings::Bindings;
use super::driver::DpdkDriver;
use super::holders::Holders;
use super::obstacle::listed;
use super::pci::Pci;
use super::upstream::UpstreamBinding;
use crate::pci_device::PciDevice;
use std::fmt::Write as _;

/// The text. `holders` tells the processes that hold a device.
pub fn text(
    pci: &Pci,
    bindings: &Bindings,
    upstream: &[UpstreamBinding],
    holders: impl Fn(&PciDevice) -> Holders,
) -> String {
    let mut out = String::new();
    let loaded: Vec<&str> =
        DpdkDriver::ALL.iter().map(|driver| driver.name()).filter(|name| pci.drivers.contains(*name)).collect();
    let loaded = if loaded.is_empty() { "none".to_owned() } else { loaded.join(", ") };
    let iommu = if pci.has_iommu { "yes" } else { "no" };
    let no_iommu = match pci.no_iommu {
        Some(true) => "on",
        Some(false) => "off",
        None => "not there (vfio is not loaded, or the kernel has no CONFIG_VFIO_NOIOMMU)",
    };
    // Writing to a String never fails.
    let _ = writeln!(out, "DPDK: drivers loaded: {loaded}; IOMMU: {iommu}; vfio's mode without an IOMMU: {no_iommu}");
    if pci.drivers.contains(DpdkDriver::IgbUio.name()) {
        let state = match pci.write_combining {
            Some(true) => "on",
            Some(false) => "off: ENA is slow",
            None => "the module does not tell",
        };
        let _ = writeln!(out, "  write-combining of igb_uio (wc_activate): {state}");
    }
    for (address, device) in &pci.devices {
        let binding = bindings.at(address);
        if device.links.is_empty() && !device.has_dpdk_driver() && binding.is_none() {
            continue;
        }
        let driver = device.driver.as_deref().unwrap_or("no driver");
        let _ = write!(out, "  device {address}: {driver}");
        if !device.links.is_empty() {
            let _ = write!(out, ", link {}", device.links.join(", "));
        }
        match &device.iommu_group {
            Some(group) if group.is_noiommu => {
                let _ = write!(out, ", group {} without an IOMMU", group.number);
            }
            Some(group) => {
                let _ = write!(out, ", IOMMU group {}", group.number);
                let others = pci
                    .devices
                    .iter()
                    .filter(|(other, seen)| *other != address && seen.iommu_group == device.iommu_group);
                let others: Vec<&str> = others.map(|(other, _)| other.as_str()).collect();
                if !others.is_empty() {
                    let _ = write!(out, " with {} (only one program can open a group)", others.join(", "));
                }
                if !device.group_in_use.is_empty() {
                    let _ = write!(out, ", which no program can open because of {}", listed(&device.group_in_use));
                }
            }
            None => {}
        }
        if let Some(node) = device.numa_node {
            let _ = write!(out, ", NUMA node {node}");
        }
        match binding {
            Some(binding) => {
                let before = binding.original_driver.as_deref().unwrap_or("not known");
                let _ = write!(out, ", bound by the agent for {} (before: {before})", binding.attachment);
            }
            None if upstream.iter().any(|theirs| &theirs.pci_address == address) => {
                let _ = write!(out, ", bound by upstream as its file says");
            }
            None if device.has_dpdk_driver() => {
                let _ = write!(out, ", bound by another program");
            }
            None => {}
        }
        if device.has_dpdk_driver() {
            let _ = write!(out, ", held by {}", holders(device));
        }
        let _ = writeln!(out);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dpdk::holders::Holder;
    use crate::pci_device::IommuGroup;

    #[test]
    fn drivers_iommu_devices_and_holders_are_said() {
        let bound = PciDevice {
            driver: Some("vfio-pci".to_owned()),
            iommu_group: Some(IommuGroup { number: 3, is_noiommu: true }),
            numa_node: Some(1),
            ..PciDevice::default()
        };
        let kernel =
            PciDevice { driver: Some("ena".to_owned()), links: vec!["ens5".to_owned()], ..PciDevice::default() };
        let mut pci = Pci { no_iommu: Some(true), write_combining: Some(false), ..Pci::default() };
        for (number, device) in [(5, kernel), (6, bound.clone()), (7, bound), (8, PciDevice::default())] {
            pci.devices.insert(format!("0000:00:{number:02x}.0").parse().unwrap(), device);
        }
        pci.drivers.extend(["ena", "vfio-pci", "igb_uio"].map(str::to_owned));
        let upstream = [UpstreamBinding { eni_id: "eni-1".to_owned(), pci_address: "0000:00:07.0".parse().unwrap() }];
        let holder = Holder { pid: 7, program: "testpmd".to_owned(), file: "/dev/vfio/3".to_owned() };
        let holders = |_: &PciDevice| Holders { seen: vec![holder.clone()], unseen: 0 };
        let text = text(&pci, &Bindings::default(), &upstream, holders);
        assert_eq!(
            text,
            "DPDK: drivers loaded: vfio-pci, igb_uio; IOMMU: no; vfio's mode without an IOMMU: on\n\
             \u{20} write-combining of igb_uio (wc_activate): off: ENA is slow\n\
             \u{20} device 0000:00:05.0: ena, link ens5\n\
             \u{20} device 0000:00:06.0: vfio-pci, group 3 without an IOMMU, NUMA node 1, bound by another program, held by process 7 \
             (testpmd, /dev/vfio/3)\n\
             \u{20} device 0000:00:07.0: vfio-pci, group 3 without an IOMMU, NUMA node 1, bound by upstream as its file says, held by \
             process 7 (testpmd, /dev/vfio/3)\n"
        );
    }
}
