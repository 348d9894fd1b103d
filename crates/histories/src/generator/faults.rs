//! Draws which faults requests meet, and how often.

use super::setting::pick;
use crate::script::{Fault, Faults};
use fastrand::Rng;

const FAULTS: [Fault; 20] = [
    Fault::CrashBefore,
    Fault::CrashInside,
    Fault::Throttle,
    Fault::ServerError,
    Fault::Unavailable,
    Fault::Unreachable,
    Fault::LoseAnswer,
    Fault::Hang,
    Fault::Garble,
    Fault::Late,
    Fault::SlowAnswer,
    Fault::StuckUntilDetached,
    Fault::StuckUntilForced,
    Fault::SlowTransition,
    Fault::StaleRead,
    Fault::ExpiredPage,
    Fault::ExpiredCredentials,
    Fault::Unauthorized,
    Fault::Interfere,
    Fault::Gone,
];

pub(super) fn draw(rng: &mut Rng) -> Faults {
    let mut faults = Faults::default();
    for fault in FAULTS {
        if rng.u32(0..100) < 30 {
            let rates: &[u32] = match fault {
                Fault::CrashBefore | Fault::CrashInside => &[1, 3, 6],
                Fault::StuckUntilDetached | Fault::StuckUntilForced | Fault::SlowTransition => &[20, 60, 150],
                Fault::ExpiredPage => &[50, 200],
                _ => &[3, 12, 50],
            };
            faults.rates.insert(fault, *pick(rng, rates));
        }
    }
    faults
}
