//! Devices and sysctls, under `--sysfs-root` and `--sysctl-root`.

use crate::dpdk::driver::DpdkDriver;
use crate::ledger::Ledger;
use crate::node::{Link, Node};
use crate::pci_sysfs;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The sysctl that says whether router advertisements count.
const ACCEPT_RA: &str = "accept_ra";

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
        let has_driver = |device: &&String| {
            let driver = device.parse().ok().and_then(|address| pci_sysfs::driver(&self.sysfs, &address));
            // A device with a driver for DPDK is in no pod's network namespace.
            driver.is_some_and(|driver| !DpdkDriver::is_name(&driver))
        };
        let known = ledger.links.iter().filter_map(|entry| entry.parent_device.as_ref());
        node.devices_without_link = known.filter(is_gone).filter(has_driver).cloned().collect();
    }

    fn complete_link(&self, link: &mut Link) {
        // Kernels before 5.14 do not send the device by netlink. A virtual link has none.
        if link.parent_device.is_none() && is_file_name(&link.name) {
            link.parent_device =
                pci_sysfs::last_part_of_link(&self.sysfs.join("class/net").join(&link.name).join("device"));
        }
        if let Some(address) = link.parent_device.as_ref().and_then(|device| device.parse().ok()) {
            link.driver = pci_sysfs::driver(&self.sysfs, &address);
            link.numa_node = pci_sysfs::numa_node(&self.sysfs, &address);
        }
        let sysctl = |name: &str| self.ipv6_sysctl(&link.name, name).and_then(|path| read_number(&path));
        let (accept_ra, disable_ipv6) = (sysctl(ACCEPT_RA), sysctl("disable_ipv6"));
        link.accept_ra = accept_ra;
        link.is_ipv6_disabled = disable_ipv6.is_some_and(|value| value != 0);
    }

    /// Writes the sysctl `accept_ra` of a link.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn set_accept_ra(&self, link: &str, value: i32) -> io::Result<()> {
        let path = self
            .ipv6_sysctl(link, ACCEPT_RA)
            .ok_or_else(|| io::Error::other("the name of the link is no file name"))?;
        fs::write(&path, value.to_string())
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    }

    fn ipv6_sysctl(&self, link: &str, name: &str) -> Option<PathBuf> {
        is_file_name(link).then(|| self.sysctl.join("net/ipv6/conf").join(link).join(name))
    }
}

/// Whether the name of a link is safe as a part of a path.
fn is_file_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains('/')
}

fn read_number(path: &Path) -> Option<i32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::LedgerEntry;
    use std::os::unix::fs::symlink;

    /// A tree as on a Nitro instance, with the device 0000:00:06.0 of ens6.
    fn tree(name: &str) -> KernelFiles {
        let root = std::env::temp_dir().join(format!("multi-eni-sysfs-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let files = KernelFiles { sysfs: root.join("sys"), sysctl: root.join("proc") };
        let device = device_of(&files);
        let driver = files.sysfs.join("bus/pci/drivers/ena");
        for directory in
            [&device, &driver, &files.sysfs.join("class/net/ens6"), &files.sysctl.join("net/ipv6/conf/ens6")]
        {
            fs::create_dir_all(directory).unwrap();
        }
        symlink(&driver, device.join("driver")).unwrap();
        fs::write(device.join("numa_node"), "1\n").unwrap();
        symlink(&device, files.sysfs.join("class/net/ens6/device")).unwrap();
        fs::write(files.sysctl.join("net/ipv6/conf/ens6/accept_ra"), "1\n").unwrap();
        files
    }

    fn device_of(files: &KernelFiles) -> PathBuf {
        pci_sysfs::directory(&files.sysfs, &"0000:00:06.0".parse().unwrap())
    }

    fn link(name: &str) -> Link {
        Link { index: 3, name: name.to_owned(), ..Link::default() }
    }

    #[test]
    fn device_driver_numa_node_and_sysctl_of_a_link_are_found() {
        let files = tree("link");
        let mut node = Node { links: vec![link("ens6"), link("lo")], ..Node::default() };
        files.complete(&mut node, &Ledger::default());
        let ens6 = &node.links[0];
        assert_eq!(ens6.parent_device.as_deref(), Some("0000:00:06.0"));
        assert_eq!((ens6.driver.as_deref(), ens6.numa_node, ens6.accept_ra), (Some("ena"), Some(1), Some(1)));
        assert_eq!((&node.links[1].parent_device, node.links[1].accept_ra), (&None, None));
        files.set_accept_ra("ens6", 0).unwrap();
        files.complete(&mut node, &Ledger::default());
        assert_eq!(node.links[0].accept_ra, Some(0));
    }

    #[test]
    fn a_device_whose_link_is_in_a_pod_still_has_its_driver() {
        let files = tree("pod");
        let entry = |device: &str, number: u8| LedgerEntry {
            mac: crate::node::Mac([2, 0, 0, 0, 0, number]),
            uid: None,
            parent_device: Some(device.to_owned()),
            was_up: false,
            mtu_before: 1500,
            accept_ra_before: None,
            mtu: None,
            alt_names: Vec::new(),
            addresses: Vec::new(),
        };
        let ledger = Ledger { links: vec![entry("0000:00:06.0", 1), entry("0000:00:07.0", 2)], ..Ledger::default() };
        let mut node = Node::default();
        files.complete(&mut node, &ledger);
        assert_eq!(node.devices_without_link, ["0000:00:06.0"]);
        let driver = device_of(&files).join("driver");
        fs::remove_file(&driver).unwrap();
        symlink(files.sysfs.join("bus/pci/drivers/vfio-pci"), &driver).unwrap();
        files.complete(&mut node, &ledger);
        assert_eq!(node.devices_without_link, Vec::<String>::new());
        fs::remove_file(&driver).unwrap();
        symlink(files.sysfs.join("bus/pci/drivers/ena"), &driver).unwrap();
        files.complete(&mut node, &ledger);
        assert_eq!(node.devices_without_link, ["0000:00:06.0"]);
        node.links.push(link("ens6"));
        files.complete(&mut node, &ledger);
        assert_eq!(node.devices_without_link, Vec::<String>::new());
    }

    #[test]
    fn a_link_whose_ipv6_is_disabled_is_known() {
        let files = tree("ipv6");
        let switch = files.sysctl.join("net/ipv6/conf/ens6/disable_ipv6");
        let mut node = Node { links: vec![link("ens6")], ..Node::default() };
        for (text, is_disabled) in [("0\n", false), ("1\n", true)] {
            fs::write(&switch, text).unwrap();
            files.complete(&mut node, &Ledger::default());
            assert_eq!((node.links[0].is_ipv6_disabled, node.links[0].accept_ra), (is_disabled, Some(1)));
        }
    }

    #[test]
    fn a_name_that_is_no_file_name_is_never_part_of_a_path() {
        let files = tree("path");
        assert!(files.set_accept_ra("../ens6", 0).is_err());
        assert!(files.set_accept_ra("..", 0).is_err());
    }
}
