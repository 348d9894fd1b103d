//! What a Node is and where it is comes to be in doubt: a host registers under a second name, a person sets a zone label, an answer
//! of EC2 leaves an instance out.

use super::fleet::{Fleet, labels};
use crate::environment::zone;
use crate::script::{Millis, Operation};
use fastrand::Rng;

type Acts = Option<Vec<(Millis, Operation)>>;

/// The instance of a Node registers under another name too. One of the two is deleted after a while, or neither is.
pub(super) fn twin(rng: &mut Rng, fleet: &mut Fleet) -> Acts {
    let node = fleet.node(rng, |node| node.runs && !node.draining)?;
    let first = fleet.nodes.get(&node)?.clone();
    let name = format!("{node}b");
    let its = if rng.bool() { first.labels.clone() } else { labels(rng) };
    let mut acts = vec![(0, Operation::Twin { node: node.clone(), name: name.clone(), labels: its.clone() })];
    let later = rng.u64(1_000..200_000);
    match rng.u32(0..3) {
        0 => {}
        1 => acts.push((later, Operation::Leave { node: name, terminate: false })),
        _ => {
            // It has been renamed: the second Node is the one that goes on.
            let mut renamed = fleet.nodes.remove(&node)?;
            renamed.labels = its;
            fleet.nodes.insert(name, renamed);
            acts.push((later, Operation::Leave { node, terminate: false }));
        }
    }
    Some(acts)
}

/// A person sets a wrong zone label, or takes the label away; mostly it is put right soon.
pub(super) fn zone_label(rng: &mut Rng, fleet: &Fleet) -> Acts {
    let node = fleet.node(rng, |node| node.runs)?;
    let own = fleet.nodes.get(&node)?.zone.clone();
    let other = if own == "a" { "b" } else { "a" };
    let wrong = (rng.u32(0..4) != 0).then(|| zone(other));
    let mut acts = vec![(0, Operation::ZoneLabel { node: node.clone(), zone: wrong })];
    if rng.u32(0..3) != 0 {
        acts.push((rng.u64(200..60_000), Operation::ZoneLabel { node, zone: Some(zone(&own)) }));
    }
    Some(acts)
}

/// A few answers of EC2 leave a running instance out.
pub(super) fn left_out(rng: &mut Rng, fleet: &Fleet) -> Acts {
    let node = fleet.node(rng, |node| node.runs)?;
    Some(vec![(0, Operation::LeftOut { instance: fleet.nodes.get(&node)?.instance.clone(), times: rng.u32(1..5) })])
}
