//! The real tier's harness: the [`ControlPlane`] of its crate, an account, and the `multi-eni controller` process, which a story
//! starts itself, with [`ControllerProcess`], as the ServiceAccount that the chart made.

pub mod account;
mod controller;
mod stage;

pub use controller::ControllerProcess;
pub use multi_eni_control_plane::{ControlPlane, Failure, Output, chart};
pub use stage::{SOON, Stage};
