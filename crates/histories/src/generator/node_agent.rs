//! Draws what concerns the node: whether the node agent is enabled, the modes of nodeConfig, nodes that reboot, and startup taints. All of
//! it comes from a stream of its own, so that the rest of a seed's history stays what it was.

use super::setting::pick;
use crate::environment::TAINT_EFFECTS;
use crate::script::{Event, Millis, Operation, Setting};
use fastrand::Rng;
use serde_json::json;
use std::collections::BTreeMap;

/// The first disturbance comes after this time.
const ENTERED: Millis = 20_000;

/// Adds to the setting and to the events.
pub(super) fn add(seed: u64, setting: &mut Setting, events: &mut Vec<Event>) {
    let mut rng = Rng::with_seed(seed ^ 0x6e6f_6465_2061_6765);
    let last = events.last().map_or(0, |event| event.at);
    let joins: Vec<(Millis, String)> = events.iter().filter_map(joined).collect();
    setting.node_agent = rng.u32(0..8) == 0;
    if setting.node_agent {
        draw_modes(&mut rng, events);
        for _ in 0..rng.u32(1..5) {
            let node = pick(&mut rng, &joins).1.clone();
            events.push(Event { at: rng.u64(ENTERED..=last.max(ENTERED)), operation: Operation::Reboot { node } });
        }
    }
    if rng.u32(0..6) == 0 {
        let mut taint = |at, node| {
            let effect = (*pick(&mut rng, &TAINT_EFFECTS)).to_owned();
            Event { at, operation: Operation::Taint { node, effect } }
        };
        // Most nodes have the taint from the start. Later somebody taints some.
        let starting: Vec<Event> = joins.iter().map(|(at, node)| taint(*at, node.clone())).collect();
        events.extend(starting.into_iter().filter(|_| rng.u32(0..10) < 7));
        for _ in 0..rng.u32(2..6) {
            let node = pick(&mut rng, &joins).1.clone();
            let effect = (*pick(&mut rng, &TAINT_EFFECTS)).to_owned();
            let at = rng.u64(ENTERED..=last.max(ENTERED));
            events.push(Event { at, operation: Operation::Taint { node, effect } });
        }
    }
    // The sort is stable: a taint comes after the Node that joins in the same moment.
    events.sort_by_key(|event| event.at);
}

fn joined(event: &Event) -> Option<(Millis, String)> {
    match &event.operation {
        Operation::Join { node, .. } | Operation::JoinManaged { node, .. } => Some((event.at, node.clone())),
        Operation::JoinUnsupported { node, .. } => Some((event.at, node.clone())),
        _ => None,
    }
}

/// Gives some NodeENIs a mode. An edit may give another one.
fn draw_modes(rng: &mut Rng, events: &mut [Event]) {
    let mut modes: BTreeMap<String, Option<&str>> = BTreeMap::new();
    for event in events {
        let Operation::Apply { name, spec } = &mut event.operation else { continue };
        if rng.u32(0..4) == 0 || !modes.contains_key(name) {
            modes.insert(name.clone(), *pick(rng, &[None, None, Some("link"), Some("addresses"), Some("none")]));
        }
        let mode = modes.get(name).copied().flatten();
        let has_config = spec.get("nodeConfig").is_some();
        if let (Some(mode), Some(fields), false) = (mode, spec.as_object_mut(), has_config) {
            let mut config = json!({ "mode": mode });
            if mode == "addresses" && rng.bool() {
                config["routes"] = json!([{ "to": "10.9.0.0/16", "table": pick(rng, &["own", "main"]) }]);
            }
            fields.insert("nodeConfig".to_owned(), config);
        }
    }
}
