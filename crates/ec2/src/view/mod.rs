//! The shared view of EC2: what Describes showed, with our own answered calls written through.
//!
//! - [`state`]: the data and its rules. Synchronous, no I/O.
//! - [`calls`]: what the answers of our own calls add to it.
//! - [`told`]: what our calls were told, and how long that outweighs a Describe.
//! - [`home`]: when EC2 showed this cluster, without which nothing is absent.
//! - [`sight`]: what decisions read.
//! - [`sweep`], [`poll`], [`looks`]: the loops that feed it.

pub(crate) mod calls;
pub(crate) mod home;
pub(crate) mod looks;
pub(crate) mod poll;
pub(crate) mod sight;
pub(crate) mod state;
pub(crate) mod sweep;
pub(crate) mod told;

#[cfg(test)]
mod tests;
