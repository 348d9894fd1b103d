//! The handle of the checker. The simulated EC2 and API server, the interceptor, the replicas and the history report to it.

use super::backoff::Request;
use super::state::State;
use super::trace::Detail;
use crate::environment::Environment;
use crate::replica::Process;
use crate::script::{InjectedFault, Millis, Script};
use multi_eni_sim::ec2::{Incoming, InstanceState};
use multi_eni_sim::kube::RequestInfo;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The checker of one history. Clones share one state.
#[derive(Clone)]
pub struct Checker {
    state: Arc<Mutex<State>>,
    environment: Environment,
}

impl Checker {
    /// Observes the environment from now on.
    pub fn watch(environment: &Environment, script: &Script, detail: Detail) -> Self {
        let state = Arc::new(Mutex::new(State::new(&environment.cluster, script, detail)));
        let checker = Self { state, environment: environment.clone() };
        let observed = checker.state.clone();
        let epoch = environment.clock.now().as_millisecond();
        environment.ec2.observe(Box::new(move |at, happening| {
            let at = Millis::try_from(at.as_millisecond() - epoch).unwrap_or(0);
            lock(&observed).ec2(at, happening);
        }));
        let (observed, clock) = (checker.state.clone(), environment.timer());
        environment.api.observe(Box::new(move |change| lock(&observed).object(clock(), change)));
        checker
    }

    /// The state, locked.
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Adds a line to the trace.
    pub fn says(&self, detail: Detail, actor: &str, what: impl FnOnce() -> String) {
        let at = self.environment.now();
        self.state().trace.line(detail, at, actor, what);
    }

    /// Checks what no request shows, if it is time for it: instances that were terminated, and refusals that no status reports.
    pub fn poll(&self) {
        let at = self.environment.now();
        if !self.state().is_poll_due(at) {
            return;
        }
        let instances = self.environment.ec2.snapshot().instances;
        let gone = |state: InstanceState| matches!(state, InstanceState::ShuttingDown | InstanceState::Terminated);
        let dead = instances.iter().filter(|(_, instance)| gone(instance.state)).map(|(id, _)| id.clone());
        self.state().poll(at, dead.collect());
    }

    /// A process has started.
    pub fn begins(&self, process: &Process) {
        let at = self.environment.now();
        let mut state = self.state();
        state.last_begun = at;
        if !state.elects {
            state.refusals.counted_anew(at);
        }
        drop(state);
        self.says(Detail::Story, &process.name(), || "starts".to_owned());
    }

    /// A process has ended.
    pub fn ends(&self, process: &Process) {
        self.says(Detail::Story, &process.name(), || {
            (if process.is_dead() { "is dead" } else { "has ended" }).to_string()
        });
    }

    /// A process sends a request to the API server.
    pub fn sends_kube(&self, process: &Process, info: &RequestInfo, injected: Option<&InjectedFault>) {
        let (at, name, mut state) = (self.environment.now(), process.name(), self.state());
        if let Some(injected) = injected {
            state.trace.line(Detail::Story, at, &name, || {
                format!("{} {} {}: {}", info.verb, info.target(), info.name, injected.words())
            });
        }
        state.sends_kube(at, process, info);
    }

    /// A process is about to write to the API server. Returns the request and the time; None if it is not
    /// followed.
    pub fn write_begins(&self, process: &Process, info: &RequestInfo, body: &[u8]) -> Option<(Millis, Request)> {
        let at = self.environment.now();
        self.state().write_begins(at, process, info, body).map(|request| (at, request))
    }

    /// The write has ended, with this HTTP status; None if the process received no answer.
    pub fn write_ends(&self, process: &Process, write: &(Millis, Request), status: Option<u16>) {
        self.state().write_ends(process, write, status);
    }

    /// The process received the answer to a request.
    pub fn answered(&self, process: &Process, info: &RequestInfo, status: Option<u16>) {
        let at = self.environment.now();
        let mut state = self.state();
        if info.resource == "leases" && !matches!(info.verb.as_str(), "get" | "list" | "watch") {
            let taken = status.is_some_and(|status| (200..300).contains(&status));
            if state.leases.answered(&process.name(), &process.identity, taken) {
                state.quota_is_forgotten(&process.name());
                state.refusals.counted_anew(at);
            }
        }
        state.trace.line(Detail::Everything, at, &process.name(), || {
            let status = status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
            format!("gets {status} for {} {} {}", info.verb, info.target(), info.name)
        });
    }

    /// A process sends a call to EC2.
    pub fn sends_ec2(&self, process: &Process, call: &Incoming, injected: Option<&InjectedFault>) {
        let (at, name, mut state) = (self.environment.now(), process.name(), self.state());
        if let Some(injected) = injected {
            state.trace.line(Detail::Story, at, &name, || format!("{}: {}", call.action, injected.words()));
        }
        state.sends_ec2(at, process, call);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
