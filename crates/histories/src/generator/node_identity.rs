//! Draws operations that put a Node's identity in doubt: an instance registers under a second name, someone sets a zone label,
//! answers of EC2 leave an instance out.

use super::fleet::{Fleet, labels};
use crate::environment::zone;
use crate::script::{Millis, Operation};
use fastrand::Rng;

type DrawnOperations = Option<Vec<(Millis, Operation)>>;

/// The instance of a Node registers under another name too. After a time one of the two Nodes is deleted, or neither.
pub(super) fn twin(rng: &mut Rng, fleet: &mut Fleet) -> DrawnOperations {
    let node = fleet.node(rng, |node| node.runs && !node.draining)?;
    let first = fleet.nodes.get(&node)?.clone();
    let name = format!("{node}b");
    let its = if rng.bool() { first.labels.clone() } else { labels(rng) };
    let mut operations = vec![(0, Operation::Twin { node: node.clone(), name: name.clone(), labels: its.clone() })];
    let later = rng.u64(1_000..200_000);
    match rng.u32(0..3) {
        0 => {}
        1 => operations.push((later, Operation::Leave { node: name, terminate: false })),
        _ => {
            // The instance was renamed: the second Node stays.
            let mut renamed = fleet.nodes.remove(&node)?;
            renamed.labels = its;
            fleet.nodes.insert(name, renamed);
            operations.push((later, Operation::Leave { node, terminate: false }));
        }
    }
    Some(operations)
}

/// Someone sets a wrong zone label, or removes the label. Usually it is corrected soon.
pub(super) fn zone_label(rng: &mut Rng, fleet: &Fleet) -> DrawnOperations {
    let node = fleet.node(rng, |node| node.runs)?;
    let own = fleet.nodes.get(&node)?.zone.clone();
    let other = if own == "a" { "b" } else { "a" };
    let wrong = (rng.u32(0..4) != 0).then(|| zone(other));
    let mut operations = vec![(0, Operation::ZoneLabel { node: node.clone(), zone: wrong })];
    if rng.u32(0..3) != 0 {
        operations.push((rng.u64(200..60_000), Operation::ZoneLabel { node, zone: Some(zone(&own)) }));
    }
    Some(operations)
}

/// A few answers of DescribeInstances leave a running instance out.
pub(super) fn left_out(rng: &mut Rng, fleet: &Fleet) -> DrawnOperations {
    let node = fleet.node(rng, |node| node.runs)?;
    Some(vec![(0, Operation::LeftOut { instance: fleet.nodes.get(&node)?.instance.clone(), times: rng.u32(1..5) })])
}
