//! The interceptor: every request of a replica passes it. It decides whether a fault applies to the request, and reports the
//! request to the checker. It does not send requests itself.

use crate::checker::Checker;
use crate::environment::{ApiClient, Environment};
use crate::fault_injector::FaultInjector;
use crate::replica::{Delivery, Process, Replicas};
use crate::rng;
use crate::script::{Fault, InjectedFault, Millis, Script, Seam, Setting};
use multi_eni_sim::ec2::{Fault as Ec2Fault, Incoming, Loss, Stuck};
use multi_eni_sim::kube::{GroupResource, RequestInfo};
use serde_json::json;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The interceptor of one history.
pub struct Interceptor {
    /// EC2, the API server and the clock.
    pub environment: Environment,
    /// The checker, to which each request is reported.
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
    /// The calls that EC2 refuses: action, error code, end of the refusal.
    refused_calls: Vec<(String, String, Instant)>,
}

impl Interceptor {
    /// Creates the interceptor. From now on EC2 asks it for the fault of each call.
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
        let weak = Arc::downgrade(&interceptor);
        interceptor.environment.ec2.set_fault_source(move |call| weak.upgrade()?.ec2(call));
        interceptor
    }

    /// Sets the replicas whose requests pass. The history calls this once.
    pub fn set_replicas(&self, replicas: &Replicas) {
        // A second call has no effect.
        let _ = self.replicas.set(replicas.clone());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops all faults.
    pub fn calm(&self) {
        let mut state = self.state();
        state.fault_injector.end();
        state.refused_calls.clear();
        (state.api_away_until, state.forbidden_until, state.reads_forbidden_until) = (None, None, None);
        self.environment.api.refuse_nothing();
    }

    /// The faults that requests met.
    pub fn injected(&self) -> Vec<InjectedFault> {
        self.state().fault_injector.injected().to_vec()
    }

    /// Makes the API server unreachable for a time, and ends its watches.
    pub fn restart_api(&self, lasts: Millis) {
        self.state().api_away_until = Some(Instant::now() + Duration::from_millis(lasts));
        self.environment.api.break_watches();
    }

    /// Makes RBAC refuse all writes of the replicas for a time, or all their reads. Open watches go on.
    pub fn forbid(&self, reads: bool, lasts: Millis) {
        let until = Some(Instant::now() + Duration::from_millis(lasts));
        let mut state = self.state();
        *(if reads { &mut state.reads_forbidden_until } else { &mut state.forbidden_until }) = until;
    }

    /// Makes EC2 refuse an action with this error code for a time.
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

    /// Decides how a request to the API server is delivered.
    pub fn kube(&self, process: &Process, info: &RequestInfo) -> Delivery {
        let call = format!("{} {}", info.verb, info.target());
        let now = Instant::now();
        let writes = !matches!(info.verb.as_str(), "get" | "list" | "watch");
        let (injected, number, away, forbidden) = {
            let mut state = self.state();
            state.requests += 1;
            let over = |until: Option<Instant>| until.is_none_or(|until| now >= until);
            let forbids = if writes { state.forbidden_until } else { state.reads_forbidden_until };
            let (away, forbidden) = (!over(state.api_away_until), !over(forbids));
            (state.fault_injector.fault_for(Seam::Kube, &call), state.requests, away, forbidden)
        };
        self.checker.sends_kube(process, info, injected.as_ref());
        self.crash(process, injected.as_ref());
        let [from, to] = self.kube_latency;
        let latency = |way: &str| {
            Duration::from_millis(from + rng::below(to.saturating_sub(from) + 1, self.seed, ("latency", way, number)))
        };
        Delivery {
            there: latency("there"),
            back: latency("back"),
            reachable: process.machine.reaches_kube() && !away,
            refused: forbidden.then_some(403),
            injected,
        }
    }

    /// Writes to the object of a request as another client does.
    pub async fn interfere(&self, info: &RequestInfo) {
        let resource = GroupResource::new(&info.group, &info.resource);
        let note =
            json!({ "metadata": { "annotations": { "example.com/seen": self.environment.clock.now().to_string() } } });
        // The patch fails if the object does not exist, and then there is no interference.
        let _ = ApiClient::new(&self.environment.api).patch(&resource, &info.name, &note).await;
    }

    /// The fault of a call to EC2.
    fn ec2(&self, call: &Incoming) -> Option<Ec2Fault> {
        let process = self.replicas.get()?.by_name(&call.user_agent)?;
        let injected = self.state().fault_injector.fault_for(Seam::Ec2, &call_name(call));
        self.checker.sends_ec2(&process, call, injected.as_ref());
        self.crash(&process, injected.as_ref());
        let fail = |code: &str| Ec2Fault::Fail { code: code.to_owned(), status: None };
        if let Some(code) = self.refused_call(&call.action) {
            return Some(fail(&code));
        }
        let InjectedFault { fault, lasts, .. } = injected?;
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

    fn crash(&self, process: &Process, injected: Option<&InjectedFault>) {
        if let Some(InjectedFault { fault: Fault::CrashBefore | Fault::CrashInside, lasts, .. }) = injected {
            process.kill(*lasts);
        }
    }
}

/// The name of a call for the fault injector. Requests for further pages have a name of their own, because some faults apply only
/// to them.
fn call_name(call: &Incoming) -> String {
    let next = if call.parameters.contains_key("NextToken") { " next page" } else { "" };
    format!("{}{next}", call.action)
}
