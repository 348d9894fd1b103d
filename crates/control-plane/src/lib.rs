//! etcd and kube-apiserver as processes, with TLS, RBAC and service-account tokens; kubectl and helm as their clients. For tests
//! and benchmarks only: nothing that is released depends on this crate. Start reading at [`ControlPlane`].
//!
//! No test is skipped when a part is missing: [`ControlPlane::start`] returns an error that names the part.
//!
//! There is no kube-controller-manager. So namespaces never finish deleting, owner references are not collected, no
//! ServiceAccount `default` is created, and a Deployment makes no Pods.
//!
//! All functions block the calling thread: in an async test use `#[tokio::test(flavor = "multi_thread")]`.

mod audit;
mod binaries;
mod commands;
mod control_plane;
mod files;
mod process;
mod servers;
mod test_error;

pub use audit::ApiRequest;
pub use binaries::repository;
pub use commands::Output;
pub use control_plane::{ControlPlane, chart, free_address};
pub use process::Process;
pub use test_error::Failure;

/// A stand-in for Multus' CRD of NetworkAttachmentDefinition.
pub const NETWORK_ATTACHMENT_DEFINITIONS: &str = include_str!("../network-attachment-definitions.yaml");
