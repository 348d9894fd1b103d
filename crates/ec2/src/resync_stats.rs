//! The resyncs of one handle: how many ended, and what the last complete one showed and took.

use jiff::Timestamp;
use std::time::Duration;

/// One complete resync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resync {
    /// When it began.
    pub began: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// The ENIs that it showed.
    pub enis: usize,
    /// The pages that it consisted of.
    pub pages: usize,
    /// The ENIs among them that EC2 showed in the same words as in the resync before: they were not parsed.
    pub unchanged: usize,
}

/// The resyncs so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResyncStats {
    /// The last complete resync.
    pub last: Option<Resync>,
    /// The number of complete resyncs.
    pub completed: u64,
    /// The number of resyncs that failed.
    pub failed: u64,
}
