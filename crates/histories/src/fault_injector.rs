//! Decides which fault a request meets: by rates and the seed, or because the script lists it. It applies no fault itself.

use crate::rng;
use crate::script::{Fault, Faults, InjectedFault, Millis, Rates, Seam};
use std::collections::BTreeMap;

/// The fault injector of one history.
#[derive(Debug)]
pub struct FaultInjector {
    seed: u64,
    faults: Faults,
    counts: BTreeMap<(Seam, String), u64>,
    injected: Vec<InjectedFault>,
    ended: bool,
}

impl FaultInjector {
    /// An injector of these faults.
    pub fn new(seed: u64, faults: Faults) -> Self {
        Self { seed, faults, counts: BTreeMap::new(), injected: Vec::new(), ended: false }
    }

    /// Injects no fault from now on.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// The faults injected so far.
    pub fn injected(&self) -> &[InjectedFault] {
        &self.injected
    }

    /// The fault of the next request of this kind.
    pub fn fault_for(&mut self, seam: Seam, call: &str) -> Option<InjectedFault> {
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
        let Faults { rates, listed } = &self.faults;
        let listed = listed.iter().find(|b| b.seam == seam && b.nth == nth && b.call == call).cloned();
        let injected = listed.or_else(|| draw(rates, self.seed, seam, call, nth))?;
        self.injected.push(injected.clone());
        Some(injected)
    }
}

fn draw(rates: &Rates, seed: u64, seam: Seam, call: &str, nth: u64) -> Option<InjectedFault> {
    let fault = *rates
        .iter()
        .find(|(fault, rate)| can_affect(**fault, seam, call) && rng::happens(**rate, seed, (seam, call, nth, *fault)))?
        .0;
    let lasts = lasts(fault, seed, (seam, call, nth));
    Some(InjectedFault { seam, call: call.to_owned(), nth, fault, lasts })
}

fn can_affect(fault: Fault, seam: Seam, call: &str) -> bool {
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

/// How many milliseconds a fault lasts, if it has a duration. A crash lasts until the next process starts.
fn lasts(fault: Fault, seed: u64, of: (Seam, &str, u64)) -> Millis {
    let within = |from: Millis, to: Millis| from + rng::below(to - from, seed, ("lasts", of));
    match fault {
        Fault::CrashBefore | Fault::CrashInside => within(500, 30_000),
        Fault::Hang => within(5_000, 30_000),
        // No call takes effect later than LATEST after it was sent: docs/reliability.md.
        Fault::Late => within(500, LATEST),
        Fault::SlowAnswer => within(500, 7_000),
        Fault::SlowTransition => within(20_000, 240_000),
        Fault::StaleRead => within(1_000, 25_000),
        _ => 0,
    }
}

/// The latest time after its sending at which a request takes effect, in milliseconds. Together with the longest lag it is less
/// than the 60 s that the controller allows for both.
pub const LATEST: Millis = 20_000;
