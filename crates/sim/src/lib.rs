//! EC2 and a Kubernetes API server, in process, at the HTTP seam, and over TCP.
//!
//! A test double that is itself tested: it is strict where the real ones are strict.

pub mod clock;
pub mod ec2;
pub mod kube;
