//! Items of EC2's answers that could not be read: how many, and which of them are this cluster's. Each hides only itself.

use jiff::Timestamp;
use std::collections::BTreeMap;

/// An ENI of this cluster that EC2 shows without an ID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableEni {
    /// UID of the NodeENI that its tags name.
    pub nodeeni_uid: Option<String>,
    /// The Node that its tags name.
    pub node: Option<String>,
    /// MAC address, by which a person finds it.
    pub mac: String,
    /// Start of the first sweep that showed it so.
    pub since: Timestamp,
}

/// What is remembered of them.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    pub counts: BTreeMap<&'static str, u64>,
    /// Ours, by the UID of the ENIAttachment that their tags name, as the last sweep showed them.
    pub ours: BTreeMap<String, UnreadableEni>,
}
