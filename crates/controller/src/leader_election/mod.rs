//! Leader election by Lease, and the fence that keeps a former leader from acting.

pub mod election;
pub mod fence;
pub mod lease;

pub use fence::Fence;
pub use lease::{Candidate, Leadership};
