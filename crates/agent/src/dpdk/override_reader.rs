//! Reads `driver_override` with a deadline. The kernel locks a device while it binds or unbinds it, and a read of this file waits for the
//! lock and cannot be ended: also in a process that was started after the one that unbinds.

use super::pci_files::PciFiles;
use super::worker::Waker;
use crate::pci_address::PciAddress;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

/// How long a read may take. The kernel answers at once if the device is not locked.
const WAITS: Duration = Duration::from_millis(500);

/// The reads that have not ended.
#[derive(Debug, Default)]
pub struct OverrideReader {
    waiting: BTreeMap<PciAddress, Receiver<Option<String>>>,
}

/// The device is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Locked;

impl OverrideReader {
    /// Reads the file of one device. At most one thread waits for each device.
    ///
    /// # Errors
    /// If the kernel does not answer in time.
    pub fn read(
        &mut self,
        files: &PciFiles,
        address: &PciAddress,
        waker: Option<&Waker>,
    ) -> Result<Option<String>, Locked> {
        if let Some(waiting) = self.waiting.get(address)
            && waiting.try_recv() == Err(TryRecvError::Empty)
        {
            return Err(Locked);
        }
        // What an old read has said is old.
        self.waiting.remove(address);
        let (send, receive) = channel();
        let (files, of, waker) = (files.clone(), address.clone(), waker.cloned());
        let start = Instant::now();
        let work = move || {
            // Nobody waits any more if the agent ends.
            let _ = send.send(files.driver_override(&of));
            if let Some(waker) = waker.filter(|_| start.elapsed() >= WAITS) {
                waker();
            }
        };
        if std::thread::Builder::new().name("dpdk-read".to_owned()).spawn(work).is_err() {
            return Err(Locked);
        }
        match receive.recv_timeout(WAITS) {
            Ok(content) => Ok(content),
            Err(_) => {
                self.waiting.insert(address.clone(), receive);
                Err(Locked)
            }
        }
    }
}
