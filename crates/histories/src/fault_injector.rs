//! Which fault befalls which request: by rates and the seed, or as listed.

use crate::rng;
use crate::script::{Befallen, Fault, Faults, Millis, Rates, Seam};
use std::collections::BTreeMap;

/// The fault injector of one history.
#[derive(Debug)]
pub struct FaultInjector {
    seed: u64,
    trouble: Faults,
    counts: BTreeMap<(Seam, String), u64>,
    befallen: Vec<Befallen>,
    ended: bool,
}

impl FaultInjector {
    /// By that trouble.
    pub fn new(seed: u64, trouble: Faults) -> Self {
        Self { seed, trouble, counts: BTreeMap::new(), befallen: Vec::new(), ended: false }
    }

    /// From now on nothing befalls anybody.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// What befell whom.
    pub fn befallen(&self) -> &[Befallen] {
        &self.befallen
    }

    /// What befalls the next request of this kind.
    pub fn fault_for(&mut self, seam: Seam, call: &str) -> Option<Befallen> {
        if self.ended {
            return None;
        }
        let nth = match self.counts.get_mut(&(seam, call.to_owned())) {
            Some(count) => {
                *count += 1;
                *count
            }
            None => *self.counts.entry((seam, call.to_owned())).or_insert(1),
        };
        let Faults { rates, listed } = &self.trouble;
        let listed = listed.iter().find(|b| b.seam == seam && b.nth == nth && b.call == call).cloned();
        let befallen = listed.or_else(|| draw(rates, self.seed, seam, call, nth))?;
        self.befallen.push(befallen.clone());
        Some(befallen)
    }
}

fn draw(rates: &Rates, seed: u64, seam: Seam, call: &str, nth: u64) -> Option<Befallen> {
    let fault = *rates
        .iter()
        .find(|(fault, rate)| can_befall(**fault, seam, call) && rng::happens(**rate, seed, (seam, call, nth, *fault)))?
        .0;
    let lasts = lasts(fault, seed, (seam, call, nth));
    Some(Befallen { seam, call: call.to_owned(), nth, fault, lasts })
}

fn can_befall(fault: Fault, seam: Seam, call: &str) -> bool {
    let ec2 = seam == Seam::Ec2;
    let watches = call.starts_with("watch");
    let describes = call.starts_with("Describe");
    match fault {
        Fault::CrashBefore | Fault::CrashInside => true,
        Fault::Throttle | Fault::ServerError | Fault::Unavailable | Fault::Unreachable => true,
        Fault::LoseAnswer | Fault::Hang | Fault::Garble | Fault::Late | Fault::SlowAnswer => !watches,
        Fault::StuckUntilDetached | Fault::StuckUntilForced => ec2 && call == "AttachNetworkInterface",
        Fault::SlowTransition => ec2 && (call == "AttachNetworkInterface" || call == "DetachNetworkInterface"),
        Fault::StaleRead => ec2 && describes,
        Fault::ExpiredPage => ec2 && call.ends_with("next page"),
        Fault::ExpiredCredentials => ec2,
        Fault::Unauthorized => ec2 && !describes,
        Fault::Interfere => {
            !ec2 && !call.starts_with("create") && !watches && !call.starts_with("get") && !call.starts_with("list")
        }
        Fault::Gone => watches,
    }
}

/// Milliseconds that a fault lasts, where it lasts; a crash: until the next process.
fn lasts(fault: Fault, seed: u64, of: (Seam, &str, u64)) -> Millis {
    let within = |from: Millis, to: Millis| from + rng::below(to - from, seed, ("lasts", of));
    match fault {
        Fault::CrashBefore | Fault::CrashInside => within(500, 30_000),
        Fault::Hang => within(5_000, 30_000),
        // Later than LATEST after it was sent, no call takes effect: docs/reliability.md.
        Fault::Late => within(500, LATEST),
        Fault::SlowAnswer => within(500, 7_000),
        Fault::SlowTransition => within(20_000, 240_000),
        Fault::StaleRead => within(1_000, 25_000),
        _ => 0,
    }
}

/// The latest that a request takes effect after it was sent, in milliseconds. Together with the longest lag it stays below
/// the 60 s that the controller allows for both.
pub const LATEST: Millis = 20_000;
