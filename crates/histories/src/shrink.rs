//! Shrinks a script that violates an invariant to a small script that still violates it. First every fault is listed one by one.
//! Then parts of the script are left out as long as the same invariant is violated (delta debugging, by halves).

use crate::checker::{Detail, Invariant};
use crate::history;
use crate::script::{Graces, Rates, Script, Setting};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The smallest script that was found; None if this script violates no invariant.
pub fn shrink(script: &Script, jobs: usize, say: &dyn Fn(&str)) -> Option<Script> {
    let report = history::run(script, Detail::None);
    let breach = report.breach?;
    say(&format!("violates {breach}"));
    let shrinker = Shrinker { invariant: breach.invariant, jobs, say };
    // The same faults, listed: leaving one out does not change the others.
    let mut listed = script.clone();
    listed.trouble.rates = Rates::new();
    listed.trouble.listed = report.injected;
    let mut smallest = if shrinker.breaks(&listed) { listed } else { script.clone() };
    shrinker.cut_short(&mut smallest, breach.at);
    loop {
        let before = smallest.clone();
        shrinker.leave_out(&mut smallest, "faults", |script| &mut script.trouble.listed);
        shrinker.leave_out(&mut smallest, "operations", |script| &mut script.events);
        shrinker.plainer_settings(&mut smallest);
        if smallest == before {
            return Some(smallest);
        }
    }
}

fn breaks(script: &Script, invariant: Invariant) -> bool {
    history::run(script, Detail::None).breach.is_some_and(|breach| breach.invariant == invariant)
}

struct Shrinker<'a> {
    invariant: Invariant,
    jobs: usize,
    say: &'a dyn Fn(&str),
}

impl Shrinker<'_> {
    fn breaks(&self, script: &Script) -> bool {
        breaks(script, self.invariant)
    }

    /// The first of these candidates that still violates the invariant. Candidates run in parallel.
    fn first_that_breaks(&self, candidates: &[Script]) -> Option<Script> {
        for some in candidates.chunks(self.jobs) {
            let (found, invariant) = (AtomicUsize::new(usize::MAX), self.invariant);
            std::thread::scope(|scope| {
                for (n, candidate) in some.iter().enumerate() {
                    let found = &found;
                    scope.spawn(move || {
                        if breaks(candidate, invariant) {
                            found.fetch_min(n, Ordering::Relaxed);
                        }
                    });
                }
            });
            if let Some(script) = some.get(found.into_inner()) {
                return Some(script.clone());
            }
        }
        None
    }

    /// Leaves out what happens after the violation.
    fn cut_short(&self, script: &mut Script, at: u64) {
        let mut shorter = script.clone();
        shorter.events.retain(|event| event.at <= at);
        shorter.idle_hour = false;
        if self.breaks(&shorter) {
            *script = shorter;
        }
    }

    fn leave_out<T: Clone>(&self, script: &mut Script, what: &str, list: impl Fn(&mut Script) -> &mut Vec<T>) {
        let mut size = list(script).len().div_ceil(2);
        while size > 0 {
            let length = list(script).len();
            let without = |from: usize| {
                let mut shorter = script.clone();
                let to = (from + size).min(length);
                list(&mut shorter).drain(from..to);
                shorter
            };
            let candidates: Vec<Script> = (0..length).step_by(size).map(without).collect();
            match self.first_that_breaks(&candidates) {
                Some(shorter) => *script = shorter,
                None if size == 1 => break,
                None => size = size.div_ceil(2),
            }
            size = size.min(list(script).len());
        }
        (self.say)(&format!("{} {what} are left", list(script).len()));
    }

    fn plainer_settings(&self, script: &mut Script) {
        let plain = Setting::default();
        let changes: [&dyn Fn(&mut Setting); 13] = [
            &|s| s.lag = plain.lag,
            &|s| s.flapping_reads = plain.flapping_reads,
            &|s| s.ec2_latency = plain.ec2_latency,
            &|s| s.transition = plain.transition,
            &|s| s.shutdown = plain.shutdown,
            &|s| s.force_spoils_slot = plain.force_spoils_slot,
            &|s| s.short_pages = plain.short_pages,
            &|s| s.shuffles_lists = plain.shuffles_lists,
            &|s| s.quota_before_token = plain.quota_before_token,
            &|s| s.page_size = plain.page_size,
            &|s| s.buckets_percent = plain.buckets_percent,
            &|s| s.clock_skew.clear(),
            &|s| s.graces = Graces::default(),
        ];
        for change in changes {
            let mut plainer = script.clone();
            change(&mut plainer.setting);
            if plainer.setting != script.setting && self.breaks(&plainer) {
                *script = plainer;
            }
        }
    }
}
