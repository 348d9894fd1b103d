//! The VPC CNI on busy nodes: with the primary interface 3 to 8 a node, of 10 to 50 addresses each.

use super::setting::pick;
use crate::script::{Event, Millis, Operation};
use fastrand::Rng;

const ADDRESSES: [u32; 4] = [10, 15, 30, 50];

/// A node is busy from its beginning: the VPC CNI may be there before the first ENI of ours, or after it.
pub(super) fn busy(rng: &mut Rng, joined: Millis, node: String) -> Event {
    let act = Operation::CniGrows { node, interfaces: rng.u32(2..8), addresses: *pick(rng, &ADDRESSES) };
    Event { at: joined + rng.u64(0..9_000), act }
}

/// Pods come and go: interfaces are taken, or given back.
pub(super) fn load(rng: &mut Rng, node: String) -> Operation {
    let interfaces = rng.u32(1..4);
    if rng.u32(0..3) == 0 {
        Operation::CniShrinks { node, interfaces }
    } else {
        Operation::CniGrows { node, interfaces, addresses: *pick(rng, &ADDRESSES) }
    }
}
