//! The items in EC2's answers that could not be read: how many there were, and which of them are ENIs of this cluster. An
//! unreadable item never hides the other items of its answer.

use jiff::Timestamp;
use std::collections::BTreeMap;

/// An ENI of this cluster that EC2 shows without an ID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableEni {
    /// UID of the NodeENI that its tags name.
    pub nodeeni_uid: Option<String>,
    /// The Node that its tags name.
    pub node: Option<String>,
    /// MAC address, by which a user finds the ENI.
    pub mac: String,
    /// Start of the first resync that showed the ENI without an ID.
    pub since: Timestamp,
}

/// The unreadable items that this handle has met.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    /// Number of unreadable items, by kind.
    pub counts: BTreeMap<&'static str, u64>,
    /// This cluster's ENIs in the last complete resync, by the UID of the ENIAttachment that their tags name.
    pub ours: BTreeMap<String, UnreadableEni>,
}
