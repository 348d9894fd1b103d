//! One process of one replica: running, frozen or dead. [`Process::run`] polls the controller until it ends or the process is
//! killed.

use super::machine::Machine;
use crate::script::Millis;
use futures::task::AtomicWaker;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// One process.
#[derive(Debug)]
pub struct Process {
    /// The replica, from 0.
    pub replica: usize,
    /// The number of the process among the replica's processes, from 1.
    pub number: u32,
    /// Its identity in the leader election.
    pub identity: String,
    /// The machine on which it runs.
    pub machine: Arc<Machine>,
    /// Notified by SIGTERM.
    pub stop: Notify,
    waker: AtomicWaker,
    state: Mutex<ProcessState>,
}

#[derive(Debug, Default)]
struct ProcessState {
    dead: bool,
    frozen: bool,
    restart: Millis,
}

impl Process {
    /// A running process.
    pub fn new(replica: usize, number: u32, machine: Arc<Machine>, same_identity: bool) -> Self {
        let (waker, state) = (AtomicWaker::new(), Mutex::default());
        let identity = if same_identity { name(replica, 0) } else { name(replica, number) };
        Self { replica, number, identity, machine, stop: Notify::new(), waker, state }
    }

    fn state(&self) -> MutexGuard<'_, ProcessState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process's name, such as `a1`: the replica's letter and the number of the process.
    pub fn name(&self) -> String {
        name(self.replica, self.number)
    }

    /// Kills the process, as SIGKILL does. The next process starts `restart` milliseconds later.
    pub fn kill(&self, restart: Millis) {
        let mut state = self.state();
        (state.dead, state.restart) = (true, restart);
        drop(state);
        self.waker.wake();
    }

    /// Stops the process, as SIGTERM does. The next process starts `restart` milliseconds after this one has ended.
    pub fn terminate(&self, restart: Millis) {
        self.state().restart = restart;
        self.stop.notify_one();
    }

    /// Freezes the process, as SIGSTOP does, or lets it continue, as SIGCONT does.
    pub fn freeze(&self, frozen: bool) {
        self.state().frozen = frozen;
        self.waker.wake();
    }

    /// Whether the process was killed.
    pub fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// How many milliseconds after the end of this process the next one starts.
    pub fn restart(&self) -> Millis {
        self.state().restart
    }

    /// Runs `inner` until it ends or the process is killed. While the process is frozen, `inner` does not run.
    pub async fn run(&self, inner: impl Future<Output = ()> + Send) {
        let mut inner = Box::pin(inner);
        std::future::poll_fn(|context| {
            self.waker.register(context.waker());
            let (dead, frozen) = {
                let state = self.state();
                (state.dead, state.frozen)
            };
            match (dead, frozen) {
                (true, _) => std::task::Poll::Ready(()),
                (false, true) => std::task::Poll::Pending,
                (false, false) => {
                    let polled = inner.as_mut().poll(context);
                    if self.is_dead() { std::task::Poll::Ready(()) } else { polled }
                }
            }
        })
        .await;
    }
}

/// The letter of a replica and the number of its process, such as `a1`.
fn name(replica: usize, number: u32) -> String {
    let letter = u8::try_from(replica).map_or('?', |n| char::from(b'a' + n.min(25)));
    format!("{letter}{number}")
}

/// Whether an actor's name is that of a replica's process: a letter and a number.
pub fn is_process(actor: &str) -> bool {
    let mut letters = actor.chars();
    letters.next().is_some_and(|first| first.is_ascii_lowercase())
        && !letters.as_str().is_empty()
        && letters.as_str().chars().all(|c| c.is_ascii_digit())
}
