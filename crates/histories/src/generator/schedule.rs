//! Draws the disturbances of a history: operations one after the other, each after a pause.

use super::fleet::Fleet;
use super::operations::OperationMix;
use crate::script::{Event, Millis, Operation};
use fastrand::Rng;

/// The fewest disturbances that a history has.
pub const MIN_DISTURBANCES: usize = 20;

/// Adds the disturbances, from 20 s on, and sorts all events by time. `pause` draws the time between two of them.
pub(super) fn disturb(rng: &mut Rng, fleet: &mut Fleet, events: &mut Vec<Event>, pause: fn(&mut Rng) -> Millis) {
    let mix = OperationMix::draw(rng);
    let mut at: Millis = 20_000;
    let mut disturbances = 0;
    let target_count = rng.usize(MIN_DISTURBANCES..MIN_DISTURBANCES + 2);
    // An operation without a possible target is drawn again. If no operation has a target, the history has fewer disturbances.
    let mut tries = 0;
    while disturbances < target_count && tries < target_count * 20 {
        tries += 1;
        let Some(drawn) = mix.draw_operations(rng, fleet) else { continue };
        at += pause(rng);
        for (after, operation) in drawn {
            if !matches!(operation, Operation::Heartbeat { .. }) {
                disturbances += 1;
            }
            events.push(Event { at: at + after, operation });
        }
    }
    events.sort_by_key(|event| event.at);
}
