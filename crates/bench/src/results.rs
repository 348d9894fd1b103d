//! All results of one run of the benchmarks, as the JSON has them.

use crate::goal::Goal;
use crate::real::measure::RealMeasurement;
use crate::workload::{Latecomers, Measurement};
use serde::Serialize;

/// All results of a run.
#[derive(Debug, Default, Serialize)]
pub struct Results {
    /// The pieces of work in virtual time, by fleet.
    pub work: Vec<Measurement>,
    /// The waits of nodes that join during a burst, by fleet.
    pub latecomers: Vec<Latecomers>,
    /// The pieces of work in real time, by candidate.
    pub real: Vec<RealMeasurement>,
    /// The goals of the design.
    pub goals: Vec<Goal>,
    /// Whether Ctrl-C ended the run early.
    pub interrupted: bool,
}
