//! The same work in real time: etcd and kube-apiserver as processes, the simulated EC2 over TCP with its default buckets, and a
//! controller as a process. All measurements are made from outside the controller, so all candidates are measured alike. Start
//! reading in [`measure`].
//!
//! - [`candidate`]: a controller process, its memory and its CPU time.
//! - [`simulated_ec2`]: the simulated EC2.
//! - [`cluster`]: the API server, its Nodes with their heartbeats, and its count of writes.
//! - [`labels`]: nodes that are labelled one by one, with what passes until the Attach.
//! - [`measure`]: the workload and its results.

pub mod candidate;
pub mod cluster;
pub mod labels;
pub mod measure;
pub mod simulated_ec2;
