//! etcd and kube-apiserver as processes, with TLS, RBAC and service-account tokens; kubectl and helm against them. For tests and
//! benchmarks: nothing that is released depends on it.
//!
//! Nothing here is skipped when a part is missing: [`ControlPlane::start`] says why, and who needs it fails.
//!
//! There is no kube-controller-manager. So namespaces never finish deleting, owner references are not collected, no
//! ServiceAccount `default` appears, and a Deployment makes no pods.
//!
//! Everything blocks the calling thread: in an async test use `#[tokio::test(flavor = "multi_thread")]`.

mod binaries;
mod control_plane;
mod failure;
mod process;

pub use binaries::repository;
pub use control_plane::{ControlPlane, Output, chart, free_address};
pub use failure::Failure;
pub use process::Process;
