//! Leader election by a Lease, and the fence, which stops a former leader from acting. Start reading in [`election`].

pub mod election;
pub mod fence;
pub mod lease;

pub use fence::Fence;
pub use lease::{Candidate, Leadership};
