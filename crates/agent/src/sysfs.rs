//! Devices and sysctls, under `--sysfs-root` and `--sysctl-root`.

use crate::ledger::Ledger;
use crate::node::{Link, Node};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where the files of the kernel are.
#[derive(Debug, Clone)]
pub struct KernelFiles {
    /// `/sys`.
    pub sysfs: PathBuf,
    /// `/proc/sys`. A container that is not privileged has it read-only, and needs another mount of it.
    pub sysctl: PathBuf,
}

impl KernelFiles {
    /// The kernel's ID of this boot.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn boot_id(&self) -> io::Result<String> {
        Ok(fs::read_to_string(self.sysctl.join("kernel/random/boot_id"))?.trim().to_owned())
    }

    /// Adds to each link what sysfs and the sysctls say.
    pub fn complete(&self, node: &mut Node, ledger: &Ledger) {
        for link in &mut node.links {
            self.complete_link(link);
        }
        let is_gone = |device: &&String| !node.links.iter().any(|link| link.parent_device.as_ref() == Some(*device));
        let has_driver = |device: &&String| self.pci_device(device).join("driver").exists();
        let known = ledger.links.iter().filter_map(|entry| entry.parent_device.as_ref());
        node.devices_without_link = known.filter(is_gone).filter(has_driver).cloned().collect();
    }

    fn complete_link(&self, link: &mut Link) {
        // Kernels before 5.14 do not send the device by netlink.
        if link.kind.is_none() && link.parent_device.is_none() && is_file_name(&link.name) {
            link.parent_device = last_part_of_link(&self.sysfs.join("class/net").join(&link.name).join("device"));
        }
        if let Some(device) = link.parent_device.as_ref().filter(|device| is_file_name(device)) {
            let directory = self.pci_device(device);
            link.driver = last_part_of_link(&directory.join("driver"));
            // -1 means that the machine has no NUMA nodes.
            link.numa_node = read_number(&directory.join("numa_node")).filter(|node| *node >= 0);
        }
        link.accept_ra = self.accept_ra(&link.name).and_then(|path| read_number(&path));
    }

    /// Writes the sysctl `accept_ra` of a link.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn set_accept_ra(&self, link: &str, value: i32) -> io::Result<()> {
        let path = self.accept_ra(link).ok_or_else(|| io::Error::other("the name of the link is no file name"))?;
        fs::write(&path, value.to_string())
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    }

    fn accept_ra(&self, link: &str) -> Option<PathBuf> {
        is_file_name(link).then(|| self.sysctl.join("net/ipv6/conf").join(link).join("accept_ra"))
    }

    fn pci_device(&self, device: &str) -> PathBuf {
        self.sysfs.join("bus/pci/devices").join(device)
    }
}

/// Whether the name of a link or a device is safe as a part of a path.
fn is_file_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains('/')
}

fn last_part_of_link(path: &Path) -> Option<String> {
    Some(fs::read_link(path).ok()?.file_name()?.to_string_lossy().into_owned())
}

fn read_number(path: &Path) -> Option<i32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
