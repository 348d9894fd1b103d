//! The metric of the gates that hold calls back.

use super::description::{Kind, Metric};
use super::exposition::{Exposition, Value};

const CLOSED: Metric = Metric::alpha(
    "multi_eni_gates_closed",
    Kind::Gauge,
    &["kind"],
    "Refusals in force that hold EC2 calls back: quota (the Region's), subnet (full ones), permission (missing ones), \
     instance_type (limits that only Attach shows)",
);

/// All metrics of this file.
#[cfg(test)]
pub const ALL: &[Metric] = &[CLOSED];

/// Writes it.
pub fn write(gates: &[(&'static str, usize)], out: &mut Exposition) {
    out.add(&CLOSED, gates.iter().map(|(kind, n)| (vec![(*kind).to_owned()], Value::number_of(*n))));
}
