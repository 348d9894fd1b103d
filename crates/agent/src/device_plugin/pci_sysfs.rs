//! A PCI device as sysfs shows it.

use crate::pci_address::PciAddress;
use std::fs;
use std::path::Path;

/// A PCI device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PciDevice {
    /// The driver.
    pub driver: Option<String>,
    /// The NUMA node. sysfs says -1 if the machine has none.
    pub numa_node: Option<u32>,
    /// The IOMMU group.
    pub iommu_group: Option<IommuGroup>,
    /// The names of its UIO devices.
    pub uio: Vec<String>,
}

/// An IOMMU group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IommuGroup {
    /// The number.
    pub number: u32,
    /// Whether VFIO made the group because there is no IOMMU.
    pub is_no_iommu: bool,
}

/// Reads a device. None: it is not there.
pub fn read(sysfs: &Path, address: &PciAddress) -> Option<PciDevice> {
    let directory = sysfs.join("bus/pci/devices").join(address.as_str());
    fs::metadata(&directory).ok()?;
    let group = directory.join("iommu_group");
    let number = target_name(&group).and_then(|name| name.parse().ok());
    let mut uio: Vec<String> = fs::read_dir(directory.join("uio"))
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    uio.sort();
    Some(PciDevice {
        driver: target_name(&directory.join("driver")),
        numa_node: text(&directory.join("numa_node")).and_then(|node| node.parse().ok()),
        iommu_group: number.map(|number| IommuGroup {
            number,
            is_no_iommu: text(&group.join("name")).is_some_and(|name| name == "vfio-noiommu"),
        }),
        uio,
    })
}

fn target_name(link: &Path) -> Option<String> {
    Some(fs::read_link(link).ok()?.file_name()?.to_string_lossy().into_owned())
}

fn text(path: &Path) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    /// A sysfs with the device 0000:00:06.0.
    fn sysfs(name: &str) -> (PathBuf, PathBuf) {
        let root = std::env::temp_dir().join(format!("multi-eni-pci-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let device = root.join("bus/pci/devices/0000:00:06.0");
        fs::create_dir_all(&device).unwrap();
        (root, device)
    }

    fn read_it(root: &Path) -> PciDevice {
        read(root, &"0000:00:06.0".parse().unwrap()).unwrap()
    }

    #[test]
    fn a_device_that_is_not_there_is_none_and_a_bare_one_has_nothing() {
        let (root, device) = sysfs("bare");
        assert_eq!(read(&root, &"0000:00:07.0".parse().unwrap()), None);
        assert_eq!(read_it(&root), PciDevice::default());
        fs::write(device.join("numa_node"), "-1\n").unwrap();
        assert_eq!(read_it(&root).numa_node, None);
        fs::write(device.join("numa_node"), "0\n").unwrap();
        assert_eq!(read_it(&root).numa_node, Some(0));
    }

    #[test]
    fn driver_group_and_uio_are_read() {
        let (root, device) = sysfs("full");
        symlink("../../../../bus/pci/drivers/vfio-pci", device.join("driver")).unwrap();
        let group = root.join("kernel/iommu_groups/7");
        fs::create_dir_all(&group).unwrap();
        symlink(&group, device.join("iommu_group")).unwrap();
        for (name, is_no_iommu) in [(None, false), (Some("vfio-noiommu\n"), true), (Some("DMA\n"), false)] {
            if let Some(name) = name {
                fs::write(group.join("name"), name).unwrap();
            }
            assert_eq!(read_it(&root).iommu_group, Some(IommuGroup { number: 7, is_no_iommu }));
        }
        fs::create_dir_all(device.join("uio/uio3")).unwrap();
        let seen = read_it(&root);
        assert_eq!((seen.driver.as_deref(), seen.uio), (Some("vfio-pci"), vec!["uio3".to_owned()]));
    }
}
