//! Stores what the agent has bound in `bindings.json` under `--state-dir`, before the change that it is about.

use super::bindings::Bindings;
use crate::state_file;
use std::io;
use std::path::{Path, PathBuf};

/// The ledger of devices and its file.
#[derive(Debug)]
pub struct BindingsFile {
    path: PathBuf,
    bindings: Bindings,
}

impl BindingsFile {
    /// Reads the ledger of this boot. After a reboot each device has its kernel driver again, perhaps at another address, so that an
    /// older ledger says nothing.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn open(state_dir: &Path, boot_id: &str) -> io::Result<Self> {
        let path = state_dir.join("bindings.json");
        let stored: Option<Bindings> = state_file::read(&path)?;
        let bindings = stored.filter(|stored| stored.boot_id == boot_id).unwrap_or_else(|| Bindings::of_boot(boot_id));
        Ok(Self { path, bindings })
    }

    /// The ledger.
    pub fn bindings(&self) -> &Bindings {
        &self.bindings
    }

    /// Changes the ledger on the disk, and then in memory.
    ///
    /// # Errors
    /// If the file cannot be written. The ledger is then as before.
    pub fn update(&mut self, change: impl FnOnce(&mut Bindings)) -> io::Result<()> {
        let mut next = self.bindings.clone();
        change(&mut next);
        if next != self.bindings {
            state_file::write(&self.path, kept(&next))?;
            self.bindings = next;
        }
        Ok(())
    }

    /// Writes the file again if somebody has removed it: without it, nobody could give the devices back.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn restore(&self) -> io::Result<bool> {
        state_file::restore(&self.path, kept(&self.bindings))
    }
}

/// What is in the file. None: an empty ledger has no file.
fn kept(bindings: &Bindings) -> Option<&Bindings> {
    (!bindings.devices.is_empty()).then_some(bindings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dpdk::bindings::Binding;
    use std::fs;

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("multi-eni-bindings-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    fn binding() -> Binding {
        Binding {
            pci_address: "0000:00:06.0".parse().unwrap(),
            mac: "02:00:00:00:00:01".parse().unwrap(),
            eni_id: Some("eni-1".to_owned()),
            attachment: "one".to_owned(),
            uid: "u-1".to_owned(),
            vendor: Some(0x1d0f),
            device: Some(0xec20),
            original_driver: Some("ena".to_owned()),
            driver: "vfio-pci".to_owned(),
            rolling_back: None,
        }
    }

    #[test]
    fn the_ledger_outlives_the_process_but_not_the_boot() {
        let directory = directory("outlives");
        BindingsFile::open(&directory, "boot-1").unwrap().update(|bindings| bindings.remember(binding())).unwrap();
        let mut again = BindingsFile::open(&directory, "boot-1").unwrap();
        assert_eq!(again.bindings().devices, [binding()]);
        assert_eq!(BindingsFile::open(&directory, "boot-2").unwrap().bindings().devices, []);
        again.update(|bindings| bindings.forget(&binding().pci_address)).unwrap();
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 0, "an empty ledger leaves no file");
    }

    #[test]
    fn a_ledger_that_somebody_has_removed_is_written_again() {
        let directory = directory("removed");
        let mut file = BindingsFile::open(&directory, "boot-1").unwrap();
        file.update(|bindings| bindings.remember(binding())).unwrap();
        assert!(!file.restore().unwrap());
        fs::remove_file(directory.join("bindings.json")).unwrap();
        assert!(file.restore().unwrap());
        assert_eq!(BindingsFile::open(&directory, "boot-1").unwrap().bindings().devices, [binding()]);
    }

    #[test]
    fn a_ledger_that_cannot_be_read_is_an_error_and_stays() {
        let directory = directory("torn");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("bindings.json"), "{ half").unwrap();
        assert!(BindingsFile::open(&directory, "boot-1").is_err());
        assert_eq!(fs::read_to_string(directory.join("bindings.json")).unwrap(), "{ half");
    }
}
