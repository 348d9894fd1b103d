//! Draws Nodes that join in an unusual way: the cloud provider initializes them late, or they can never have an ENI.

use super::fleet::{Fleet, join, labels};
use super::setting::pick;
use crate::script::{Millis, Operation, Placement, UnsupportedKind};
use fastrand::Rng;

/// A Node registers without providerID and zone. It is new, or it returns on its instance, which may have ENIs. Usually the cloud
/// provider initializes it soon, sometimes after minutes, sometimes only at the end.
pub(super) fn bare(rng: &mut Rng, fleet: &mut Fleet) -> Option<Vec<(Millis, Operation)>> {
    let returning: Vec<String> =
        fleet.left.iter().filter(|(_, node)| node.runs).map(|(name, _)| name.clone()).collect();
    let (name, node) = match returning.first().filter(|_| rng.bool()) {
        Some(name) => (name.clone(), fleet.left.remove(name)?),
        None => {
            let name = format!("n{}", fleet.nodes.len() + fleet.left.len() + 1);
            fleet.left.remove(&name);
            (name, fleet.new_node(rng))
        }
    };
    let mut registers = join(&name, &node);
    if let Operation::Join { bare, .. } = &mut registers {
        *bare = true;
    }
    fleet.nodes.insert(name.clone(), node);
    let mut operations = vec![(0, registers)];
    match rng.u32(0..8) {
        0 => {}
        1 | 2 => operations.push((rng.u64(60_000..500_000), Operation::Initialize { node: name })),
        _ => operations.push((rng.u64(500..30_000), Operation::Initialize { node: name })),
    }
    Some(operations)
}

/// A Node joins that can never have an ENI.
pub(super) fn unsupported(rng: &mut Rng, fleet: &mut Fleet) -> Operation {
    let kinds =
        [Some(UnsupportedKind::Fargate), Some(UnsupportedKind::Hybrid), Some(UnsupportedKind::HyperPod), None, None];
    fleet.unsupported += 1;
    let node = format!("u{}", fleet.unsupported);
    match *pick(rng, &kinds) {
        Some(kind) => Operation::JoinUnsupported { node, kind, labels: labels(rng) },
        None => {
            let drawn = fleet.new_node(rng);
            let placement = Placement::Region;
            Operation::JoinManaged { node, instance: drawn.instance, zone: drawn.zone, labels: drawn.labels, placement }
        }
    }
}
