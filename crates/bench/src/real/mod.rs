//! The same work in real time: etcd and kube-apiserver as processes, the simulated EC2 over TCP with its default buckets, and a
//! controller as a process, ours or another one's. Everything is seen from outside, so all candidates are measured alike.
//!
//! - [`candidate`]: a controller, its memory and its CPU time. - [`account`]: EC2. - [`cluster`]: the API server, its Nodes with
//!   their heartbeats, and its own count of writes. - [`measure`]: what is measured.

pub mod account;
pub mod candidate;
pub mod cluster;
pub mod measure;
