//! EC2 in process: the network-interface actions.
//!
//! A test double, so it is strict: it refuses what EC2 refuses, with EC2's codes, and it forgets, lags and throttles as
//! EC2 does. The facts come from AWS's public documentation as gathered in `facts/ec2.md`.
//!
//! Time is the [`SimClock`]'s alone, every ID and delay comes from the seed, and whatever is due happens when somebody
//! looks: a run under paused time depends on nothing but its inputs.

mod actions;
mod addresses;
mod buckets;
pub mod catalog;
mod faults;
mod filters;
mod foreign;
mod history;
mod http;
mod ids;
mod ledger;
mod model;
mod observer;
mod pages;
mod params;
mod refusal;
mod request;
mod settings;
mod state;
mod tokens;
mod world;
mod xml;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::broadcast;

use self::state::State;
use crate::clock::SimClock;

pub use self::faults::{Fault, FaultRule, FaultSource, Incoming, Loss};
pub use self::foreign::Foreign;
pub use self::ledger::{CallRecord, Outcome};
pub use self::model::{
    Attachment, AttachmentStatus, Creator, Eni, Instance, InstanceState, SecurityGroup, Shape, Snapshot, Stuck, Subnet,
};
pub use self::observer::{By, Happening, Observer};
pub use self::request::form_request;
pub use self::settings::{Buckets, Settings};
pub use self::world::WorldError;

/// A simulated EC2: one account in one Region. Clones share it.
#[derive(Clone)]
pub struct Ec2 {
    state: Arc<Mutex<State>>,
    clock: SimClock,
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum LostAnswer {
    /// The request did not arrive.
    #[error("connection refused (simulated)")]
    Unreachable,
    /// The request arrived; the connection broke before the answer.
    #[error("connection broken before the answer (simulated)")]
    Broken,
}

impl Ec2 {
    /// An empty account.
    pub fn new(clock: SimClock, settings: Settings) -> Self {
        Self { state: Arc::new(Mutex::new(State::new(clock, settings))), clock }
    }

    /// Everything there is, as it truly is.
    pub fn snapshot(&self) -> Snapshot {
        self.with(|state| state.snapshot())
    }

    /// The calls that have landed, oldest first.
    pub fn calls(&self) -> Vec<CallRecord> {
        self.with(|state| state.ledger.records())
    }

    /// Landed calls counted by action and outcome; unlike [`Self::calls`], never capped.
    pub fn counts(&self) -> BTreeMap<String, BTreeMap<Outcome, u64>> {
        self.with(|state| state.ledger.counts())
    }

    /// Forgets calls and counts, to count a phase of its own.
    pub fn clear_calls(&self) {
        self.with(|state| state.ledger.clear());
    }

    /// Every call from now on, as it lands.
    pub fn subscribe(&self) -> broadcast::Receiver<CallRecord> {
        self.with(|state| state.ledger.landed.subscribe())
    }

    /// Waits for a call that lands from now on.
    pub async fn wait_for_call(&self, wanted: impl Fn(&CallRecord) -> bool) -> CallRecord {
        let mut calls = self.subscribe();
        loop {
            match calls.recv().await {
                Ok(call) if wanted(&call) => return call,
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }

    /// Waits until the account is as wanted, whether by a call, by hand or by time.
    pub async fn wait_until(&self, wanted: impl Fn(&Snapshot) -> bool) -> Snapshot {
        let mut changed = self.with(|state| state.ledger.changed.subscribe());
        loop {
            changed.borrow_and_update();
            let (snapshot, next) = self.with(|state| (state.snapshot(), state.next_due()));
            if wanted(&snapshot) {
                return snapshot;
            }
            let due = async {
                match next {
                    Some(at) => self.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                _ = changed.changed() => {}
                () = due => {}
            }
        }
    }

    /// Adds a fault.
    pub fn inject(&self, rule: FaultRule) {
        self.with(|state| state.faults.rules.push(rule));
    }

    /// Lets a closure choose faults for the calls that no rule befalls.
    pub fn set_fault_source(&self, source: impl FnMut(&Incoming) -> Option<Fault> + Send + 'static) {
        self.with(|state| state.faults.source = Some(Box::new(source)));
    }

    /// Tells every change and every call from now on.
    pub fn observe(&self, observer: Observer) {
        self.with(|state| state.observer = Some(observer));
    }

    /// Removes all rules and the source. What is stuck stays stuck.
    pub fn clear_faults(&self) {
        self.with(|state| state.faults = faults::Faults::default());
    }

    /// Withdraws the permission for an action. `CreateTags` also covers tags given with Create, as in IAM.
    pub fn deny(&self, action: &str) {
        self.with(|state| state.denied.insert(action.to_owned()));
    }

    /// Gives the permission back.
    pub fn allow(&self, action: &str) {
        self.with(|state| state.denied.remove(action));
    }

    /// Changes how it behaves from now on.
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) {
        self.with(|state| change(&mut state.settings));
    }

    /// Somebody else in the account spends from an action's bucket; whether there was enough.
    pub fn spend(&self, action: &str, tokens: u32) -> bool {
        self.with(|state| match &state.settings.buckets {
            Some(rules) => state.levels.take(rules, action, false, tokens, state.now),
            None => true,
        })
    }

    /// Lets happen all that is due, for observers who must learn of it before something else happens elsewhere.
    pub fn catch_up(&self) {
        self.with(|_| ());
    }

    /// Looks at the state as of now: all that was due has happened. The lock is never held across an await.
    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.settle();
        look(&mut state)
    }

    async fn sleep_until(&self, at: Timestamp) {
        if let Ok(left) = Duration::try_from(at.duration_since(self.clock.now()))
            && !left.is_zero()
        {
            tokio::time::sleep(left).await;
        }
    }
}

impl fmt::Debug for Ec2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ec2").finish_non_exhaustive()
    }
}
