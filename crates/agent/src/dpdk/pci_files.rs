//! The files that move PCI devices to other drivers: makes one step. After each write the files are read back, because the kernel takes
//! some writes without an effect. [`pci_sysfs`](crate::pci_sysfs) reads them.

use super::attempts::StepError;
use super::driver::DpdkDriver;
use super::holders;
use super::pci::Pci;
use super::settings::DpdkSettings;
use super::step::DeviceStep;
use crate::pci_address::PciAddress;
use crate::pci_device::PciDevice;
use crate::pci_sysfs::{directory, driver, driver_override, file_names, read, text};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long the kernel may take to show a change. Drivers may be probed asynchronously.
const SETTLES: Duration = Duration::from_secs(2);
const LOOKS: Duration = Duration::from_millis(5);
const NO_IOMMU: &str = "module/vfio/parameters/enable_unsafe_noiommu_mode";

/// The files.
#[derive(Debug, Clone)]
pub struct PciFiles {
    /// `/sys`.
    pub sysfs: PathBuf,
    /// Settings.
    pub settings: DpdkSettings,
}

impl PciFiles {
    /// Reads all devices.
    pub fn observe(&self) -> Pci {
        let names = file_names(&self.sysfs.join("bus/pci/devices"));
        let addresses = names.iter().filter_map(|name| name.parse::<PciAddress>().ok());
        Pci {
            devices: addresses.filter_map(|address| Some((address.clone(), read(&self.sysfs, &address)?))).collect(),
            drivers: file_names(&self.sysfs.join("bus/pci/drivers")).into_iter().collect(),
            has_iommu: !file_names(&self.sysfs.join("class/iommu")).is_empty(),
            no_iommu: read_switch(&self.sysfs.join(NO_IOMMU)),
            write_combining: read_switch(&self.sysfs.join("module/igb_uio/parameters/wc_activate")),
            unseen_processes: 0,
        }
    }

    /// Reads one device, without its `driver_override`. A device that is not there has nothing.
    pub fn device(&self, address: &PciAddress) -> PciDevice {
        read(&self.sysfs, address).unwrap_or_default()
    }

    /// Makes one step. It may block for as long as a process holds the device.
    ///
    /// # Errors
    /// What the kernel said, or what is not so after the write.
    pub fn make(&self, address: &PciAddress, step: &DeviceStep) -> Result<(), StepError> {
        let directory = directory(&self.sysfs, address);
        match step {
            DeviceStep::LoadModule(driver) => self.load_module(*driver),
            DeviceStep::EnableNoIommu => {
                let path = self.sysfs.join(NO_IOMMU);
                write(&path, "Y\n")?;
                self.settles("the mode is still off", || read_switch(&path) == Some(true))
            }
            DeviceStep::SetOverride(driver) => {
                write(&directory.join("driver_override"), &format!("{driver}\n"))?;
                self.settles("the file does not have it", || self.driver_override(address).as_ref() == Some(driver))
            }
            DeviceStep::ClearOverride => {
                write(&directory.join("driver_override"), "\n")?;
                self.settles("the file still has a driver", || self.driver_override(address).is_none())
            }
            DeviceStep::Unbind(driver) => {
                if self.driver(address).as_ref() != Some(driver) {
                    return Err(StepError::Failed("the device has another driver by now".to_owned()));
                }
                // The kernel would wait for the process, and this process could then not even be killed.
                if DpdkDriver::is_name(driver) {
                    let found = holders::of(&self.settings.proc, &self.device(address).device_files());
                    if !found.seen.is_empty() {
                        return Err(StepError::Held(format!("the device {address} is held by {found}")));
                    }
                    if let Some(sentence) = holders::unseen_sentence(found.unseen) {
                        tracing::warn!(device = %address, "{sentence}: the step waits for each that holds the device");
                    }
                }
                write(&self.sysfs.join("bus/pci/drivers").join(driver).join("unbind"), address.as_str())?;
                self.settles("the device still has the driver", || self.driver(address).is_none())
            }
            DeviceStep::Probe => {
                write(&self.sysfs.join("bus/pci/drivers_probe"), address.as_str())?;
                self.settles("no driver has taken the device", || self.driver(address).is_some())
            }
        }
    }

    fn load_module(&self, driver: DpdkDriver) -> Result<(), StepError> {
        let mut command = Command::new(&self.settings.modprobe);
        command.arg(driver.name());
        // Without it, ENA is slow. Other devices do not mind.
        if driver == DpdkDriver::IgbUio {
            command.arg("wc_activate=1");
        }
        let output = command.output().map_err(|error| {
            StepError::Failed(format!("{} cannot be run: {error}", self.settings.modprobe.display()))
        })?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            return Err(StepError::Failed(format!("modprobe {driver}: {}", text.trim())));
        }
        let directory = self.sysfs.join("bus/pci/drivers").join(driver.name());
        self.settles("the module has no PCI driver of this name", || directory.exists())
    }

    fn driver(&self, address: &PciAddress) -> Option<String> {
        driver(&self.sysfs, address)
    }

    /// Reads `driver_override`. While the kernel binds or unbinds the device, this waits, and cannot be ended.
    pub fn driver_override(&self, address: &PciAddress) -> Option<String> {
        driver_override(&self.sysfs, address)
    }

    fn settles(&self, otherwise: &str, is_so: impl Fn() -> bool) -> Result<(), StepError> {
        let start = Instant::now();
        while !is_so() {
            if start.elapsed() >= SETTLES {
                return Err(StepError::Failed(otherwise.to_owned()));
            }
            sleep(LOOKS);
        }
        Ok(())
    }
}

/// Writes into a file of the kernel. It never creates one.
fn write(path: &Path, text: &str) -> Result<(), StepError> {
    let result = fs::OpenOptions::new().write(true).truncate(true).open(path);
    result.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| {
        let text = format!("{}: {error}", path.display());
        if error.kind() == io::ErrorKind::ResourceBusy { StepError::Held(text) } else { StepError::Failed(text) }
    })
}

fn read_switch(path: &Path) -> Option<bool> {
    text(path).map(|text| matches!(text.as_str(), "Y" | "y" | "1"))
}
