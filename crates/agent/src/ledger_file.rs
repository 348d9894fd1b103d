//! Stores the ledger under `--state-dir`: atomically, and before the change that it is about.

use crate::ledger::Ledger;
use crate::state_file;
use std::io;
use std::path::{Path, PathBuf};

/// The ledger and its file.
#[derive(Debug)]
pub struct LedgerFile {
    path: PathBuf,
    ledger: Ledger,
}

impl LedgerFile {
    /// Reads the ledger of this boot. An older one, which describes nothing that is left, is not kept. A file that cannot be read
    /// is an error: the agent must not forget what it has changed.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn open(state_dir: &Path, boot_id: &str) -> io::Result<Self> {
        let path = state_dir.join("links.json");
        let stored: Option<Ledger> = state_file::read(&path)?;
        let ledger = stored.filter(|stored| stored.boot_id == boot_id).unwrap_or_else(|| Ledger::of_boot(boot_id));
        Ok(Self { path, ledger })
    }

    /// The ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Changes the ledger on the disk, and then in memory.
    ///
    /// # Errors
    /// If the file cannot be written. The ledger is then as before.
    pub fn update(&mut self, change: impl FnOnce(&mut Ledger)) -> io::Result<()> {
        let mut next = self.ledger.clone();
        change(&mut next);
        if next != self.ledger {
            state_file::write(&self.path, kept(&next))?;
            self.ledger = next;
        }
        Ok(())
    }

    /// Writes the file again if somebody has removed it: without it, nobody could take back what the agent has changed.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn restore(&self) -> io::Result<bool> {
        state_file::restore(&self.path, kept(&self.ledger))
    }
}

/// What is in the file. None: an empty ledger has no file.
fn kept(ledger: &Ledger) -> Option<&Ledger> {
    (!ledger.links.is_empty()).then_some(ledger)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::LedgerEntry;
    use std::fs;

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("multi-eni-ledger-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    fn entry() -> LedgerEntry {
        LedgerEntry {
            mac: "02:00:00:00:00:01".parse().unwrap(),
            uid: None,
            parent_device: None,
            was_up: false,
            mtu_before: 1500,
            accept_ra_before: Some(1),
            mtu: Some(9001),
            alt_names: vec!["storage".to_owned()],
            addresses: vec!["10.0.1.5".parse().unwrap()],
        }
    }

    #[test]
    fn the_ledger_outlives_the_process_and_an_empty_one_leaves_no_file() {
        let directory = directory("outlives");
        let mut file = LedgerFile::open(&directory, "boot-1").unwrap();
        file.update(|ledger| ledger.remember(entry())).unwrap();
        let mut again = LedgerFile::open(&directory, "boot-1").unwrap();
        assert_eq!(again.ledger().links, [entry()]);
        again.update(|ledger| ledger.forget(entry().mac)).unwrap();
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
    }

    #[test]
    fn a_ledger_that_somebody_has_removed_is_written_again() {
        let directory = directory("removed");
        let mut file = LedgerFile::open(&directory, "boot-1").unwrap();
        assert!(!file.restore().unwrap() && !directory.exists(), "an empty ledger has no file");
        file.update(|ledger| ledger.remember(entry())).unwrap();
        assert!(!file.restore().unwrap());
        fs::remove_file(directory.join("links.json")).unwrap();
        assert!(file.restore().unwrap());
        assert_eq!(LedgerFile::open(&directory, "boot-1").unwrap().ledger().links, [entry()]);
    }

    #[test]
    fn after_a_reboot_the_ledger_is_empty() {
        let directory = directory("reboot");
        LedgerFile::open(&directory, "boot-1").unwrap().update(|ledger| ledger.remember(entry())).unwrap();
        assert_eq!(LedgerFile::open(&directory, "boot-2").unwrap().ledger().links, []);
    }

    #[test]
    fn a_ledger_that_cannot_be_read_is_an_error_and_stays() {
        let directory = directory("torn");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("links.json"), "{ half").unwrap();
        assert!(LedgerFile::open(&directory, "boot-1").is_err());
        assert_eq!(fs::read_to_string(directory.join("links.json")).unwrap(), "{ half");
    }
}
