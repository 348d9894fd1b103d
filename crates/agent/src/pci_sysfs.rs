//! Reads PCI devices in sysfs. This is the one reader: DPDK, the device plugin and the links use it. It never waits for the kernel,
//! except [`driver_override`].

use crate::pci_address::PciAddress;
use crate::pci_device::{GroupDevice, IommuGroup, PciDevice};
use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use std::fs;
use std::path::{Path, PathBuf};

/// Reads a device, without its `driver_override`. None: it is not there.
pub fn read(sysfs: &Path, address: &PciAddress) -> Option<PciDevice> {
    let directory = directory(sysfs, address);
    fs::metadata(&directory).ok()?;
    let group = directory.join("iommu_group");
    let number = last_part_of_link(&group).and_then(|name| name.parse().ok());
    Some(PciDevice {
        vendor: id(&directory.join("vendor")),
        device: id(&directory.join("device")),
        driver: driver(sysfs, address),
        driver_override: None,
        is_locked: false,
        is_read_only: [directory.join("driver_override"), sysfs.join("bus/pci/drivers_probe")]
            .iter()
            .any(|path| is_read_only(path)),
        numa_node: numa_node(sysfs, address),
        iommu_group: number.map(|number| IommuGroup {
            number,
            is_noiommu: text(&group.join("name")).is_some_and(|name| name == "vfio-noiommu"),
        }),
        group_in_use: group_in_use(sysfs, address),
        links: file_names(&directory.join("net")),
        uio: file_names(&directory.join("uio")),
    })
}

/// The other devices of the IOMMU group that keep programs from it.
fn group_in_use(sysfs: &Path, address: &PciAddress) -> Vec<GroupDevice> {
    let names = file_names(&directory(sysfs, address).join("iommu_group/devices"));
    let others = names.iter().filter_map(|name| name.parse::<PciAddress>().ok()).filter(|other| other != address);
    let with_driver = others.filter_map(|address| Some(GroupDevice { driver: driver(sysfs, &address)?, address }));
    with_driver.filter(|other| !GroupDevice::leaves_group(&other.driver)).collect()
}

/// Reads the driver of a device.
pub fn driver(sysfs: &Path, address: &PciAddress) -> Option<String> {
    last_part_of_link(&directory(sysfs, address).join("driver"))
}

/// Reads the NUMA node of a device. sysfs says -1 if the machine has none.
pub fn numa_node(sysfs: &Path, address: &PciAddress) -> Option<u32> {
    text(&directory(sysfs, address).join("numa_node"))?.parse().ok()
}

/// Reads `driver_override`. While the kernel binds or unbinds the device, this waits, and cannot be ended.
pub fn driver_override(sysfs: &Path, address: &PciAddress) -> Option<String> {
    text(&directory(sysfs, address).join("driver_override")).filter(|text| !text.is_empty() && text != "(null)")
}

/// The directory of a device.
pub fn directory(sysfs: &Path, address: &PciAddress) -> PathBuf {
    sysfs.join("bus/pci/devices").join(address.as_str())
}

/// The names of the files in a directory, in order. None are in one that is not there.
pub fn file_names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The text of a file, without the white space around it.
pub fn text(path: &Path) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

/// The last part of what a symbolic link points at.
pub fn last_part_of_link(link: &Path) -> Option<String> {
    Some(fs::read_link(link).ok()?.file_name()?.to_string_lossy().into_owned())
}

/// An ID of four hexadecimal digits.
fn id(path: &Path) -> Option<u16> {
    let text = text(path)?;
    u16::from_str_radix(text.strip_prefix("0x").unwrap_or(&text), 16).ok()
}

/// Whether this process may not write the file. The file is not opened: this waits for nothing, and a missing file is none of its kind.
fn is_read_only(path: &Path) -> bool {
    matches!(access(path, AccessFlags::W_OK), Err(Errno::EROFS | Errno::EACCES | Errno::EPERM))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    /// A sysfs with the device 0000:00:06.0.
    fn sysfs(name: &str) -> (PathBuf, PathBuf) {
        let root = std::env::temp_dir().join(format!("multi-eni-pci-sysfs-{}-{name}", std::process::id()));
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
    fn driver_group_ids_links_and_uio_are_read() {
        let (root, device) = sysfs("full");
        symlink("../../../../bus/pci/drivers/vfio-pci", device.join("driver")).unwrap();
        let group = root.join("kernel/iommu_groups/7");
        fs::create_dir_all(&group).unwrap();
        symlink(&group, device.join("iommu_group")).unwrap();
        for (name, is_noiommu) in [(None, false), (Some("vfio-noiommu\n"), true), (Some("DMA\n"), false)] {
            if let Some(name) = name {
                fs::write(group.join("name"), name).unwrap();
            }
            assert_eq!(read_it(&root).iommu_group, Some(IommuGroup { number: 7, is_noiommu }));
        }
        for (name, text) in [("vendor", "0x1d0f\n"), ("device", "0xec20\n"), ("driver_override", "ena\n")] {
            fs::write(device.join(name), text).unwrap();
        }
        fs::create_dir_all(device.join("uio/uio3")).unwrap();
        fs::create_dir_all(device.join("net/ens6")).unwrap();
        let expected = PciDevice {
            vendor: Some(0x1d0f),
            device: Some(0xec20),
            driver: Some("vfio-pci".to_owned()),
            iommu_group: Some(IommuGroup { number: 7, is_noiommu: false }),
            links: vec!["ens6".to_owned()],
            uio: vec!["uio3".to_owned()],
            ..PciDevice::default()
        };
        assert_eq!(read_it(&root), expected);
    }

    #[test]
    fn the_devices_that_keep_programs_from_a_group_are_those_that_the_kernel_uses() {
        let (root, device) = sysfs("group");
        let group = root.join("kernel/iommu_groups/7");
        symlink(&group, device.join("iommu_group")).unwrap();
        let drivers =
            [(6, Some("vfio-pci")), (7, Some("ena")), (8, None), (1, Some("pcieport")), (9, Some("pci-stub"))];
        for (number, driver) in drivers {
            let name = format!("0000:00:0{number}.0");
            fs::create_dir_all(group.join("devices").join(&name)).unwrap();
            let other = root.join("bus/pci/devices").join(&name);
            fs::create_dir_all(&other).unwrap();
            if let Some(driver) = driver {
                symlink(format!("../../../../bus/pci/drivers/{driver}"), other.join("driver")).unwrap();
            }
        }
        let said: Vec<String> = read_it(&root).group_in_use.iter().map(ToString::to_string).collect();
        assert_eq!(said, ["0000:00:07.0 (ena)"]);
    }

    #[test]
    fn an_override_is_read_apart_and_an_empty_one_is_none() {
        let (root, device) = sysfs("override");
        let address = "0000:00:06.0".parse().unwrap();
        for (text, expected) in [("(null)\n", None), ("\n", None), ("vfio-pci\n", Some("vfio-pci"))] {
            fs::write(device.join("driver_override"), text).unwrap();
            assert_eq!(driver_override(&root, &address).as_deref(), expected);
            assert_eq!(read_it(&root).driver_override, None);
        }
    }
}
