//! The harness of the real tier: the [`ControlPlane`] of its crate, an account, and the `multi-eni controller` process. A story
//! starts that process with [`ControllerProcess`], as the ServiceAccount of the chart.

pub mod account;
mod collector;
mod controller;
mod environment;
mod iam;
mod least_rights;
pub mod prometheus;
pub mod rights;

pub use collector::{CollectedSpan, Collector};
pub use controller::ControllerProcess;
pub use environment::{Environment, SOON};
pub use multi_eni_control_plane::{ControlPlane, Failure, Output, chart};
