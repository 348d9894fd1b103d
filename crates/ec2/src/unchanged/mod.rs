//! What an answer repeats is not parsed again. In an idle minute EC2 shows thousands of ENIs as it showed them a minute before, and
//! the SDK's parser would take most of this process's CPU time for them (docs/performance.md).
//!
//! - [`items`]: where the items of an answer's list begin and end, and a digest of an item. Pure.
//! - [`reread`]: cuts the items that the cache holds as they are out of an answer, before the SDK parses it.

pub(crate) mod items;
pub(crate) mod reread;
