//! One history, from its script to its verdict.

use crate::checker::{Activity, Checker, Detail, Promise, Violation};
use crate::convergence;
use crate::entropy;
use crate::environment::Environment;
use crate::generator;
use crate::interceptor::Interceptor;
use crate::panics;
use crate::recording::{self, Recording};
use crate::replica::Replicas;
use crate::script::{Befallen, Millis, Operation, Script};
use std::panic::AssertUnwindSafe;
use std::sync::{Once, mpsc};
use std::time::Duration;

/// How long after the calm the world may take to become as the specs ask. What may take longest is written down in
/// `docs/reliability.md`.
const CONVERGES_WITHIN: Millis = 3_600_000;
/// So much longer for each node that joins beyond [`FEW`]: a rollout of one node at a time waits at each for EC2 to show what it
/// has deleted and what it has made.
const A_NODE: Millis = 60_000;
/// More nodes than a history has that is not large.
const FEW: u64 = 40;
/// How long the world must be at rest: more than a sweep.
const IDLE: Millis = 75_000;
/// The same before an idle hour: more than the slowest re-check.
const IDLE_BEFORE_HOUR: Millis = 800_000;

/// After how much real time a history is given up; they take less than a second, and some ten in a debug build.
const GIVEN_UP: Duration = Duration::from_secs(300);

/// What became of a history.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// The first promise that was broken.
    pub breach: Option<Violation>,
    /// The trace, as detailed as was asked for.
    pub trace: Vec<String>,
    /// The faults that befell requests.
    pub befallen: Vec<Befallen>,
    /// How long after the calm the world was as the specs ask.
    pub converged_after: Option<Millis>,
    /// How long it was.
    pub ended: Millis,
    /// How many acts took effect, and how many were refused or found nothing to act on.
    pub acts: (u64, u64),
    /// What was written to the API server, if that was asked for.
    pub recording: Option<Recording>,
}

/// Runs a history on a thread of its own, so that nothing of another one is left in it.
pub fn run(script: &Script, detail: Detail) -> Verdict {
    warm();
    on_a_thread(script, detail, false)
}

/// Runs a history and records all that is written to its API server. The same history, told with the same words.
pub fn record(script: &Script, detail: Detail) -> Verdict {
    warm();
    on_a_thread(script, detail, true)
}

/// What libraries make once a process draws from the entropy of whoever is first: that must be no history that counts.
fn warm() {
    static WARM: Once = Once::new();
    WARM.call_once(|| {
        panics::watch();
        drop(on_a_thread(&generator::script(0), Detail::None, false));
    });
}

fn on_a_thread(script: &Script, detail: Detail, recorded: bool) -> Verdict {
    let script = script.clone();
    let name = format!("seed {}", script.seed);
    let (tell, verdict) = mpsc::channel();
    let thread = std::thread::Builder::new().name(name).stack_size(8 << 20).spawn(move || {
        // A panic is a finding like any other: the seed must not be lost with the thread.
        let came = std::panic::catch_unwind(AssertUnwindSafe(|| on_this_thread(&script, detail, recorded)));
        let came = came.map_err(|_| panics::take().unwrap_or_else(|| "a panic without words".to_owned()));
        // Nobody waits for it any more: it was given up.
        let _ = tell.send(came);
    });
    let told = match (thread, verdict.recv_timeout(GIVEN_UP)) {
        (Ok(_), Ok(Ok(verdict))) => return verdict,
        (Ok(_), Ok(Err(how))) => how,
        // Its thread is left alone: nothing can end it but the end of the process.
        (Ok(_), Err(_)) => format!("not over after {} s of real time: it spins at one moment", GIVEN_UP.as_secs()),
        (Err(error), _) => format!("no thread for it: {error}"),
    };
    Verdict { breach: Some(Violation { at: 0, promise: Promise::Told, how: told }), ..Verdict::default() }
}

fn on_this_thread(script: &Script, detail: Detail, recorded: bool) -> Verdict {
    entropy::begin(script.seed);
    match tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build() {
        Ok(runtime) => runtime.block_on(History::play(script, detail, recorded)),
        Err(error) => {
            let breach = Violation { at: 0, promise: Promise::Told, how: format!("no runtime: {error}") };
            Verdict { breach: Some(breach), ..Verdict::default() }
        }
    }
}

/// How long after the calm this script's world may take.
fn converges_within(script: &Script) -> Millis {
    let joined = script.events.iter().filter(|event| matches!(event.act, Operation::Join { .. })).count();
    CONVERGES_WITHIN + A_NODE * u64::try_from(joined).unwrap_or(u64::MAX / A_NODE).saturating_sub(FEW)
}

struct History<'a> {
    script: &'a Script,
    environment: Environment,
    checker: Checker,
    interceptor: std::sync::Arc<Interceptor>,
    replicas: Replicas,
    acts: (u64, u64),
}

impl<'a> History<'a> {
    async fn play(script: &'a Script, detail: Detail, recorded: bool) -> Verdict {
        let environment = match Environment::set(&script.setting, script.seed) {
            Ok(environment) => environment,
            Err(how) => {
                let breach = Violation { at: 0, promise: Promise::Told, how };
                return Verdict { breach: Some(breach), ..Verdict::default() };
            }
        };
        let tape = recorded.then(|| recording::begin(&environment.api));
        let checker = Checker::watch(&environment, script, detail);
        let interceptor = Interceptor::open(environment.clone(), checker.clone(), script);
        let replicas = Replicas::start(&interceptor, &script.setting);
        interceptor.seat(&replicas);
        let mut history = Self { script, environment, checker, interceptor, replicas, acts: (0, 0) };
        let converged_after = history.tell().await.filter(|_| !history.is_broken());
        let (breach, trace) = {
            let mut state = history.checker.state();
            (state.breach.take(), state.trace.take())
        };
        let recording = match &tape {
            Some(tape) => Some(recording::end(&history.environment.api, tape).await),
            None => None,
        };
        Verdict {
            breach,
            trace,
            befallen: history.interceptor.befallen(),
            converged_after,
            ended: history.environment.now(),
            acts: history.acts,
            recording,
        }
    }

    /// The disturbed time, the calm, and the rest. Ends at the first promise that is broken.
    async fn tell(&mut self) -> Option<Millis> {
        for event in &self.script.events {
            self.until(event.at).await?;
            self.perform(&event.act).await;
        }
        self.until(self.script.calm_at).await?;
        self.calm().await?;
        let converged = self.converge().await?;
        if self.script.idle_hour {
            self.stay(3_600_000).await?;
        }
        Some(converged)
    }

    /// Waits, in steps, so that a broken promise ends the history soon. None: one was broken.
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
            self.checker.looks();
        }
    }

    /// A panic counts, wherever it was: the runtime swallows a task's.
    fn is_broken(&self) -> bool {
        if let Some(how) = panics::take() {
            self.broke(Promise::Told, how);
        }
        self.checker.state().breach.is_some()
    }

    async fn perform(&mut self, act: &Operation) {
        self.environment.ec2.catch_up();
        match act {
            Operation::RestartApi { lasts } => self.interceptor.restart_api(*lasts),
            Operation::Forbid { reads, lasts } => self.interceptor.forbid(*reads, *lasts),
            Operation::RefuseCalls { action, code, lasts } => self.interceptor.refuse_calls(action, code, *lasts),
            _ => {}
        }
        let came = match self.replicas.play(act) {
            Some(came) => Ok(came),
            None => self.environment.play(act).await,
        };
        if let (Operation::RenameSubnet { subnet, name }, Ok(_)) = (act, &came) {
            let now = self.environment.now();
            self.checker.state().renamed(now, subnet, name);
        }
        match &came {
            Ok(_) => self.acts.0 += 1,
            Err(_) => self.acts.1 += 1,
        }
        let words = || match &came {
            Ok(words) if words.is_empty() => format!("{act:?}"),
            Ok(words) => words.clone(),
            Err(why) => format!("{act:?} comes to nothing: {why}"),
        };
        let detail = if matches!(act, Operation::Heartbeat { .. }) { Detail::Everything } else { Detail::Story };
        self.checker.says(detail, "*", words);
        self.checker.looks();
    }

    async fn calm(&self) -> Option<()> {
        self.interceptor.calm();
        self.replicas.mend();
        self.checker.says(Detail::Story, "*", || "the calm begins".to_owned());
        let now = self.environment.now();
        self.checker.state().names_are_put_back(now, &self.script.setting.subnets);
        if let Err(how) = self.environment.mend(&self.checker, &self.script.setting.subnets).await {
            self.broke(Promise::Told, format!("the calm cannot begin: {how}"));
            return None;
        }
        Some(())
    }

    fn broke(&self, promise: Promise, how: String) {
        let at = self.environment.now();
        self.checker.state().broke(at, promise, how);
    }

    /// Waits until the world is as it should be, and has been at rest for a while. None: a promise was broken, this one
    /// perhaps.
    async fn converge(&self) -> Option<Millis> {
        // Before an idle hour also what is re-checked slowly must have had its turn.
        let rest = if self.script.idle_hour { IDLE_BEFORE_HOUR } else { IDLE };
        let (from, within) = (self.environment.now(), converges_within(self.script));
        // What does not hold is looked for only when something has changed.
        let (mut problems, mut looked) = (Vec::new(), None);
        loop {
            self.until(self.environment.now() + 1_000).await?;
            let now = self.environment.now();
            if ((now - from) / 1_000).is_multiple_of(600) {
                self.environment.cycle_spoilt();
            }
            let (moved, changes) = {
                let state = self.checker.state();
                (state.moved.max(from), state.changes)
            };
            if now > from + 2 * within {
                self.broke(Promise::Quiet, format!("{} s after the calm it is not at rest", (now - from) / 1000));
                return None;
            }
            if now < moved + rest {
                continue;
            }
            if looked != Some(changes) {
                problems = convergence::problems(&self.checker.state());
                looked = Some(changes);
            }
            match problems.first().cloned() {
                None if moved - from > within => {
                    self.broke(Promise::Converges, format!("it took {} s after the calm", (moved - from) / 1000));
                    return None;
                }
                None => {
                    self.checker.says(Detail::Story, "*", || "all is as it should be".to_owned());
                    return Some(moved - from);
                }
                Some((promise, how)) if now > from + within => {
                    self.broke(promise, format!("{} s after the calm: {how}", (now - from) / 1000));
                    return None;
                }
                Some(_) => {}
            }
        }
    }

    /// Watches a world at rest: nothing is done, and it stays as it should be.
    async fn stay(&self, lasts: Millis) -> Option<()> {
        self.checker.state().since_mark = Activity::default();
        self.until(self.environment.now() + lasts).await?;
        let (idle, problems) = {
            let state = self.checker.state();
            let setting = &self.script.setting;
            // Short pages count what was looked at.
            let counted = if setting.short_pages { state.model.enis.len() } else { state.model.ours().len() };
            let page = usize::try_from(setting.page_size).unwrap_or(1).max(1);
            let sweep = u64::try_from(counted.div_ceil(page).max(1)).unwrap_or(u64::MAX);
            let waits =
                (convergence::crowded(&state), convergence::full_subnets(&state), convergence::kinds_of_names(&state));
            (convergence::idle::problem(&state.since_mark, lasts / 60_000, sweep, waits), convergence::problems(&state))
        };
        if let Some(how) = idle {
            self.broke(Promise::Quiet, how);
        }
        if let Some((promise, how)) = problems.into_iter().next() {
            self.broke(promise, format!("at rest no more: {how}"));
        }
        (!self.is_broken()).then_some(())
    }
}
