//! Stores which devices the agent has given to pods, in `allocations.json` under `--state-dir`. The plugins of all resources share it.

use crate::device_plugin::allocation_ledger::{AllocationLedger, PodDevice};
use crate::pci_address::PciAddress;
use crate::said_once::SaidOnce;
use crate::state_file;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The ledger and its file.
#[derive(Debug)]
pub struct AllocationsFile {
    path: PathBuf,
    start: Instant,
    ledger: Mutex<AllocationLedger>,
    said: SaidOnce,
}

/// The ledger as it is stored. A file that cannot be read is left as it is until a device is given: kubelet knows the same.
pub fn stored(state_dir: &Path) -> AllocationLedger {
    state_file::read(&path(state_dir)).map(Option::unwrap_or_default).unwrap_or_else(|error| {
        tracing::warn!(%error, "which devices pods have is read from kubelet alone");
        AllocationLedger::default()
    })
}

/// Removes the file. The result is whether it was there.
///
/// # Errors
/// If it cannot be removed.
pub fn remove(state_dir: &Path) -> io::Result<bool> {
    let path = path(state_dir);
    let is_there = path.try_exists()?;
    state_file::write::<AllocationLedger>(&path, None)?;
    Ok(is_there)
}

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("allocations.json")
}

impl AllocationsFile {
    /// Reads the ledger.
    pub fn open(state_dir: &Path) -> Self {
        let ledger = Mutex::new(stored(state_dir));
        Self { path: path(state_dir), start: Instant::now(), ledger, said: SaidOnce::default() }
    }

    /// The ledger.
    pub fn ledger(&self) -> AllocationLedger {
        self.lock().clone()
    }

    /// A plugin gives devices of this resource, each with its device node.
    pub fn give(&self, resource: &str, devices: impl IntoIterator<Item = (PciAddress, Option<String>)>) {
        let now = self.start.elapsed();
        self.update(|ledger| {
            for (device, node) in devices {
                ledger.give(device, resource.to_owned(), node, now);
            }
        });
    }

    /// Kubelet tells which devices pods have.
    pub fn learn(&self, told: &[PodDevice]) {
        let now = self.start.elapsed();
        self.update(|ledger| ledger.learn(told, now));
    }

    /// Changes the ledger, and the file if what is stored changes. Without the file a new process learns the same from kubelet.
    fn update(&self, change: impl FnOnce(&mut AllocationLedger)) {
        let mut ledger = self.lock();
        let before = ledger.own();
        change(&mut ledger);
        let own = ledger.own();
        if own == before {
            return;
        }
        match state_file::write(&self.path, (!own.is_empty()).then_some(&own)) {
            Ok(()) => self.said.forget(),
            Err(error) if self.said.is_new(&error.to_string()) => {
                tracing::warn!(%error, "which devices pods have cannot be stored");
            }
            Err(_) => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, AllocationLedger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_was_given_is_known_to_the_next_process_until_kubelet_tells_otherwise() {
        let directory = std::env::temp_dir().join(format!("multi-eni-allocations-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        let device: PciAddress = "0000:00:06.0".parse().unwrap();
        AllocationsFile::open(&directory).give("a/one", [(device.clone(), Some("/dev/vfio/3".to_owned()))]);
        let again = AllocationsFile::open(&directory);
        assert_eq!(again.ledger().at(&device).map(|given| given.resource.as_str()), Some("a/one"));
        fs::write(path(&directory), "{ half").unwrap();
        assert!(AllocationsFile::open(&directory).ledger().is_empty());
        assert_eq!((remove(&directory).ok(), remove(&directory).ok()), (Some(true), Some(false)));
        fs::remove_dir_all(&directory).unwrap();
    }
}
