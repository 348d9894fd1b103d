//! The handle of a simulated account, [`Ec2`]: what tests read of it, wait for and control.
//!
//! Each method locks the account, processes the events that are due, and answers. The lock is never held across an await.
//! Requests come in by `http`. The account is set up by `setup` and changed by `by_hand`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::broadcast;

use super::api_error;
use super::buckets::Withdrawal;
use super::call_log::{CallRecord, Outcome};
use super::faults::{Fault, FaultRule, Faults, Incoming};
use super::model::Snapshot;
use super::observer::{IamObserver, Observer};
use super::settings::Settings;
use super::state::State;
use crate::clock::SimClock;

/// A simulated EC2: one account in one Region. Clones share the account.
#[derive(Clone)]
pub struct Ec2 {
    state: Arc<Mutex<State>>,
    clock: SimClock,
}

impl Ec2 {
    /// An empty account.
    pub fn new(clock: SimClock, settings: Settings) -> Self {
        Self { state: Arc::new(Mutex::new(State::new(clock, settings))), clock }
    }

    /// The account's current state, without eventual consistency.
    pub fn snapshot(&self) -> Snapshot {
        self.with(|state| state.snapshot())
    }

    /// The calls that took effect, were refused or did not arrive, oldest first.
    pub fn calls(&self) -> Vec<CallRecord> {
        self.with(|state| state.call_log.records())
    }

    /// The number of calls by action and outcome. Unlike [`Self::calls`], the numbers are not capped.
    pub fn counts(&self) -> BTreeMap<String, BTreeMap<Outcome, u64>> {
        self.with(|state| state.call_log.counts())
    }

    /// The number of calls by action since the beginning, whatever their outcome. [`Self::clear_calls`] keeps it.
    pub fn all_counts(&self) -> BTreeMap<String, u64> {
        self.with(|state| state.call_log.all())
    }

    /// Clears the records and counts of calls, so that a test can count from here.
    pub fn clear_calls(&self) {
        self.with(|state| state.call_log.clear());
    }

    /// Receives every call from now on, when it takes effect or is refused.
    pub fn subscribe(&self) -> broadcast::Receiver<CallRecord> {
        self.with(|state| state.call_log.landed.subscribe())
    }

    /// Waits for the first call from now on that satisfies `condition`.
    pub async fn wait_for_call(&self, condition: impl Fn(&CallRecord) -> bool) -> CallRecord {
        let mut calls = self.subscribe();
        loop {
            match calls.recv().await {
                Ok(call) if condition(&call) => return call,
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }

    /// Waits until the account satisfies `condition`, whether a call, a change by hand or an event brings that about.
    pub async fn wait_until(&self, condition: impl Fn(&Snapshot) -> bool) -> Snapshot {
        let mut changed = self.with(|state| state.call_log.changed.subscribe());
        loop {
            changed.borrow_and_update();
            let (snapshot, next) = self.with(|state| (state.snapshot(), state.next_event()));
            if condition(&snapshot) {
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

    /// Adds a fault rule after those that are in force.
    pub fn inject(&self, rule: FaultRule) {
        self.with(|state| state.faults.rules.push(rule));
    }

    /// Sets a closure that chooses faults for the calls to which no rule applies.
    pub fn set_fault_source(&self, source: impl FnMut(&Incoming) -> Option<Fault> + Send + 'static) {
        self.with(|state| state.faults.source = Some(Box::new(source)));
    }

    /// Reports every change and every call from now on to `observer`.
    pub fn observe(&self, observer: Observer) {
        self.with(|state| state.observer = Some(observer));
    }

    /// Reports what IAM sees of each call from now on, before the call takes effect. [`super::LEFT_OUT`] is what is not reported.
    pub fn observe_iam(&self, observer: IamObserver) {
        self.with(|state| state.iam_observer = Some(observer));
    }

    /// Removes all fault rules and the fault source. Attachments that a fault made stuck stay stuck.
    pub fn clear_faults(&self) {
        self.with(|state| state.faults = Faults::default());
    }

    /// Withdraws the permission for an action. `CreateTags` also covers tags given with Create, as in IAM.
    pub fn deny(&self, action: &str) {
        self.deny_because(action, &format!("because no identity-based policy allows the ec2:{action} action"));
    }

    /// Withdraws the permission for an action, and gives the part of EC2's message that names the kind of policy, such as
    /// `with an explicit deny in a service control policy`.
    pub fn deny_because(&self, action: &str, why: &str) {
        self.with(|state| state.denied.insert(action.to_owned(), why.to_owned()));
    }

    /// Restores the permission for an action.
    pub fn allow(&self, action: &str) {
        self.with(|state| state.denied.remove(action));
    }

    /// Changes the settings from now on.
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) {
        self.with(|state| change(&mut state.settings));
    }

    /// Takes tokens from an action's bucket, as another caller in the account would. Returns whether there were enough.
    pub fn spend(&self, action: &str, tokens: u32) -> bool {
        self.with(|state| match &state.settings.buckets {
            Some(rules) => {
                let withdrawal = Withdrawal { action, unfiltered: false, tokens };
                state.token_buckets.take(rules, &withdrawal, state.now)
            }
            None => true,
        })
    }

    /// Processes all events that are due, so that the observer learns of them before anything else happens elsewhere.
    pub fn catch_up(&self) {
        self.with(|_| ());
    }

    /// Every error code that this EC2 answers with of its own accord, sorted.
    pub fn codes() -> &'static [&'static str] {
        api_error::CODES
    }

    /// Gives `access` the state as of now, after all events that are due.
    pub(super) fn with<T>(&self, access: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.advance_to_now();
        access(&mut state)
    }

    /// Sleeps until the simulated time `at`.
    pub(super) async fn sleep_until(&self, at: Timestamp) {
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
