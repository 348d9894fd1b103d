//! A sysfs tree that reacts: PCI devices and drivers in a directory. `unbind` and `drivers_probe` are FIFOs, and a thread does what the
//! kernel would do with what comes through them: it moves the `driver` link, and tells the test when a link is to go or to come.
//!
//! What the tree cannot show: the errors that the kernel returns for a write (EBUSY, ENODEV) other than those that the file system here
//! can return, and that a write returns only when its effect is there. `driver_override` is a plain file: the kernel's own check of its
//! content is not here. The order of events inside the kernel, DMA and interrupts are not here either.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::spawn;

/// Makes the link of a device (true), or removes it (false). The result is the name of the new link.
pub type OnLink = Arc<dyn Fn(&str, bool) -> Option<String> + Send + Sync>;

const NO_IOMMU: &str = "module/vfio/parameters/enable_unsafe_noiommu_mode";

/// What goes wrong.
#[derive(Default)]
pub struct Faults {
    /// Drivers that do not take any device.
    pub refusing: BTreeSet<String>,
    /// The driver that takes devices although `driver_override` names another one.
    pub thief: Option<String>,
    /// Devices whose link does not come back.
    pub lost_links: BTreeSet<String>,
}

/// The tree.
#[derive(Clone)]
pub struct Tree {
    root: PathBuf,
    /// The driver that knows a device by its ID.
    native: Arc<Mutex<BTreeMap<String, String>>>,
    /// Faults.
    pub faults: Arc<Mutex<Faults>>,
    on_link: OnLink,
}

impl Tree {
    /// A tree with the kernel driver ena. `on_link` makes and removes links.
    pub fn new(root: &Path, on_link: OnLink) -> Self {
        let tree = Self { root: root.to_owned(), native: Arc::default(), faults: Arc::default(), on_link };
        for directory in ["bus/pci/devices", "bus/pci/drivers", "class/net", "class/iommu", "kernel/iommu_groups"] {
            fs::create_dir_all(tree.root.join(directory)).unwrap();
        }
        let probe = tree.root.join("bus/pci/drivers_probe");
        let of_probe = tree.clone();
        serve(&probe, move |address| of_probe.probe(address));
        tree.load("ena");
        tree
    }

    /// Loads a driver, as modprobe does.
    pub fn load(&self, driver: &str) {
        let directory = self.root.join("bus/pci/drivers").join(driver);
        fs::create_dir_all(&directory).unwrap();
        let (tree, name) = (self.clone(), driver.to_owned());
        serve(&directory.join("unbind"), move |address| tree.unbind(&name, address));
    }

    /// Adds a device that ena has, in an IOMMU group if there is one. Its link is the caller's.
    pub fn add(&self, address: &str, group: Option<&str>) {
        let device = self.device(address);
        fs::create_dir_all(device.join("net")).unwrap();
        for (name, text) in
            [("vendor", "0x1d0f\n"), ("device", "0xec20\n"), ("numa_node", "1\n"), ("driver_override", "(null)\n")]
        {
            fs::write(device.join(name), text).unwrap();
        }
        if let Some(group) = group {
            let directory = self.root.join("kernel/iommu_groups").join(group);
            fs::create_dir_all(directory.join("devices")).unwrap();
            symlink(&directory, device.join("iommu_group")).unwrap();
            symlink(&device, directory.join("devices").join(address)).unwrap();
        }
        self.native.lock().unwrap().insert(address.to_owned(), "ena".to_owned());
        self.set_driver(address, Some("ena"));
    }

    /// Says that a link is on a device.
    pub fn put_link(&self, address: &str, name: &str) {
        fs::create_dir_all(self.device(address).join("net").join(name)).unwrap();
        let class = self.root.join("class/net").join(name);
        fs::create_dir_all(&class).unwrap();
        symlink(self.device(address), class.join("device")).unwrap();
    }

    fn remove_links(&self, address: &str) {
        for entry in fs::read_dir(self.device(address).join("net")).unwrap() {
            let name = entry.unwrap().file_name();
            fs::remove_dir_all(self.root.join("class/net").join(&name)).unwrap();
            fs::remove_dir(self.device(address).join("net").join(&name)).unwrap();
        }
    }

    /// Switches vfio's mode without an IOMMU: its file appears with vfio.
    pub fn set_no_iommu(&self, is_on: bool) {
        let path = self.root.join(NO_IOMMU);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, if is_on { "Y\n" } else { "N\n" }).unwrap();
    }

    /// From now on, nobody reads what is written to `unbind` of the driver: the write blocks, as it does while a process holds a device.
    pub fn hold(&self, driver: &str) {
        let path = self.unbind_file(driver);
        fs::rename(&path, path.with_extension("served")).unwrap();
        make_fifo(&path);
    }

    /// The process lets go: the write that waits goes on.
    pub fn release(&self, driver: &str) {
        let path = self.unbind_file(driver);
        let mut text = String::new();
        File::open(&path).unwrap().read_to_string(&mut text).unwrap();
        self.unbind(driver, text.trim());
        fs::rename(path.with_extension("served"), &path).unwrap();
    }

    /// The kernel locks a device: what reads or writes `driver_override` waits.
    pub fn lock(&self, address: &str) {
        let path = self.device(address).join("driver_override");
        fs::rename(&path, path.with_extension("unlocked")).unwrap();
        make_fifo(&path);
    }

    /// The kernel unlocks the device. What waits goes on.
    pub fn unlock(&self, address: &str) {
        let path = self.device(address).join("driver_override");
        let waits = File::options().write(true).open(&path).unwrap();
        fs::rename(path.with_extension("unlocked"), &path).unwrap();
        drop(waits);
    }

    /// Every write to `unbind` of the driver fails from now on.
    pub fn break_unbind(&self, driver: &str) {
        let path = self.unbind_file(driver);
        fs::remove_file(&path).unwrap();
        symlink("/dev/full", &path).unwrap();
    }

    /// The driver of a device.
    pub fn driver(&self, address: &str) -> Option<String> {
        let target = fs::read_link(self.device(address).join("driver")).ok()?;
        Some(target.file_name().unwrap().to_string_lossy().into_owned())
    }

    /// The content of `driver_override`.
    pub fn driver_override(&self, address: &str) -> String {
        fs::read_to_string(self.device(address).join("driver_override")).unwrap().trim().to_owned()
    }

    /// The machine starts again: each device has its kernel driver.
    pub fn reboot(&self, address: &str) {
        fs::write(self.device(address).join("driver_override"), "(null)\n").unwrap();
        if self.driver(address).as_deref() != Some("ena") {
            self.set_driver(address, None);
            self.probe(address);
        }
    }

    fn unbind(&self, driver: &str, address: &str) {
        if self.driver(address).as_deref() == Some(driver) {
            if fs::read_dir(self.device(address).join("net")).unwrap().next().is_some() {
                self.remove_links(address);
                (self.on_link)(address, false);
            }
            if self.has_noiommu_group(address) {
                fs::remove_file(self.device(address).join("iommu_group")).unwrap();
            }
            self.set_driver(address, None);
        }
    }

    fn probe(&self, address: &str) {
        let asked = match self.driver_override(address).as_str() {
            "" | "(null)" => self.native.lock().unwrap()[address].clone(),
            name => name.to_owned(),
        };
        let (driver, has_link) = {
            let faults = self.faults.lock().unwrap();
            let driver = faults.thief.clone().unwrap_or(asked);
            if faults.refusing.contains(&driver) {
                return;
            }
            (driver.clone(), driver == "ena" && !faults.lost_links.contains(address))
        };
        if self.driver(address).is_none() && self.root.join("bus/pci/drivers").join(&driver).is_dir() {
            if let Some(name) = has_link.then(|| (self.on_link)(address, true)).flatten() {
                self.put_link(address, &name);
            }
            let no_iommu = fs::read_to_string(self.root.join(NO_IOMMU)).unwrap_or_default();
            if driver == "vfio-pci" && !self.device(address).join("iommu_group").exists() {
                // Without an IOMMU, and without the mode for that, vfio-pci takes no device.
                if no_iommu.trim() != "Y" {
                    return;
                }
                let group = self.root.join("kernel/iommu_groups/7");
                fs::create_dir_all(&group).unwrap();
                fs::write(group.join("name"), "vfio-noiommu\n").unwrap();
                symlink(&group, self.device(address).join("iommu_group")).unwrap();
            }
            self.set_driver(address, Some(&driver));
        }
    }

    fn has_noiommu_group(&self, address: &str) -> bool {
        self.device(address).join("iommu_group/name").exists()
    }

    fn set_driver(&self, address: &str, driver: Option<&str>) {
        let link = self.device(address).join("driver");
        let _ = fs::remove_file(&link);
        if let Some(driver) = driver {
            symlink(self.root.join("bus/pci/drivers").join(driver), &link).unwrap();
        }
    }

    fn device(&self, address: &str) -> PathBuf {
        self.root.join("bus/pci/devices").join(address)
    }

    fn unbind_file(&self, driver: &str) -> PathBuf {
        self.root.join("bus/pci/drivers").join(driver).join("unbind")
    }
}

fn make_fifo(path: &Path) {
    super::run(&format!("mkfifo {}", path.display()));
}

/// Makes a FIFO, and a thread that takes each text that is written to it. The thread ends with the file.
fn serve(path: &Path, take: impl Fn(&str) + Send + 'static) {
    make_fifo(path);
    let path = path.to_owned();
    // Open for both ways, so that the thread does not wait for the first writer, and a FIFO that is renamed is still served.
    let mut file = File::options().read(true).write(true).open(&path).unwrap();
    spawn(move || {
        let mut buffer = [0; 1024];
        while let Ok(length) = file.read(&mut buffer) {
            // Several addresses may come at once. Each has 12 bytes.
            for address in buffer[..length].chunks(12) {
                take(&String::from_utf8_lossy(address));
            }
        }
    });
}
