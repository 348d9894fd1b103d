//! Decides what kubelet is told of each device: its health, its NUMA node and how a program uses it. Given what sysfs shows.

use crate::device_plugin::candidates::Candidate;
use crate::device_plugin::pool::{Access, Device, Pools};
use crate::pci_address::PciAddress;
use crate::pci_device::PciDevice;
use std::fmt;

/// The pools of the candidates. `look` is what sysfs shows of a device.
pub fn pools(candidates: &[Candidate], look: impl Fn(&PciAddress) -> Option<PciDevice>) -> Pools {
    let mut pools = Pools::new();
    for candidate in candidates {
        let device = device(candidate.is_configured, look(&candidate.device));
        pools.entry(candidate.resource.clone()).or_default().insert(candidate.device.clone(), device);
    }
    pools
}

/// Why no pod can have a device now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The condition Configured of its ENIAttachment is not True.
    NotConfigured,
    /// sysfs does not show it.
    Gone,
    /// It has no driver.
    NoDriver,
    /// It has the driver vfio-pci and no IOMMU group.
    NoGroup,
    /// A driver of the kernel has another device of its IOMMU group.
    GroupInUse,
    /// It has a uio driver and no uio device.
    NoUio,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotConfigured => "the condition Configured of its ENIAttachment is not True",
            Self::Gone => "sysfs does not show it",
            Self::NoDriver => "it has no driver",
            Self::NoGroup => "it has no IOMMU group",
            Self::GroupInUse => {
                "a driver of the kernel has another device of its IOMMU group, so that no program can open the group"
            }
            Self::NoUio => "it has no uio device",
        })
    }
}

/// Why no pod can have the device now. None: a pod can.
pub fn fault(is_configured: bool, seen: Option<&PciDevice>) -> Option<Fault> {
    match seen {
        _ if !is_configured => Some(Fault::NotConfigured),
        None => Some(Fault::Gone),
        Some(seen) => access(seen).err(),
    }
}

/// How a program uses the device. Without the device's node a pod would get a variable and no device.
fn access(seen: &PciDevice) -> Result<Access, Fault> {
    match access_by_driver(seen)? {
        Access::Vfio { .. } if !seen.group_in_use.is_empty() => Err(Fault::GroupInUse),
        access => Ok(access),
    }
}

/// The same, whatever the rest of its IOMMU group does.
fn access_by_driver(seen: &PciDevice) -> Result<Access, Fault> {
    match seen.driver.as_deref() {
        Some("vfio-pci") => {
            let group = seen.iommu_group.ok_or(Fault::NoGroup)?;
            Ok(Access::Vfio { host: group.host_file(), container: group.file() })
        }
        Some("igb_uio" | "uio_pci_generic") => {
            let name = seen.uio.first().ok_or(Fault::NoUio)?;
            Ok(Access::Uio { node: format!("/dev/{name}") })
        }
        Some(_) => Ok(Access::Interface),
        None => Err(Fault::NoDriver),
    }
}

/// The device node of the device, also while another device of its IOMMU group keeps programs from it.
pub fn device_node(seen: &PciDevice) -> Option<String> {
    access_by_driver(seen).ok()?.node().map(str::to_owned)
}

fn device(is_configured: bool, seen: Option<PciDevice>) -> Device {
    let is_healthy = fault(is_configured, seen.as_ref()).is_none();
    let seen = seen.unwrap_or_default();
    let access = access(&seen).unwrap_or(Access::Interface);
    Device { is_healthy, numa_node: seen.numa_node, driver: seen.driver, access }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pci_device::{GroupDevice, IommuGroup};

    fn candidate(resource: &str, device: &str, is_configured: bool) -> Candidate {
        let (attachment, uid, resource) = ("one".to_owned(), device.to_owned(), resource.parse().unwrap());
        Candidate { attachment, uid, resource, device: device.parse().unwrap(), is_configured }
    }

    fn with_driver(driver: &str) -> PciDevice {
        PciDevice { driver: Some(driver.to_owned()), ..PciDevice::default() }
    }

    fn one(seen: Option<PciDevice>) -> Device {
        let pools = pools(&[candidate("example.com/a", "0000:00:06.0", true)], |_| seen.clone());
        pools.values().next().unwrap().values().next().unwrap().clone()
    }

    #[test]
    fn enis_of_one_name_are_one_pool() {
        let enis = [
            candidate("example.com/a", "0000:00:07.0", true),
            candidate("example.com/a", "0000:00:06.0", false),
            candidate("example.com/b", "0000:00:08.0", true),
        ];
        let pools = pools(&enis, |_| Some(with_driver("ena")));
        let shown: Vec<(String, Vec<(String, bool)>)> = pools
            .iter()
            .map(|(name, pool)| {
                (name.to_string(), pool.iter().map(|(id, device)| (id.to_string(), device.is_healthy)).collect())
            })
            .collect();
        let device = |id: &str, is_healthy| (id.to_owned(), is_healthy);
        assert_eq!(
            shown,
            [
                ("example.com/a".to_owned(), vec![device("0000:00:06.0", false), device("0000:00:07.0", true)]),
                ("example.com/b".to_owned(), vec![device("0000:00:08.0", true)]),
            ]
        );
    }

    #[test]
    fn a_device_that_no_pod_could_use_is_unhealthy() {
        assert!(one(Some(with_driver("ena"))).is_healthy);
        for seen in [None, Some(PciDevice::default()), Some(with_driver("vfio-pci")), Some(with_driver("igb_uio"))] {
            assert!(!one(seen.clone()).is_healthy, "{seen:?}");
        }
    }

    #[test]
    fn without_an_iommu_the_node_of_the_host_has_another_name() {
        for (is_noiommu, host) in [(false, "/dev/vfio/7"), (true, "/dev/vfio/noiommu-7")] {
            let group = Some(IommuGroup { number: 7, is_noiommu });
            let device = one(Some(PciDevice { iommu_group: group, numa_node: Some(1), ..with_driver("vfio-pci") }));
            let access = Access::Vfio { host: host.to_owned(), container: "/dev/vfio/7".to_owned() };
            assert_eq!((device.access, device.numa_node, device.is_healthy), (access, Some(1), true));
        }
    }

    #[test]
    fn a_group_that_no_program_can_open_is_offered_to_no_pod() {
        let other = GroupDevice { address: "0000:00:07.0".parse().unwrap(), driver: "ena".to_owned() };
        let group = Some(IommuGroup { number: 7, is_noiommu: false });
        let seen = PciDevice { iommu_group: group, group_in_use: vec![other], ..with_driver("vfio-pci") };
        assert!(!one(Some(seen.clone())).is_healthy);
        assert_eq!(fault(true, Some(&seen)), Some(Fault::GroupInUse));
        assert_eq!(device_node(&seen).as_deref(), Some("/dev/vfio/7"), "a pod that has the device has the node of now");
        assert_eq!(
            fault(true, Some(&PciDevice { driver: Some("ena".to_owned()), ..seen })),
            None,
            "a link needs no group"
        );
    }

    #[test]
    fn both_uio_drivers_give_the_uio_device() {
        for driver in ["igb_uio", "uio_pci_generic"] {
            let device = one(Some(PciDevice { uio: vec!["uio2".to_owned()], ..with_driver(driver) }));
            assert_eq!(device.access, Access::Uio { node: "/dev/uio2".to_owned() });
        }
    }
}
