//! The part of the controller's real tier that starts etcd and kube-apiserver.

#[path = "../../../controller/tests/real/harness/binaries.rs"]
mod binaries;
#[path = "../../../controller/tests/real/harness/control_plane.rs"]
mod control_plane;
#[path = "../../../controller/tests/real/harness/failure.rs"]
mod failure;
#[path = "../../../controller/tests/real/harness/process.rs"]
mod process;

pub use control_plane::ControlPlane;
pub use failure::Failure;
