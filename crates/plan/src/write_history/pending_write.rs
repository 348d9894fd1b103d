//! A write that was decided, as data.

use super::target::Target;
use crate::backoff::Content;

/// A write that was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingWrite {
    /// The target of the write.
    pub target: Target,
    /// Its content, as digests.
    pub content: Content,
    /// UID of the NodeENI that it is for.
    pub nodeeni: String,
    /// The Node that it is for. None: it is for the NodeENI as a whole.
    pub node: Option<String>,
}
