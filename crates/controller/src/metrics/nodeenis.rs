//! The metrics of the NodeENIs. They exist as long as their NodeENI: its name is a label.

use super::description::{Kind, Metric};
use super::exposition::{Exposition, Value};
use super::snapshot::NodeEniNumbers;

const DESIRED: Metric = Metric::stable(
    "multi_eni_nodeeni_desired",
    Kind::Gauge,
    &["nodeeni"],
    "ENIs that the NodeENI asks for (status.desired)",
);
const ATTACHED: Metric = Metric::stable(
    "multi_eni_nodeeni_attached",
    Kind::Gauge,
    &["nodeeni"],
    "ENIs of the NodeENI that are attached (status.attached)",
);
const READY: Metric = Metric::stable(
    "multi_eni_nodeeni_ready",
    Kind::Gauge,
    &["nodeeni"],
    "ENIs of the NodeENI that are ready (status.ready)",
);
const FAILED: Metric = Metric::stable(
    "multi_eni_nodeeni_failed",
    Kind::Gauge,
    &["nodeeni"],
    "ENIs of the NodeENI that failed (status.failed)",
);

/// All metrics of this file.
#[cfg(test)]
pub const ALL: &[Metric] = &[DESIRED, ATTACHED, READY, FAILED];

/// Writes them.
pub fn write(nodeenis: &[NodeEniNumbers], out: &mut Exposition) {
    let mut add = |metric, number: fn(&NodeEniNumbers) -> i32| {
        let rows = nodeenis.iter().map(|one| (vec![one.name.clone()], Value::Whole(number(one).into())));
        out.add(metric, rows);
    };
    add(&DESIRED, |one| one.desired);
    add(&ATTACHED, |one| one.attached);
    add(&READY, |one| one.ready);
    add(&FAILED, |one| one.failed);
}
