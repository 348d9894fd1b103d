//! `run`: many seeds, side by side, with their progress.

use super::{cores, interrupt, say, seeds};
use crate::checker::{Detail, Enforced, Promise};
use crate::history::{self, Verdict};
use crate::{digest, generator};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::num::{NonZeroU64, NonZeroUsize};
use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// The seeds, as FROM..TO: TO is not among them
    #[arg(long, value_parser = seeds)]
    seeds: Range<u64>,

    /// Histories at a time; by default one a core
    #[arg(long)]
    jobs: Option<NonZeroUsize>,

    /// Stop after so many histories that broke a promise
    #[arg(long, default_value = "20")]
    failures: NonZeroU64,

    /// Print a digest of each history's whole trace, to compare runs
    #[arg(long)]
    digests: bool,

    /// Hold the histories also to the promises that are not switched on yet
    #[arg(long)]
    all_promises: bool,
}

/// What all histories of a run came to.
#[derive(Debug, Default)]
struct Tally {
    done: u64,
    broken: BTreeMap<Promise, u64>,
    faults: u64,
    acts: u64,
    virtual_ms: u64,
    slowest: u64,
}

impl Tally {
    fn add(&mut self, verdict: &Verdict) {
        self.done += 1;
        self.faults += u64::try_from(verdict.befallen.len()).unwrap_or(0);
        self.acts += verdict.acts.0;
        self.virtual_ms += verdict.ended;
        self.slowest = self.slowest.max(verdict.converged_after.unwrap_or(0));
        if let Some(breach) = &verdict.breach {
            *self.broken.entry(breach.promise).or_default() += 1;
        }
    }

    fn failures(&self) -> u64 {
        self.broken.values().sum()
    }
}

pub(super) fn run(flags: &Flags) -> Result<ExitCode, String> {
    if flags.all_promises {
        Enforced::ALL.choose();
    }
    let jobs = flags.jobs.map_or_else(cores, NonZeroUsize::get);
    let total = flags.seeds.end - flags.seeds.start;
    let detail = if flags.digests { Detail::Everything } else { Detail::None };
    let stop = Arc::new(AtomicBool::new(false));
    interrupt::stops(&stop)?;
    let next = AtomicU64::new(flags.seeds.start);
    let began = Instant::now();
    let mut tally = Tally::default();
    let said = std::thread::scope(|scope| {
        let (results, arriving) = mpsc::sync_channel::<(u64, Verdict)>(jobs * 2);
        for _ in 0..jobs {
            let (results, next, stop) = (results.clone(), &next, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let following = |seed| (seed < flags.seeds.end).then(|| seed + 1);
                    let Ok(seed) = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, following) else { return };
                    let verdict = history::run(&generator::script(seed), detail);
                    // Nobody takes it any more: the run has ended.
                    if results.send((seed, verdict)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(results);
        let progress = Progress::new(total, jobs, began);
        let mut digests = Digests { next: flags.seeds.start, waiting: BTreeMap::new() };
        for (seed, verdict) in arriving {
            tally.add(&verdict);
            progress.show(&tally);
            if flags.digests {
                digests.take(seed, &verdict, &progress)?;
            }
            if let Some(breach) = &verdict.breach {
                progress.line(&format!(
                    "seed {seed}: {breach}\n    multi-eni-sim replay {seed}    multi-eni-sim shrink {seed}"
                ))?;
                if tally.failures() >= flags.failures.get() {
                    stop.store(true, Ordering::Relaxed);
                }
            }
        }
        Ok(())
    });
    // First the error: without its output a run shows nothing.
    said.and_then(|()| summary(&tally, total, jobs, began.elapsed()))?;
    Ok(match (tally.failures(), tally.done == total) {
        (0, true) => ExitCode::SUCCESS,
        // Ended early by a person: what was not run has not held.
        (0, false) => ExitCode::from(interrupt::INTERRUPTED),
        _ => ExitCode::FAILURE,
    })
}

/// Digests in the order of their seeds, whichever history ends first.
struct Digests {
    next: u64,
    waiting: BTreeMap<u64, String>,
}

impl Digests {
    fn take(&mut self, seed: u64, verdict: &Verdict, progress: &Progress) -> Result<(), String> {
        self.waiting.insert(seed, digest::of(&verdict.trace));
        while let Some(digest) = self.waiting.remove(&self.next) {
            progress.line(&format!("{} {digest}", self.next))?;
            self.next += 1;
        }
        Ok(())
    }
}

/// A bar on a terminal; elsewhere a line now and then.
struct Progress {
    bar: Option<ProgressBar>,
    total: u64,
    jobs: usize,
    began: Instant,
    said: std::cell::Cell<Instant>,
}

impl Progress {
    fn new(total: u64, jobs: usize, began: Instant) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len}, {msg}") {
                bar.set_style(style);
            }
            bar
        });
        Self { bar, total, jobs, began, said: std::cell::Cell::new(began) }
    }

    fn show(&self, tally: &Tally) {
        let rate = rate(tally.done, self.jobs, self.began.elapsed());
        let message = format!("{rate:.1} histories a second a core, {} broke a promise", tally.failures());
        match &self.bar {
            Some(bar) => {
                bar.set_position(tally.done);
                bar.set_message(message);
            }
            None if self.said.get().elapsed() >= Duration::from_secs(30) => {
                self.said.set(Instant::now());
                eprintln!("{} of {}, {message}", tally.done, self.total);
            }
            None => {}
        }
    }

    fn line(&self, text: &str) -> Result<(), String> {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(text)),
            None => say(text),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "for people")]
fn rate(done: u64, jobs: usize, elapsed: Duration) -> f64 {
    done as f64 / elapsed.as_secs_f64().max(0.001) / jobs.min(cores()).max(1) as f64
}

fn summary(tally: &Tally, total: u64, jobs: usize, elapsed: Duration) -> Result<(), String> {
    let each = |sum: u64| sum.checked_div(tally.done).unwrap_or(0);
    say(&format!(
        "{} histories in {:.0} s, {:.1} a second a core; {} broke a promise",
        tally.done,
        elapsed.as_secs_f64(),
        rate(tally.done, jobs, elapsed),
        tally.failures(),
    ))?;
    say(&format!(
        "a history on average: {} acts, {} faults, {} s of virtual time; slowest to converge: {} s after the calm",
        each(tally.acts),
        each(tally.faults),
        each(tally.virtual_ms) / 1000,
        tally.slowest / 1000,
    ))?;
    for (promise, count) in &tally.broken {
        say(&format!("{promise}: {count}"))?;
    }
    if tally.done < total {
        say(&format!("ended early: {} of {total} were not run", total - tally.done))?;
    }
    Ok(())
}
