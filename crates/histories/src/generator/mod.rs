//! Makes a script from a seed: the setting, the nodes and NodeENIs, the operations, and the faults. It runs nothing.
//!
//! Each history has only some of all kinds of operations and faults, in its own mixture. A history with all of them at once
//! rarely gets far enough into any one of them.

mod faults;
mod fleet;
mod joining;
mod large;
mod node_agent;
mod node_identity;
mod operations;
mod placements;
mod refusals;
mod schedule;
mod setting;
mod specs;
#[cfg(test)]
mod tests;
mod upstream;
mod vpc_cni;

pub use schedule::MIN_DISTURBANCES;

use crate::script::{Millis, Script};
use fastrand::Rng;
use fleet::Fleet;
use schedule::disturb;

/// The script of a seed. A seed always gives the same script.
pub fn script(seed: u64) -> Script {
    let mut rng = Rng::with_seed(seed);
    if large::is(seed) {
        return large::script(seed, &mut rng);
    }
    let mut setting = setting::draw(&mut rng);
    setting.subnets = setting::draw_subnets(&mut rng);
    let mut fleet = Fleet::new(&setting);
    let mut events = fleet.enter(&mut rng, setting.waits_for_pods);
    disturb(&mut rng, &mut fleet, &mut events, pause);
    placements::add(seed, &mut setting, &mut events);
    node_agent::add(seed, &mut setting, &mut events);
    setting.shuffles_lists = shuffles_lists(seed);
    let calm_at = events.last().map_or(0, |event| event.at) + rng.u64(5_000..60_000);
    let faults = faults::draw(&mut rng);
    // One history in twenty ends with an idle hour.
    Script { about: String::new(), seed, setting, events, trouble: faults, calm_at, idle_hour: seed.is_multiple_of(20) }
}

/// Whether EC2's lists have another order in each answer: in every third history. It comes from the seed by itself, so that the rest of
/// the seed's history stays what it was.
fn shuffles_lists(seed: u64) -> bool {
    Rng::with_seed(seed ^ 0x6c69_7374_206f_7264).u32(0..3) == 0
}

/// The pause between two operations: usually short, sometimes longer. One in a hundred is so long that an outdated view does not
/// excuse a replica any more, while its requests still meet faults.
fn pause(rng: &mut Rng) -> Millis {
    match rng.u32(0..100) {
        0..30 => rng.u64(0..1_000),
        30..89 => rng.u64(1_000..12_000),
        89..99 => rng.u64(12_000..90_000),
        _ => rng.u64(240_000..420_000),
    }
}
