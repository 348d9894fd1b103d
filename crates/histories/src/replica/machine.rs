//! The machine under a replica's processes: its clock, its network and its AWS role. The machine outlives its processes.

use crate::script::Millis;
use jiff::{SignedDuration, Timestamp};
use multi_eni_controller::clock::{Steady, Wall};
use multi_eni_sim::clock::SimClock;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The machine of a replica: its clock, its network and its role.
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
    /// A machine whose wall clock differs from the simulated time by `skew` milliseconds.
    pub fn new(clock: SimClock, skew: i64) -> Self {
        let state = MachineState { skew: SignedDuration::from_millis(skew), ..MachineState::default() };
        Self { clock, booted: Instant::now(), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, MachineState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the wall clock forward or back.
    pub fn step_clock(&self, by: i64) {
        self.state().skew += SignedDuration::from_millis(by);
    }

    /// Makes the API server, or EC2, unreachable for a time.
    pub fn cut(&self, kube: bool, lasts: Millis) {
        let until = Some(Instant::now() + Duration::from_millis(lasts));
        let mut state = self.state();
        if kube { state.no_kube_until = until } else { state.no_ec2_until = until }
    }

    /// Makes watches receive nothing for a time; the delayed events come after it.
    pub fn hold_news(&self, lasts: Millis) {
        self.state().no_news_until = Some(Instant::now() + Duration::from_millis(lasts));
    }

    /// Gives processes the role of another account from now on, or their own role.
    pub fn set_elsewhere(&self, elsewhere: bool) {
        self.state().elsewhere = elsewhere;
    }

    /// Whether processes have the role of another account now.
    pub fn is_elsewhere(&self) -> bool {
        self.state().elsewhere
    }

    /// Restores the network, the clock and the role.
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

    /// Until when watches receive nothing; None if they receive events now.
    pub fn news_at(&self) -> Option<Instant> {
        self.state().no_news_until.filter(|until| Instant::now() < *until)
    }

    fn wall_time(&self) -> Timestamp {
        self.clock.now().saturating_add(self.state().skew).unwrap_or(Timestamp::MAX)
    }

    /// The wall clock.
    pub fn wall(self: &Arc<Self>) -> Wall {
        let machine = self.clone();
        Arc::new(move || machine.wall_time())
    }

    /// The steady clock. It does not start at 0, because no real one is at 0 when a process runs.
    pub fn steady(self: &Arc<Self>) -> Steady {
        let booted = self.booted;
        Arc::new(move || Duration::from_secs(1000) + booted.elapsed())
    }
}
