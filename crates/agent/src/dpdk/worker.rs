//! Makes steps on threads of their own. A write that unbinds a device can block for as long as a process holds it, and nothing can end
//! such a write, so no other part of the agent may wait for it.

use super::attempts::StepError;
use super::pci_files::PciFiles;
use super::step::DeviceStep;
use crate::pci_address::PciAddress;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// What is told when a step ends, so that somebody looks.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// The end of a step.
#[derive(Debug)]
pub struct Finished {
    /// The device.
    pub address: PciAddress,
    /// The result.
    pub result: Result<(), StepError>,
}

/// The threads.
pub struct Worker {
    send: Sender<Finished>,
    receive: Receiver<Finished>,
    waker: Option<Waker>,
}

impl Default for Worker {
    fn default() -> Self {
        let (send, receive) = channel();
        Self { send, receive, waker: None }
    }
}

impl Worker {
    /// Sets what is told when a step ends.
    pub fn set_waker(&mut self, waker: Waker) {
        self.waker = Some(waker);
    }

    /// What is told when a step ends.
    pub fn waker(&self) -> Option<&Waker> {
        self.waker.as_ref()
    }

    /// Starts a step. At most one runs for each device; the caller sees to that.
    pub fn start(&self, files: &PciFiles, address: &PciAddress, step: &DeviceStep) {
        let (files, step, waker, send) = (files.clone(), step.clone(), self.waker.clone(), self.send.clone());
        let of = address.clone();
        let work = move || {
            let result = files.make(&of, &step);
            // The worker is gone if the agent ends.
            let _ = send.send(Finished { address: of, result });
            if let Some(waker) = waker {
                waker();
            }
        };
        if let Err(error) = std::thread::Builder::new().name("dpdk-step".to_owned()).spawn(work) {
            let result = Err(StepError::Failed(format!("no thread can be made: {error}")));
            let _ = self.send.send(Finished { address: address.clone(), result });
        }
    }

    /// The next end of a step, if one comes within this time.
    pub fn wait(&self, timeout: Duration) -> Option<Finished> {
        self.receive.recv_timeout(timeout).ok()
    }
}
