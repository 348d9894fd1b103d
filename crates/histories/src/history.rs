//! Runs one history: sets up the environment and the replicas, performs the script's operations, stops the faults, and waits
//! until the system converges. It decides no fault and checks no invariant itself.

use crate::api_write_recording::{self, Recording};
use crate::checker::{Activity, Checker, Detail, Invariant, Violation};
use crate::convergence;
use crate::entropy;
use crate::environment::Environment;
use crate::generator;
use crate::interceptor::Interceptor;
use crate::panics;
use crate::replica::Replicas;
use crate::script::{InjectedFault, Millis, Operation, Script};
use std::panic::AssertUnwindSafe;
use std::sync::{Once, mpsc};
use std::time::Duration;

/// How long after the faults stop the system may take to become as the specs ask. `docs/reliability.md` explains the number.
const CONVERGES_WITHIN: Millis = 3_600_000;
/// The additional time for each node that joins beyond [`SMALL_FLEET`]. A rollout of one node at a time waits on each node until
/// EC2 shows what the controller deleted and created there.
const CONVERGES_WITHIN_PER_NODE: Millis = 60_000;
/// More nodes than join in a history that is not large.
const SMALL_FLEET: u64 = 40;
/// How long nothing may change before the history counts as converged: more than the time between two resyncs.
const IDLE: Millis = 75_000;
/// The same before an idle hour: more than the longest interval of the controller's periodic checks.
const IDLE_BEFORE_HOUR: Millis = 800_000;

/// After how much real time a history is aborted. A history takes less than a second, or about ten seconds in a debug build.
const REAL_TIMEOUT: Duration = Duration::from_secs(300);

/// What one history reports.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The first violation of an invariant.
    pub breach: Option<Violation>,
    /// The trace, in the requested detail.
    pub trace: Vec<String>,
    /// The faults that requests met.
    pub injected: Vec<InjectedFault>,
    /// How long after the faults stopped the system had converged.
    pub converged_after: Option<Millis>,
    /// How long the history lasted, in simulated time.
    pub ended: Millis,
    /// How many operations took effect, and how many were refused or found no target.
    pub operations: (u64, u64),
    /// The writes to the API server, if they were recorded.
    pub recording: Option<Recording>,
}

/// Runs a history on a thread of its own, so that no state of another history is left on the thread.
pub fn run(script: &Script, detail: Detail) -> Report {
    warm();
    on_a_thread(script, detail, false)
}

/// Runs a history and records its writes to the API server. The history and its trace are the same as without the recording.
pub fn record(script: &Script, detail: Detail) -> Report {
    warm();
    on_a_thread(script, detail, true)
}

/// Runs one history whose report is dropped. Libraries initialise some state once a process, with the first caller's random
/// numbers; that caller must be no history that is reported.
fn warm() {
    static WARM: Once = Once::new();
    WARM.call_once(|| {
        panics::watch();
        drop(on_a_thread(&generator::script(0), Detail::None, false));
    });
}

fn on_a_thread(script: &Script, detail: Detail, recorded: bool) -> Report {
    let script = script.clone();
    let name = format!("seed {}", script.seed);
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::Builder::new().name(name).stack_size(8 << 20).spawn(move || {
        // A panic is reported as a violation, so that its seed is known.
        let result = std::panic::catch_unwind(AssertUnwindSafe(|| on_this_thread(&script, detail, recorded)));
        let result = result.map_err(|_| panics::take().unwrap_or_else(|| "a panic without a message".to_owned()));
        // Sending fails if the caller stopped waiting after `REAL_TIMEOUT`.
        let _ = sender.send(result);
    });
    let how = match (thread, receiver.recv_timeout(REAL_TIMEOUT)) {
        (Ok(_), Ok(Ok(report))) => return report,
        (Ok(_), Ok(Err(how))) => how,
        // The thread keeps running: only the end of the process can end it.
        (Ok(_), Err(_)) => {
            format!(
                "not over after {} s of real time: it loops while virtual time stands still",
                REAL_TIMEOUT.as_secs()
            )
        }
        (Err(error), _) => format!("cannot start its thread: {error}"),
    };
    Report { breach: Some(Violation { at: 0, invariant: Invariant::Told, how }), ..Report::default() }
}

fn on_this_thread(script: &Script, detail: Detail, recorded: bool) -> Report {
    entropy::begin(script.seed);
    match tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build() {
        Ok(runtime) => runtime.block_on(History::play(script, detail, recorded)),
        Err(error) => {
            let breach =
                Violation { at: 0, invariant: Invariant::Told, how: format!("cannot start its runtime: {error}") };
            Report { breach: Some(breach), ..Report::default() }
        }
    }
}

/// How long after the faults stop this script's history may take to converge.
fn converges_within(script: &Script) -> Millis {
    let joined = script.events.iter().filter(|event| matches!(event.operation, Operation::Join { .. })).count();
    CONVERGES_WITHIN
        + CONVERGES_WITHIN_PER_NODE
            * u64::try_from(joined).unwrap_or(u64::MAX / CONVERGES_WITHIN_PER_NODE).saturating_sub(SMALL_FLEET)
}

struct History<'a> {
    script: &'a Script,
    environment: Environment,
    checker: Checker,
    interceptor: std::sync::Arc<Interceptor>,
    replicas: Replicas,
    operations: (u64, u64),
}

impl<'a> History<'a> {
    async fn play(script: &'a Script, detail: Detail, recorded: bool) -> Report {
        let environment = match Environment::set(&script.setting, script.seed) {
            Ok(environment) => environment,
            Err(how) => {
                let breach = Violation { at: 0, invariant: Invariant::Told, how };
                return Report { breach: Some(breach), ..Report::default() };
            }
        };
        let tape = recorded.then(|| api_write_recording::begin(&environment.api));
        let checker = Checker::watch(&environment, script, detail);
        let interceptor = Interceptor::open(environment.clone(), checker.clone(), script);
        let replicas = Replicas::start(&interceptor, &script.setting);
        if script.setting.node_agent {
            tokio::spawn(environment.node_agents.clone().run(environment.clone()));
        }
        interceptor.set_replicas(&replicas);
        let mut history = Self { script, environment, checker, interceptor, replicas, operations: (0, 0) };
        let converged_after = history.run().await.filter(|_| !history.is_broken());
        let (breach, trace) = {
            let mut state = history.checker.state();
            (state.breach.take(), state.trace.take())
        };
        let recording = match &tape {
            Some(tape) => Some(api_write_recording::end(&history.environment.api, tape).await),
            None => None,
        };
        Report {
            breach,
            trace,
            injected: history.interceptor.injected(),
            converged_after,
            ended: history.environment.now(),
            operations: history.operations,
            recording,
        }
    }

    /// Runs the operations, stops the faults and waits for convergence. Returns when it converged; None after a violation.
    async fn run(&mut self) -> Option<Millis> {
        for event in &self.script.events {
            self.until(event.at).await?;
            self.perform(&event.operation).await;
        }
        self.until(self.script.calm_at).await?;
        self.calm().await?;
        let converged = self.converge().await?;
        if self.script.idle_hour {
            self.stay(3_600_000).await?;
        }
        Some(converged)
    }

    /// Waits in steps, so that the history ends soon after a violation. Returns None after a violation.
    async fn until(&self, at: Millis) -> Option<()> {
        loop {
            if self.is_broken() {
                return None;
            }
            let now = self.environment.now();
            if now >= at {
                return Some(());
            }
            self.environment.until(at.min(now + 10_000)).await;
            self.checker.poll();
        }
    }

    /// Whether an invariant is violated. A panic counts as a violation, also the panic of a task, which the runtime catches.
    fn is_broken(&self) -> bool {
        if let Some(how) = panics::take() {
            self.broke(Invariant::Told, how);
        }
        self.checker.state().breach.is_some()
    }

    async fn perform(&mut self, operation: &Operation) {
        self.environment.ec2.catch_up();
        match operation {
            Operation::RestartApi { lasts } => self.interceptor.restart_api(*lasts),
            Operation::Forbid { reads, lasts } => self.interceptor.forbid(*reads, *lasts),
            Operation::RefuseCalls { action, code, lasts } => self.interceptor.refuse_calls(action, code, *lasts),
            _ => {}
        }
        let result = match self.replicas.play(operation) {
            Some(result) => Ok(result),
            None => self.environment.play(operation).await,
        };
        if let (Operation::RenameSubnet { subnet, name }, Ok(_)) = (operation, &result) {
            let now = self.environment.now();
            self.checker.state().renamed(now, subnet, name);
        }
        match &result {
            Ok(_) => self.operations.0 += 1,
            Err(_) => self.operations.1 += 1,
        }
        let words = || match &result {
            Ok(words) if words.is_empty() => format!("{operation:?}"),
            Ok(words) => words.clone(),
            Err(why) => format!("{operation:?} has no effect: {why}"),
        };
        let detail = if matches!(operation, Operation::Heartbeat { .. }) { Detail::Everything } else { Detail::Story };
        self.checker.says(detail, "*", words);
        self.checker.poll();
    }

    async fn calm(&self) -> Option<()> {
        self.interceptor.calm();
        self.replicas.mend();
        self.checker.says(Detail::Story, "*", || "the faults stop".to_owned());
        let now = self.environment.now();
        self.checker.state().names_are_put_back(now, &self.script.setting.subnets);
        if let Err(how) = self.environment.mend(&self.checker, &self.script.setting.subnets).await {
            self.broke(Invariant::Told, format!("the environment cannot be restored after the faults: {how}"));
            return None;
        }
        Some(())
    }

    fn broke(&self, invariant: Invariant, how: String) {
        let at = self.environment.now();
        self.checker.state().broke(at, invariant, how);
    }

    /// Waits until the system is as the specs ask and nothing has changed for a time. Returns None after a violation, also if
    /// this wait reports it.
    async fn converge(&self) -> Option<Millis> {
        // Before an idle hour, the controller's slow periodic checks must also have run.
        let rest = if self.script.idle_hour { IDLE_BEFORE_HOUR } else { IDLE };
        let (from, within) = (self.environment.now(), converges_within(self.script));
        // The problems are computed again only after a change.
        let (mut problems, mut checked) = (Vec::new(), None);
        loop {
            self.until(self.environment.now() + 1_000).await?;
            let now = self.environment.now();
            if ((now - from) / 1_000).is_multiple_of(600) {
                self.environment.cycle_spoilt();
                self.environment.detach_elsewhere();
            }
            let (moved, changes) = {
                let state = self.checker.state();
                (state.moved.max(from), state.changes)
            };
            if now > from + 2 * within {
                let how = format!("{} s after the faults stopped, objects or ENIs still change", (now - from) / 1000);
                self.broke(Invariant::Quiet, how);
                return None;
            }
            if now < moved + rest {
                continue;
            }
            if checked != Some(changes) {
                problems = convergence::problems(&self.checker.state());
                checked = Some(changes);
            }
            match problems.first().cloned() {
                None if moved - from > within => {
                    let how = format!("convergence took {} s after the faults stopped", (moved - from) / 1000);
                    self.broke(Invariant::Converges, how);
                    return None;
                }
                None => {
                    self.checker.says(Detail::Story, "*", || "converged".to_owned());
                    return Some(moved - from);
                }
                Some((invariant, how)) if now > from + within => {
                    self.broke(invariant, format!("{} s after the faults stopped: {how}", (now - from) / 1000));
                    return None;
                }
                Some(_) => {}
            }
        }
    }

    /// Watches a converged system for a time: the controller must do nothing, and the system must stay as the specs ask.
    async fn stay(&self, lasts: Millis) -> Option<()> {
        self.checker.state().since_mark = Activity::default();
        self.until(self.environment.now() + lasts).await?;
        let (idle, problems) = {
            let state = self.checker.state();
            let setting = &self.script.setting;
            // With short pages EC2 counts the ENIs that it scanned, not the ENIs that match.
            let counted = if setting.short_pages { state.model.enis.len() } else { state.model.ours().len() };
            let page = usize::try_from(setting.page_size).unwrap_or(1).max(1);
            let resync_pages = u64::try_from(counted.div_ceil(page).max(1)).unwrap_or(u64::MAX);
            let waits = convergence::idle::Waits {
                crowded: convergence::crowded(&state),
                refused: convergence::refused(&state),
                kept_groups: convergence::kept_groups(&state),
                full: convergence::full_subnets(&state),
                names: convergence::kinds_of_names(&state),
            };
            (
                convergence::idle::problem(&state.since_mark, lasts / 60_000, resync_pages, &waits),
                convergence::problems(&state),
            )
        };
        if let Some(how) = idle {
            self.broke(Invariant::Quiet, how);
        }
        if let Some((invariant, how)) = problems.into_iter().next() {
            self.broke(invariant, format!("no longer converged: {how}"));
        }
        (!self.is_broken()).then_some(())
    }
}
