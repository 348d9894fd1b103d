//! One life of one replica's process: running, frozen or dead. And the machine under it, which outlives it.

use crate::script::Millis;
use futures::task::AtomicWaker;
use jiff::{SignedDuration, Timestamp};
use multi_eni_controller::clock::{Steady, Wall};
use multi_eni_sim::clock::SimClock;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The machine of a replica: its clock and its network.
#[derive(Debug)]
pub struct Machine {
    clock: SimClock,
    booted: Instant,
    state: Mutex<MachineState>,
}

#[derive(Debug, Default)]
struct MachineState {
    skew: SignedDuration,
    no_kube_until: Option<Instant>,
    no_ec2_until: Option<Instant>,
    no_news_until: Option<Instant>,
    elsewhere: bool,
}

impl Machine {
    /// A machine whose wall clock differs from the true time by `skew` milliseconds.
    pub fn new(clock: SimClock, skew: i64) -> Self {
        let state = MachineState { skew: SignedDuration::from_millis(skew), ..MachineState::default() };
        Self { clock, booted: Instant::now(), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, MachineState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the wall clock forward or back.
    pub fn step_clock(&self, by: i64) {
        self.state().skew += SignedDuration::from_millis(by);
    }

    /// The API server, or EC2, is out of reach for a while.
    pub fn cut(&self, kube: bool, lasts: Millis) {
        let until = Some(Instant::now() + Duration::from_millis(lasts));
        let mut state = self.state();
        if kube { state.no_kube_until = until } else { state.no_ec2_until = until }
    }

    /// Watches bring nothing for a while; what they held back comes after.
    pub fn hold_news(&self, lasts: Millis) {
        self.state().no_news_until = Some(Instant::now() + Duration::from_millis(lasts));
    }

    /// Processes have another account's role from now on, or their own again.
    pub fn set_elsewhere(&self, elsewhere: bool) {
        self.state().elsewhere = elsewhere;
    }

    /// Whether processes have another account's role now.
    pub fn is_elsewhere(&self) -> bool {
        self.state().elsewhere
    }

    /// The network and the clock are as they should be from now on.
    pub fn mend(&self) {
        *self.state() = MachineState::default();
    }

    /// Whether the API server can be reached.
    pub fn reaches_kube(&self) -> bool {
        self.state().no_kube_until.is_none_or(|until| Instant::now() >= until)
    }

    /// Whether EC2 can be reached.
    pub fn reaches_ec2(&self) -> bool {
        self.state().no_ec2_until.is_none_or(|until| Instant::now() >= until)
    }

    /// Until when news are held back, if they are.
    pub fn news_at(&self) -> Option<Instant> {
        self.state().no_news_until.filter(|until| Instant::now() < *until)
    }

    fn wall_time(&self) -> Timestamp {
        self.clock.now().saturating_add(self.state().skew).unwrap_or(Timestamp::MAX)
    }

    /// Its wall clock.
    pub fn wall(self: &Arc<Self>) -> Wall {
        let machine = self.clone();
        Arc::new(move || machine.wall_time())
    }

    /// Its steady clock. Not 0 at boot, as no real one is when a process runs.
    pub fn steady(self: &Arc<Self>) -> Steady {
        let booted = self.booted;
        Arc::new(move || Duration::from_secs(1000) + booted.elapsed())
    }
}

/// One process.
#[derive(Debug)]
pub struct Life {
    /// Which replica, from 0.
    pub replica: usize,
    /// Its how manieth process, from 1.
    pub number: u32,
    /// Its name in the election.
    pub identity: String,
    /// Its machine.
    pub machine: Arc<Machine>,
    /// SIGTERM.
    pub stop: Notify,
    waker: AtomicWaker,
    state: Mutex<LifeState>,
}

#[derive(Debug, Default)]
struct LifeState {
    dead: bool,
    frozen: bool,
    restart: Millis,
}

impl Life {
    /// A process that runs.
    pub fn new(replica: usize, number: u32, machine: Arc<Machine>, same_identity: bool) -> Self {
        let (waker, state) = (AtomicWaker::new(), Mutex::default());
        let identity = if same_identity { name(replica, 0) } else { name(replica, number) };
        Self { replica, number, identity, machine, stop: Notify::new(), waker, state }
    }

    fn state(&self) -> MutexGuard<'_, LifeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `a1`: the replica's letter and the number of its process.
    pub fn name(&self) -> String {
        name(self.replica, self.number)
    }

    /// kill -9; the next process starts `restart` later.
    pub fn kill(&self, restart: Millis) {
        let mut state = self.state();
        (state.dead, state.restart) = (true, restart);
        drop(state);
        self.waker.wake();
    }

    /// SIGTERM; the next process starts `restart` after this one has ended.
    pub fn terminate(&self, restart: Millis) {
        self.state().restart = restart;
        self.stop.notify_one();
    }

    /// SIGSTOP, or SIGCONT.
    pub fn freeze(&self, frozen: bool) {
        self.state().frozen = frozen;
        self.waker.wake();
    }

    /// Whether it was killed.
    pub fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// How long until the next process.
    pub fn restart(&self) -> Millis {
        self.state().restart
    }

    /// The process itself: runs `inner` until it ends or is killed, and not at all while it is frozen.
    pub async fn live(&self, inner: impl Future<Output = ()> + Send) {
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

/// `a1`: the letter of a replica and the number of its process.
pub fn name(replica: usize, number: u32) -> String {
    let letter = u8::try_from(replica).map_or('?', |n| char::from(b'a' + n.min(25)));
    format!("{letter}{number}")
}
