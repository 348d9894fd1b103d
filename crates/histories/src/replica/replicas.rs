//! The replicas of a history, each with the process that runs now or ran last.
//!
//! This file only holds and finds processes. `supervise.rs` starts them, restarts them and performs operations on them.

use super::process::Process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All replicas. Clones share the same processes.
#[derive(Clone)]
pub struct Replicas {
    processes: Arc<Mutex<Vec<Arc<Process>>>>,
}

impl Replicas {
    /// Replicas with these first processes.
    pub(super) fn new(processes: Vec<Arc<Process>>) -> Self {
        Self { processes: Arc::new(Mutex::new(processes)) }
    }

    fn processes(&self) -> MutexGuard<'_, Vec<Arc<Process>>> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process of a replica that runs now, or ran last.
    pub fn process(&self, replica: usize) -> Option<Arc<Process>> {
        let processes = self.processes();
        processes.get(replica.checked_rem(processes.len())?).cloned()
    }

    /// The process with this name, if it runs now or ran last.
    pub fn by_name(&self, name: &str) -> Option<Arc<Process>> {
        self.processes().iter().find(|process| process.name() == name).cloned()
    }

    /// How many replicas there are.
    pub(super) fn count(&self) -> usize {
        self.processes().len()
    }

    /// Puts a new process in the place of a replica's former one.
    pub(super) fn replace(&self, replica: usize, process: Arc<Process>) {
        if let Some(slot) = self.processes().get_mut(replica) {
            *slot = process;
        }
    }
}
