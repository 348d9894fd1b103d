//! The cache of EC2: what Describes showed, with our own answered calls written through.
//!
//! - [`state`]: the data and its rules. Synchronous, no I/O.
//! - [`write_through`]: what the answers of our own calls add to it.
//! - [`answered_calls`]: what our calls were told, and how long that outweighs a Describe.
//! - [`home`]: when EC2 showed this cluster, without which nothing is absent.
//! - [`observe`]: what decisions read.
//! - [`resync`], [`poll`], [`lookups`]: the loops that feed it.

pub(crate) mod answered_calls;
pub(crate) mod home;
pub(crate) mod lookups;
pub(crate) mod observe;
pub(crate) mod poll;
pub(crate) mod resync;
pub(crate) mod state;
pub(crate) mod write_through;

#[cfg(test)]
mod tests;
