//! Who sees everything that happens, checks it at once, and can tell it.
//!
//! - [`state`]: what it knows, and what it does with each thing that happens.
//! - [`model`]: the truth, followed change by change.
//! - [`allowed`]: whether a replica's deed was its to do; [`status_true`]: whether its status was true. [`lease`], [`budget`]:
//!   whether it might send at all; [`backoff`], by [`targets`]: whether it might send it again.
//! - [`rollout`]: how many nodes a rollout takes away at a time. [`said`]: what is refused for long is said.
//! - [`enforced`]: which of the newer promises count.
//! - [`invariant`]: the promises. [`trace`], [`describe`]: the words.

mod allowed;
mod backoff;
mod budget;
mod describe;
pub mod enforced;
pub mod invariant;
mod lease;
pub mod model;
mod pace;
mod rollout;
mod said;
pub mod state;
mod status_true;
mod takeover;
mod targets;
#[cfg(test)]
mod tests;
pub mod trace;

pub use backoff::Request;
pub use enforced::Enforced;
pub use invariant::{Promise, Violation};
pub use state::{Activity, State};
pub use trace::Detail;

use crate::environment::Environment;
use crate::replica::Life;
use crate::script::{Befallen, Millis, Script};
use multi_eni_sim::ec2::{Incoming, InstanceState};
use multi_eni_sim::kube::RequestInfo;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The checker. Clones are the same.
#[derive(Clone)]
pub struct Checker {
    state: Arc<Mutex<State>>,
    environment: Environment,
}

impl Checker {
    /// Watches that stage from now on.
    pub fn watch(environment: &Environment, script: &Script, detail: Detail) -> Self {
        let state = Arc::new(Mutex::new(State::new(&environment.cluster, script, detail)));
        let checker = Self { state, environment: environment.clone() };
        let seen = checker.state.clone();
        let epoch = environment.clock.now().as_millisecond();
        environment.ec2.observe(Box::new(move |at, happening| {
            let at = Millis::try_from(at.as_millisecond() - epoch).unwrap_or(0);
            lock(&seen).ec2(at, happening);
        }));
        let (seen, clock) = (checker.state.clone(), environment.timer());
        environment.api.observe(Box::new(move |change| lock(&seen).object(clock(), change)));
        checker
    }

    /// What it knows.
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Something is said by somebody.
    pub fn says(&self, detail: Detail, who: &str, what: impl FnOnce() -> String) {
        let at = self.environment.now();
        self.state().trace.line(detail, at, who, what);
    }

    /// Time has passed, or somebody has done something: whatever no request shows is looked at.
    pub fn looks(&self) {
        let at = self.environment.now();
        if !self.state().is_time_to_look(at) {
            return;
        }
        let instances = self.environment.ec2.snapshot().instances;
        let gone = |state: InstanceState| matches!(state, InstanceState::ShuttingDown | InstanceState::Terminated);
        let dead = instances.iter().filter(|(_, instance)| gone(instance.state)).map(|(id, _)| id.clone());
        self.state().looks(at, dead.collect());
    }

    /// A process begins.
    pub fn begins(&self, life: &Life) {
        let at = self.environment.now();
        let mut state = self.state();
        state.last_begun = at;
        if !state.elects {
            state.refusals.counted_anew(at);
        }
        drop(state);
        self.says(Detail::Story, &life.name(), || "starts".to_owned());
    }

    /// A process has ended.
    pub fn ends(&self, life: &Life) {
        self.says(Detail::Story, &life.name(), || (if life.is_dead() { "is dead" } else { "has ended" }).to_string());
    }

    /// A request leaves for the API server.
    pub fn sends_kube(&self, life: &Life, info: &RequestInfo, befallen: Option<&Befallen>) {
        let (at, name, mut state) = (self.environment.now(), life.name(), self.state());
        if let Some(befallen) = befallen {
            state.trace.line(Detail::Story, at, &name, || {
                format!("{} {} {}: {}", info.verb, info.target(), info.name, befallen.words())
            });
        }
        state.sends_kube(at, life, info);
    }

    /// A process is about to write to the API server: what it asks for, and when. None if nobody counts.
    pub fn asks(&self, life: &Life, info: &RequestInfo, body: &[u8]) -> Option<(Millis, Request)> {
        let at = self.environment.now();
        self.state().asks(at, life, info, body).map(|request| (at, request))
    }

    /// What it asked for has ended.
    pub fn ended(&self, life: &Life, asked: &(Millis, Request), status: Option<u16>) {
        self.state().ended(life, asked, status);
    }

    /// A request was answered, and its process heard the answer.
    pub fn answered(&self, life: &Life, info: &RequestInfo, status: Option<u16>) {
        let at = self.environment.now();
        let mut state = self.state();
        if info.resource == "leases" && !matches!(info.verb.as_str(), "get" | "list" | "watch") {
            let taken = status.is_some_and(|status| (200..300).contains(&status));
            if state.leases.answered(&life.name(), &life.identity, taken) {
                state.quota_is_forgotten(&life.name());
                state.refusals.counted_anew(at);
            }
        }
        state.trace.line(Detail::Everything, at, &life.name(), || {
            let status = status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
            format!("hears {status} to {} {} {}", info.verb, info.target(), info.name)
        });
    }

    /// A call leaves for EC2.
    pub fn sends_ec2(&self, life: &Life, call: &Incoming, befallen: Option<&Befallen>) {
        let (at, name, mut state) = (self.environment.now(), life.name(), self.state());
        if let Some(befallen) = befallen {
            state.trace.line(Detail::Story, at, &name, || format!("{}: {}", call.action, befallen.words()));
        }
        state.sends_ec2(at, life, call);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
