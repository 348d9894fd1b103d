//! Draws what the VPC CNI does on busy nodes: 3 to 8 interfaces a node with the primary one, each with 10 to 50 addresses.

use super::setting::pick;
use crate::script::{Event, Millis, Operation};
use fastrand::Rng;

const ADDRESSES: [u32; 4] = [10, 15, 30, 50];

/// A node is busy from its start: the VPC CNI's ENIs are attached before or after this project's first ENI.
pub(super) fn busy(rng: &mut Rng, joined: Millis, node: String) -> Event {
    let operation = Operation::CniGrows { node, interfaces: rng.u32(2..8), addresses: *pick(rng, &ADDRESSES) };
    Event { at: joined + rng.u64(0..9_000), operation }
}

/// Pods start and end: the VPC CNI attaches interfaces, or releases them.
pub(super) fn load(rng: &mut Rng, node: String) -> Operation {
    let interfaces = rng.u32(1..4);
    if rng.u32(0..3) == 0 {
        Operation::CniShrinks { node, interfaces }
    } else {
        Operation::CniGrows { node, interfaces, addresses: *pick(rng, &ADDRESSES) }
    }
}
