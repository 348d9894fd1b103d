//! `run`: runs the histories of many seeds in parallel, shows the progress, and prints a summary.

use super::interrupt;
use super::stdout::say;
use super::values::{cores, seeds};
use crate::checker::{Detail, Invariant};
use crate::history::{self, Report};
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
    /// Range of seeds, as FROM..TO; TO is not included
    #[arg(long, value_parser = seeds)]
    seeds: Range<u64>,

    /// Number of histories that run at a time [default: one per core]
    #[arg(long)]
    jobs: Option<NonZeroUsize>,

    /// Stop after this many histories that violate an invariant
    #[arg(long, default_value = "20")]
    failures: NonZeroU64,

    /// Print a digest of each history's whole trace, to compare runs
    #[arg(long)]
    digests: bool,
}

/// The totals of all histories of a run.
#[derive(Debug, Default)]
struct Totals {
    done: u64,
    broken: BTreeMap<Invariant, u64>,
    faults: u64,
    operations: u64,
    virtual_ms: u64,
    slowest: u64,
}

impl Totals {
    fn add(&mut self, report: &Report) {
        self.done += 1;
        self.faults += u64::try_from(report.injected.len()).unwrap_or(0);
        self.operations += report.operations.0;
        self.virtual_ms += report.ended;
        self.slowest = self.slowest.max(report.converged_after.unwrap_or(0));
        if let Some(breach) = &report.breach {
            *self.broken.entry(breach.invariant).or_default() += 1;
        }
    }

    fn failures(&self) -> u64 {
        self.broken.values().sum()
    }
}

pub(super) fn run(flags: &Flags) -> Result<ExitCode, String> {
    let jobs = flags.jobs.map_or_else(cores, NonZeroUsize::get);
    let total = flags.seeds.end - flags.seeds.start;
    let detail = if flags.digests { Detail::Everything } else { Detail::None };
    let stop = Arc::new(AtomicBool::new(false));
    interrupt::stops(&stop)?;
    let next = AtomicU64::new(flags.seeds.start);
    let began = Instant::now();
    let mut totals = Totals::default();
    let said = std::thread::scope(|scope| {
        let (results, arriving) = mpsc::sync_channel::<(u64, Report)>(jobs * 2);
        for _ in 0..jobs {
            let (results, next, stop) = (results.clone(), &next, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let following = |seed| (seed < flags.seeds.end).then(|| seed + 1);
                    let Ok(seed) = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, following) else { return };
                    let report = history::run(&generator::script(seed), detail);
                    // Sending fails after the run has ended.
                    if results.send((seed, report)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(results);
        let progress = Progress::new(total, jobs, began);
        let mut digests = Digests { next: flags.seeds.start, waiting: BTreeMap::new() };
        for (seed, report) in arriving {
            totals.add(&report);
            progress.show(&totals);
            if flags.digests {
                digests.take(seed, &report, &progress)?;
            }
            if let Some(breach) = &report.breach {
                progress.line(&format!(
                    "seed {seed}: {breach}\n    multi-eni-sim replay {seed}    multi-eni-sim shrink {seed}"
                ))?;
                if totals.failures() >= flags.failures.get() {
                    stop.store(true, Ordering::Relaxed);
                }
            }
        }
        Ok(())
    });
    // An error of the output comes first, because a run without output shows nothing.
    said.and_then(|()| summary(&totals, total, jobs, began.elapsed()))?;
    Ok(match (totals.failures(), totals.done == total) {
        (0, true) => ExitCode::SUCCESS,
        // The run was interrupted: not all seeds have been run.
        (0, false) => ExitCode::from(interrupt::INTERRUPTED),
        _ => ExitCode::FAILURE,
    })
}

/// Prints digests in the order of the seeds, whichever history ends first.
struct Digests {
    next: u64,
    waiting: BTreeMap<u64, String>,
}

impl Digests {
    fn take(&mut self, seed: u64, report: &Report, progress: &Progress) -> Result<(), String> {
        self.waiting.insert(seed, digest::of(&report.trace));
        while let Some(digest) = self.waiting.remove(&self.next) {
            progress.line(&format!("{} {digest}", self.next))?;
            self.next += 1;
        }
        Ok(())
    }
}

/// The progress: a bar on a terminal, elsewhere a line from time to time.
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

    fn show(&self, totals: &Totals) {
        let rate = rate(totals.done, self.jobs, self.began.elapsed());
        let message = format!("{rate:.1} histories per second and core, {} violated an invariant", totals.failures());
        match &self.bar {
            Some(bar) => {
                bar.set_position(totals.done);
                bar.set_message(message);
            }
            None if self.said.get().elapsed() >= Duration::from_secs(30) => {
                self.said.set(Instant::now());
                eprintln!("{} of {}, {message}", totals.done, self.total);
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

#[allow(clippy::cast_precision_loss, reason = "for output")]
fn rate(done: u64, jobs: usize, elapsed: Duration) -> f64 {
    done as f64 / elapsed.as_secs_f64().max(0.001) / jobs.min(cores()).max(1) as f64
}

fn summary(totals: &Totals, total: u64, jobs: usize, elapsed: Duration) -> Result<(), String> {
    let each = |sum: u64| sum.checked_div(totals.done).unwrap_or(0);
    say(&format!(
        "{} histories in {:.0} s, {:.1} per second and core; {} violated an invariant",
        totals.done,
        elapsed.as_secs_f64(),
        rate(totals.done, jobs, elapsed),
        totals.failures(),
    ))?;
    say(&format!(
        "average history: {} operations, {} faults, {} virtual seconds; slowest to converge: {} s after the faults stopped",
        each(totals.operations),
        each(totals.faults),
        each(totals.virtual_ms) / 1000,
        totals.slowest / 1000,
    ))?;
    for (invariant, count) in &totals.broken {
        say(&format!("{invariant}: {count}"))?;
    }
    if totals.done < total {
        say(&format!("ended early: {} of {total} histories were not run", total - totals.done))?;
    }
    Ok(())
}
