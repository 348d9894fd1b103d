//! The interceptor through which every request of a replica passes: it decides what befalls it, and tells the checker.

use crate::checker::Checker;
use crate::environment::{Environment, People};
use crate::fault_injector::FaultInjector;
use crate::replica::{Life, Passage, Replicas};
use crate::rng;
use crate::script::{Befallen, Fault, Millis, Script, Seam, Setting};
use multi_eni_sim::ec2::{Fault as Ec2Fault, Incoming, Loss, Stuck};
use multi_eni_sim::kube::{GroupResource, RequestInfo};
use serde_json::json;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What all requests pass.
pub struct Interceptor {
    /// EC2, the API server and the clock.
    pub environment: Environment,
    /// Who sees everything.
    pub checker: Checker,
    seed: u64,
    kube_latency: [Millis; 2],
    replicas: OnceLock<Replicas>,
    state: Mutex<State>,
}

struct State {
    fault_injector: FaultInjector,
    requests: u64,
    api_away_until: Option<Instant>,
    forbidden_until: Option<Instant>,
    reads_forbidden_until: Option<Instant>,
    /// What EC2 refuses: the action, the code, until when.
    refused_calls: Vec<(String, String, Instant)>,
}

impl Interceptor {
    /// The interceptor of one history. EC2 asks it from now on what befalls its calls.
    pub fn open(environment: Environment, checker: Checker, script: &Script) -> Arc<Self> {
        let Setting { kube_latency, .. } = script.setting;
        let fault_injector = FaultInjector::new(script.seed, script.trouble.clone());
        let state = State {
            fault_injector,
            requests: 0,
            api_away_until: None,
            forbidden_until: None,
            reads_forbidden_until: None,
            refused_calls: Vec::new(),
        };
        let interceptor = Arc::new(Self {
            environment,
            checker,
            seed: script.seed,
            kube_latency,
            replicas: OnceLock::new(),
            state: Mutex::new(state),
        });
        let asked = Arc::downgrade(&interceptor);
        interceptor.environment.ec2.set_fault_source(move |call| asked.upgrade()?.ec2(call));
        interceptor
    }

    /// Whose requests pass from now on.
    pub fn seat(&self, replicas: &Replicas) {
        // Seated once, by the history.
        let _ = self.replicas.set(replicas.clone());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on nothing goes wrong.
    pub fn calm(&self) {
        let mut state = self.state();
        state.fault_injector.end();
        state.refused_calls.clear();
        (state.api_away_until, state.forbidden_until, state.reads_forbidden_until) = (None, None, None);
        self.environment.api.refuse_nothing();
    }

    /// The faults that befell requests.
    pub fn befallen(&self) -> Vec<Befallen> {
        self.state().fault_injector.befallen().to_vec()
    }

    /// The API server is away for a while; its watches end.
    pub fn restart_api(&self, lasts: Millis) {
        self.state().api_away_until = Some(Instant::now() + Duration::from_millis(lasts));
        self.environment.api.break_watches();
    }

    /// RBAC refuses all writes of the replicas for a while, or all that they read: watches that are open go on.
    pub fn forbid(&self, reads: bool, lasts: Millis) {
        let until = Some(Instant::now() + Duration::from_millis(lasts));
        let mut state = self.state();
        *(if reads { &mut state.reads_forbidden_until } else { &mut state.forbidden_until }) = until;
    }

    /// EC2 refuses an action with this code for a while.
    pub fn refuse_calls(&self, action: &str, code: &str, lasts: Millis) {
        let until = Instant::now() + Duration::from_millis(lasts);
        self.state().refused_calls.push((action.to_owned(), code.to_owned(), until));
    }

    fn refused_call(&self, action: &str) -> Option<String> {
        let now = Instant::now();
        let state = self.state();
        let found = state.refused_calls.iter().find(|(refused, _, until)| refused == action && now < *until);
        found.map(|(_, code, _)| code.clone())
    }

    /// How a request to the API server passes.
    pub fn kube(&self, life: &Life, info: &RequestInfo) -> Passage {
        let call = format!("{} {}", info.verb, info.target());
        let now = Instant::now();
        let writes = !matches!(info.verb.as_str(), "get" | "list" | "watch");
        let (befallen, number, away, forbidden) = {
            let mut state = self.state();
            state.requests += 1;
            let over = |until: Option<Instant>| until.is_none_or(|until| now >= until);
            let forbids = if writes { state.forbidden_until } else { state.reads_forbidden_until };
            let (away, forbidden) = (!over(state.api_away_until), !over(forbids));
            (state.fault_injector.fault_for(Seam::Kube, &call), state.requests, away, forbidden)
        };
        self.checker.sends_kube(life, info, befallen.as_ref());
        self.crash(life, befallen.as_ref());
        let [from, to] = self.kube_latency;
        let latency = |way: &str| {
            Duration::from_millis(from + rng::below(to.saturating_sub(from) + 1, self.seed, ("latency", way, number)))
        };
        Passage {
            there: latency("there"),
            back: latency("back"),
            reachable: life.machine.reaches_kube() && !away,
            refused: forbidden.then_some(403),
            befallen,
        }
    }

    /// Somebody else writes to the object that a request is about.
    pub async fn interfere(&self, info: &RequestInfo) {
        let resource = GroupResource::new(&info.group, &info.resource);
        let note =
            json!({ "metadata": { "annotations": { "example.com/seen": self.environment.clock.now().to_string() } } });
        // Where there is no such object, nobody can write to it.
        let _ = People::at(&self.environment.api).patch(&resource, &info.name, &note).await;
    }

    /// What befalls a call to EC2.
    fn ec2(&self, call: &Incoming) -> Option<Ec2Fault> {
        let life = self.replicas.get()?.by_name(&call.user_agent)?;
        let befallen = self.state().fault_injector.fault_for(Seam::Ec2, &oracle_name(call));
        self.checker.sends_ec2(&life, call, befallen.as_ref());
        self.crash(&life, befallen.as_ref());
        let fail = |code: &str| Ec2Fault::Fail { code: code.to_owned(), status: None };
        if let Some(code) = self.refused_call(&call.action) {
            return Some(fail(&code));
        }
        let Befallen { fault, lasts, .. } = befallen?;
        let lasts = Duration::from_millis(lasts);
        match fault {
            Fault::CrashBefore | Fault::Unreachable => Some(Ec2Fault::Unreachable),
            Fault::CrashInside => None,
            Fault::Throttle => Some(Ec2Fault::Throttle),
            Fault::ServerError => Some(fail("InternalError")),
            Fault::Unavailable => Some(fail("Unavailable")),
            Fault::LoseAnswer => Some(Ec2Fault::LoseAnswer(Loss::Broken)),
            Fault::Hang => Some(Ec2Fault::LoseAnswer(Loss::Hang(lasts))),
            Fault::Garble => Some(Ec2Fault::GarbleAnswer),
            Fault::Late => Some(Ec2Fault::Delay(lasts)),
            Fault::SlowAnswer => Some(Ec2Fault::SlowAnswer(lasts)),
            Fault::StuckUntilDetached => Some(Ec2Fault::StuckAttaching(Stuck::UntilDetached)),
            Fault::StuckUntilForced => Some(Ec2Fault::StuckAttaching(Stuck::UntilForced)),
            Fault::SlowTransition => Some(Ec2Fault::SlowTransition(lasts)),
            Fault::StaleRead => Some(Ec2Fault::StaleRead(lasts)),
            Fault::ExpiredPage => Some(fail("InvalidNextToken")),
            Fault::ExpiredCredentials => Some(fail("ExpiredToken")),
            Fault::Unauthorized => Some(fail("UnauthorizedOperation")),
            Fault::Interfere | Fault::Gone => None,
        }
    }

    fn crash(&self, life: &Life, befallen: Option<&Befallen>) {
        if let Some(Befallen { fault: Fault::CrashBefore | Fault::CrashInside, lasts, .. }) = befallen {
            life.kill(*lasts);
        }
    }
}

/// Further pages are calls of their own, since faults of their own befall them.
fn oracle_name(call: &Incoming) -> String {
    let next = if call.parameters.contains_key("NextToken") { " next page" } else { "" };
    format!("{}{next}", call.action)
}
