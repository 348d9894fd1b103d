//! One history in fifty is large: 200 nodes, and what they ask for is scarce.

use super::fleet::Fleet;
use super::setting::{self, pick};
use super::{disturb, faults};
use crate::script::{Event, Millis, Operation, Script};
use fastrand::Rng;
use serde_json::json;

/// How many nodes a large history has.
pub(super) const NODES: usize = 200;

/// Whether a seed's history is large. None of these is watched for an idle hour.
pub(super) fn is(seed: u64) -> bool {
    seed % 50 == 17
}

/// The script of such a seed. It is disturbed for a shorter time than others, for it costs more.
pub(super) fn script(seed: u64, rng: &mut Rng) -> Script {
    let mut setting = setting::draw(rng);
    setting.subnets = setting::subnets();
    setting.page_size = 1000;
    // The smaller types have hardly room for anything; that is other histories'.
    "m5.24xlarge".clone_into(&mut setting.instance_type);
    let mut fleet = Fleet::new(setting.replicas, setting::cards(&setting));
    let mut events = fleet.enter_nodes(rng, NODES, setting.waits_for_pods);
    scarce(rng, &mut fleet, &mut events);
    disturb(rng, &mut fleet, &mut events, pause);
    let calm_at = events.last().map_or(0, |event| event.at) + rng.u64(5_000..30_000);
    Script { about: String::new(), seed, setting, events, trouble: faults::draw(rng), calm_at, idle_hour: false }
}

/// Many wait for little: a NodeENI of all nodes asks for a tiny subnet, or the quota of ENIs is low, or both.
fn scarce(rng: &mut Rng, fleet: &mut Fleet, events: &mut Vec<Event>) {
    let kind = rng.u32(0..3);
    if kind != 0 {
        let tiny: Vec<String> = setting::subnets().into_iter().filter(|s| s.tiny).map(|s| s.id).collect();
        let subnet = pick(rng, &tiny).clone();
        let wanted = json!({ "nodeSelector": { "ng": "x" }, "subnetID": subnet, "deviceIndex": rng.i32(1..6) });
        for event in &mut *events {
            if let Operation::Apply { name, spec } = &mut event.act
                && name == "e1"
            {
                *spec = wanted.clone();
            }
        }
        fleet.nodeenis.insert("e1".to_owned(), wanted);
    }
    if kind != 1 {
        events.push(Event { at: rng.u64(6_000..9_000), act: Operation::Quota { room: Some(rng.u32(30..120)) } });
    }
}

/// Between two acts: moments, and now and then so long that those who wait try again.
fn pause(rng: &mut Rng) -> Millis {
    match rng.u32(0..20) {
        0 => rng.u64(40_000..120_000),
        _ => rng.u64(0..3_000),
    }
}
