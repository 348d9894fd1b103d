//! A seed into a script: who is there, what happens, and what goes wrong.
//!
//! Each history has only some of all kinds of acts and faults, in its own mixture: a history with everything at once
//! rarely gets far enough into any one of them.

mod faults;
mod fleet;
mod identity;
mod large;
mod neighbours;
mod operations;
mod refusals;
mod setting;
mod specs;
#[cfg(test)]
mod tests;

use crate::script::{Event, Millis, Operation, Script};
use fastrand::Rng;
use fleet::Fleet;

/// The fewest disturbances of a history.
pub const LEAST_ACTS: usize = 20;

/// The script of a seed: always the same.
pub fn script(seed: u64) -> Script {
    let mut rng = Rng::with_seed(seed);
    if large::is(seed) {
        return large::script(seed, &mut rng);
    }
    let mut setting = setting::draw(&mut rng);
    setting.subnets = setting::subnets();
    let mut fleet = Fleet::new(setting.replicas, setting::cards(&setting));
    let mut events = fleet.enter(&mut rng, setting.waits_for_pods);
    disturb(&mut rng, &mut fleet, &mut events, pause);
    let calm_at = events.last().map_or(0, |event| event.at) + rng.u64(5_000..60_000);
    let trouble = faults::draw(&mut rng);
    // One in twenty is watched for an idle hour.
    Script { about: String::new(), seed, setting, events, trouble, calm_at, idle_hour: seed.is_multiple_of(20) }
}

/// Adds the disturbances, from 20 s on, and puts all events in order. `pause`: between two of them.
fn disturb(rng: &mut Rng, fleet: &mut Fleet, events: &mut Vec<Event>, pause: fn(&mut Rng) -> Millis) {
    let palette = operations::Palette::draw(rng);
    let mut at: Millis = 20_000;
    let mut disturbances = 0;
    let wanted = rng.usize(LEAST_ACTS..LEAST_ACTS + 2);
    // An act for which nobody is there is drawn again; should nobody be there for any, the history is a short one.
    let mut tries = 0;
    while disturbances < wanted && tries < wanted * 20 {
        tries += 1;
        let Some(drawn) = palette.act(rng, fleet) else { continue };
        at += pause(rng);
        for (after, act) in drawn {
            if !matches!(act, Operation::Heartbeat { .. }) {
                disturbances += 1;
            }
            events.push(Event { at: at + after, act });
        }
    }
    events.sort_by_key(|event| event.at);
}

/// Between two acts: often moments, sometimes a while, and now and then so long that nothing excuses a replica any more whose
/// picture is outdated, while its requests still meet faults.
fn pause(rng: &mut Rng) -> Millis {
    match rng.u32(0..100) {
        0..30 => rng.u64(0..1_000),
        30..89 => rng.u64(1_000..12_000),
        89..99 => rng.u64(12_000..90_000),
        _ => rng.u64(240_000..420_000),
    }
}
