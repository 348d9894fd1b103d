//! Simulators of EC2 and of a Kubernetes API server, for tests, simulated histories, benchmarks and the sandbox.
//!
//! Both simulators serve HTTP requests in process and over TCP. They refuse what the real servers refuse, and tests with boto3,
//! kube's client and `kubectl` check their answers. The simulators never call AWS or a cluster, and they read no wall clock and
//! no system randomness: time comes from [`clock::SimClock`], and IDs and delays come from a seed.
//!
//! Start reading at [`ec2::Ec2`] and [`kube::ApiServer`].

pub mod clock;
pub mod ec2;
pub mod iam;
pub mod kube;
