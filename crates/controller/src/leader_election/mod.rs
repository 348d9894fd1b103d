//! Leader election by a Lease, and the fence, which stops a former leader from acting. Start reading in [`decision`].

pub mod decision;
pub mod elector;
pub mod fence;

pub use elector::{Candidate, Leadership};
pub use fence::{Fence, Target};
