//! Draws an ENI that upstream's controller leaves behind.

use super::setting::pick;
use crate::script::{Operation, SubnetPlace};
use fastrand::Rng;

/// An ENI that upstream leaves behind, in one of the zone's subnets.
pub(super) fn upstream(rng: &mut Rng, node: &str, (zone, subnets): (&str, &[SubnetPlace]), nodeeni: &str) -> Operation {
    let here: Vec<&String> = subnets.iter().filter(|s| s.zone == zone && !s.tiny).map(|s| &s.id).collect();
    Operation::Upstream {
        node: node.to_owned(),
        nodeeni: nodeeni.to_owned(),
        subnet: (*pick(rng, &here)).clone(),
        index: rng.u32(1..7),
        listed: rng.bool(),
    }
}
