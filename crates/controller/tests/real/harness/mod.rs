//! The real tier's harness: etcd and kube-apiserver as processes, with TLS, RBAC and service-account tokens; kubectl and
//! helm against them; and the `multi-eni controller` process.
//!
//! Nothing here is skipped when a part is missing: [`ControlPlane::start`] says why and the test fails.
//!
//! There is no kube-controller-manager. So namespaces never finish deleting, owner references are not collected, no
//! ServiceAccount `default` appears, and a Deployment makes no pods: a story starts the controller itself, with
//! [`ControllerProcess`], as the ServiceAccount that the chart made.
//!
//! Everything blocks the calling thread: in an async test use `#[tokio::test(flavor = "multi_thread")]`.

pub mod account;
mod binaries;
mod control_plane;
mod controller;
mod failure;
mod process;
mod stage;

pub use control_plane::{ControlPlane, Output, chart};
pub use controller::ControllerProcess;
pub use failure::Failure;
pub use stage::{SOON, Stage};
