//! From a history that breaks a promise to the smallest one that still breaks it: first every fault is written down one by
//! one, then parts of it are left out for as long as the same promise is broken (delta debugging, by halves).

use crate::checker::{Detail, Promise};
use crate::history;
use crate::script::{Graces, Rates, Script, Setting};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The smallest script that was found; None if this one breaks no promise.
pub fn shrink(script: &Script, jobs: usize, say: &dyn Fn(&str)) -> Option<Script> {
    let verdict = history::run(script, Detail::None);
    let breach = verdict.breach?;
    say(&format!("breaks {breach}"));
    let lab = Lab { promise: breach.promise, jobs, say };
    // The same faults, listed: what one of them did does not depend on the others any more.
    let mut listed = script.clone();
    listed.trouble.rates = Rates::new();
    listed.trouble.listed = verdict.befallen;
    let mut smallest = if lab.breaks(&listed) { listed } else { script.clone() };
    lab.cut_short(&mut smallest, breach.at);
    loop {
        let before = smallest.clone();
        lab.leave_out(&mut smallest, "faults", |script| &mut script.trouble.listed);
        lab.leave_out(&mut smallest, "acts", |script| &mut script.events);
        lab.plainer_settings(&mut smallest);
        if smallest == before {
            return Some(smallest);
        }
    }
}

fn breaks(script: &Script, promise: Promise) -> bool {
    history::run(script, Detail::None).breach.is_some_and(|breach| breach.promise == promise)
}

struct Lab<'a> {
    promise: Promise,
    jobs: usize,
    say: &'a dyn Fn(&str),
}

impl Lab<'_> {
    fn breaks(&self, script: &Script) -> bool {
        breaks(script, self.promise)
    }

    /// The first of these that still breaks the promise, tried side by side.
    fn first_that_breaks(&self, candidates: &[Script]) -> Option<Script> {
        for some in candidates.chunks(self.jobs) {
            let (found, promise) = (AtomicUsize::new(usize::MAX), self.promise);
            std::thread::scope(|scope| {
                for (n, candidate) in some.iter().enumerate() {
                    let found = &found;
                    scope.spawn(move || {
                        if breaks(candidate, promise) {
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

    /// Nothing that comes after the breach has to do with it.
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
        let changes: [&dyn Fn(&mut Setting); 12] = [
            &|s| s.lag = plain.lag,
            &|s| s.flapping_reads = plain.flapping_reads,
            &|s| s.ec2_latency = plain.ec2_latency,
            &|s| s.transition = plain.transition,
            &|s| s.shutdown = plain.shutdown,
            &|s| s.force_spoils_slot = plain.force_spoils_slot,
            &|s| s.short_pages = plain.short_pages,
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
