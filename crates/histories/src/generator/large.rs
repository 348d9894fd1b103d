//! The scripts of large histories, one in fifty: 200 nodes that ask for more than there is.

use super::faults;
use super::fleet::{Fleet, LARGE_FLEET};
use super::schedule::disturb;
use super::setting::{self, pick};
use crate::script::{Event, Millis, Operation, Script};
use fastrand::Rng;
use serde_json::json;

/// Whether a seed's history is large. A large history never ends with an idle hour.
pub(super) fn is(seed: u64) -> bool {
    seed % 50 == 17
}

/// The script of such a seed. Its disturbances take less time, because a large history takes longer to run.
pub(super) fn script(seed: u64, rng: &mut Rng) -> Script {
    let mut setting = setting::draw(rng);
    setting.subnets = setting::subnets();
    setting.page_size = 1000;
    // Smaller instance types have too little room for many ENIs; other histories use them.
    "m5.24xlarge".clone_into(&mut setting.instance_type);
    let mut fleet = Fleet::new(&setting);
    let mut events = fleet.enter_nodes(rng, LARGE_FLEET, setting.waits_for_pods);
    scarce(rng, &mut fleet, &mut events);
    disturb(rng, &mut fleet, &mut events, pause);
    let calm_at = events.last().map_or(0, |event| event.at) + rng.u64(5_000..30_000);
    Script { about: String::new(), seed, setting, events, trouble: faults::draw(rng), calm_at, idle_hour: false }
}

/// Makes resources scarce: a NodeENI of all nodes asks for a tiny subnet, or the quota of ENIs is low, or both.
fn scarce(rng: &mut Rng, fleet: &mut Fleet, events: &mut Vec<Event>) {
    let kind = rng.u32(0..3);
    if kind != 0 {
        let tiny: Vec<String> = setting::subnets().into_iter().filter(|s| s.tiny).map(|s| s.id).collect();
        let subnet = pick(rng, &tiny).clone();
        let scarce_spec = json!({ "nodeSelector": { "ng": "x" }, "subnetID": subnet, "deviceIndex": rng.i32(1..6) });
        for event in &mut *events {
            if let Operation::Apply { name, spec } = &mut event.operation
                && name == "e1"
            {
                *spec = scarce_spec.clone();
            }
        }
        fleet.nodeenis.insert("e1".to_owned(), scarce_spec);
    }
    if kind != 1 {
        events.push(Event { at: rng.u64(6_000..9_000), operation: Operation::Quota { room: Some(rng.u32(30..120)) } });
    }
}

/// The pause between two operations: short, and sometimes so long that waiting ENIAttachments try again.
fn pause(rng: &mut Rng) -> Millis {
    match rng.u32(0..20) {
        0 => rng.u64(40_000..120_000),
        _ => rng.u64(0..3_000),
    }
}
