//! The cache of EC2: what Describes showed, with the answers of our own calls written through.
//!
//! - [`state`], [`entry`]: the data, and the rules by which what a Describe shows changes it. Synchronous, no I/O.
//! - [`describe_results`]: how the end of a Describe changes the data: what it did not show may be absent.
//! - [`instance_lookup`]: the last lookup of an instance: which ENIs are kept as a whole, and which as neighbours.
//! - [`comparison`]: whether two observations of an ENI are the same.
//! - [`listed`]: which ENIs the last page of a resync showed as the cache holds them.
//! - [`write_through`]: what the answers of our own calls add to the data.
//! - [`answered_calls`]: the answers of our own calls, and how long they override a Describe.
//! - [`account_evidence`]: when EC2 showed something of this cluster. An absence needs this evidence.
//! - [`observations`]: the reads that decisions make.
//! - [`resync`], [`poll`], [`batched_describes`]: the loops that call EC2 and fill the cache.
//! - [`page_size`]: how many ENIs a page of a resync asks for.

pub(crate) mod account_evidence;
pub(crate) mod answered_calls;
pub(crate) mod batched_describes;
pub(crate) mod comparison;
pub(crate) mod describe_results;
pub(crate) mod entry;
pub(crate) mod instance_lookup;
pub(crate) mod listed;
pub(crate) mod observations;
pub(crate) mod page_size;
pub(crate) mod poll;
pub(crate) mod resync;
pub(crate) mod state;
pub(crate) mod write_through;

#[cfg(test)]
mod tests;
