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
    kept: Mutex<Kept>,
    said: SaidOnce,
}

/// The ledger in memory.
#[derive(Debug)]
struct Kept {
    ledger: AllocationLedger,
    /// Whether the last write of the file failed.
    is_file_old: bool,
}

/// The ledger as it is stored. A file that cannot be read is left as it is until a device is given: kubelet knows the same.
pub fn stored(state_dir: &Path) -> AllocationLedger {
    state_file::read(&path(state_dir)).map(Option::unwrap_or_default).unwrap_or_else(|error| {
        tracing::warn!(%error, "which devices pods have is read from kubelet alone");
        AllocationLedger::default()
    })
}

/// Whether there is a file: the agent has given a device to a pod, and does not know that the pod has ended.
pub fn is_there(state_dir: &Path) -> bool {
    path(state_dir).exists()
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
        let kept = Mutex::new(Kept { ledger: stored(state_dir), is_file_old: false });
        Self { path: path(state_dir), start: Instant::now(), kept, said: SaidOnce::default() }
    }

    /// The ledger.
    pub fn ledger(&self) -> AllocationLedger {
        self.lock().ledger.clone()
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

    /// Changes the ledger, and the file if what is stored changes or could not be stored before. Without the file a new process learns from
    /// kubelet which devices pods have, and not with which device nodes.
    fn update(&self, change: impl FnOnce(&mut AllocationLedger)) {
        let mut kept = self.lock();
        let before = kept.ledger.own();
        change(&mut kept.ledger);
        let own = kept.ledger.own();
        if own == before && !kept.is_file_old {
            return;
        }
        let result = state_file::write(&self.path, (!own.is_empty()).then_some(&own));
        kept.is_file_old = result.is_err();
        match result {
            Ok(()) => self.said.forget(),
            Err(error) if self.said.is_new(&error.to_string()) => {
                tracing::warn!(%error, "which devices pods have cannot be stored");
            }
            Err(_) => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
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

    #[test]
    fn what_could_not_be_stored_is_stored_with_the_next_word_of_kubelet() {
        let directory = std::env::temp_dir().join(format!("multi-eni-allocations-{}-full", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        let _ = fs::remove_file(&directory);
        let device: PciAddress = "0000:00:06.0".parse().unwrap();
        let told = [PodDevice { resource: "a/one".to_owned(), device: device.clone() }];
        let allocations = AllocationsFile::open(&directory);
        fs::write(&directory, "no directory").unwrap();
        allocations.give("a/one", [(device.clone(), Some("/dev/vfio/3".to_owned()))]);
        fs::remove_file(&directory).unwrap();
        allocations.learn(&told);
        assert!(stored(&directory).at(&device).is_some());
        fs::remove_dir_all(&directory).unwrap();
        allocations.learn(&told);
        assert!(!is_there(&directory), "nothing has changed since");
    }
}
