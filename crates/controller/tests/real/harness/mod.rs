//! The real tier's harness: the [`ControlPlane`] of its crate, an account, and the `multi-eni controller` process, which a story
//! starts itself, with [`ControllerProcess`], as the ServiceAccount that the chart made.

pub mod account;
mod controller;
mod environment;

pub use controller::ControllerProcess;
pub use environment::{Environment, SOON};
pub use multi_eni_control_plane::{ControlPlane, Failure, Output, chart};
