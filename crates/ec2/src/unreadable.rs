//! Items of EC2's answers that could not be read: how many, and which of them are this cluster's. Each hides only itself.

use crate::convert::Unreadable;
use crate::ec2::Ec2;
use crate::lock::lock;
use jiff::Timestamp;
use multi_eni_api::names;
use std::collections::{BTreeMap, BTreeSet};

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
    counts: BTreeMap<&'static str, u64>,
    /// Ours, by the UID of the ENIAttachment that their tags name, as the last sweep showed them.
    ours: BTreeMap<String, UnreadableEni>,
}

impl Ec2 {
    /// ENIs of this cluster that the last sweep showed without an ID, by the UID of their ENIAttachment.
    pub fn unreadable(&self) -> BTreeMap<String, UnreadableEni> {
        lock(&self.inner.unread).ours.clone()
    }

    /// How many items of each kind EC2's answers had that could not be read.
    pub fn unreadable_counts(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.inner.unread).counts.clone()
    }

    /// Counts items of a kind that were left out of an answer.
    pub(crate) fn count_unreadable(&self, kind: &'static str, items: usize) {
        if items > 0 {
            *lock(&self.inner.unread).counts.entry(kind).or_default() += items as u64;
            tracing::debug!(kind, items, "items of EC2's answer cannot be read and are left out");
        }
    }

    /// UIDs of ENIAttachments whose ENIs are among these: they are there, whatever else is known of them.
    pub(crate) fn attachments_among(unreadable: &[Unreadable]) -> BTreeSet<String> {
        unreadable.iter().filter_map(|item| item.seen.attachment_uid()).map(str::to_owned).collect()
    }

    /// What a whole sweep showed of this cluster without an ID. Says in the log what is new.
    pub(crate) fn note_unreadable(&self, shown: &[Unreadable]) {
        let mut unread = lock(&self.inner.unread);
        let mut ours = BTreeMap::new();
        for item in shown.iter().filter(|item| item.seen.is_of(&self.inner.cluster)) {
            let tag = |key| item.seen.tags.get(key).map(str::to_owned);
            let uid = item.seen.attachment_uid().unwrap_or_default().to_owned();
            let known = unread.ours.get(&uid);
            if known.is_none() {
                tracing::error!(attachment = uid, mac = %item.seen.mac, "EC2 shows an ENI of this cluster without an ID: it is left as it is");
            }
            let since = known.map_or(item.seen.shown_at, |known| known.since);
            let eni = UnreadableEni {
                nodeeni_uid: tag(names::TAG_NODEENI_UID),
                node: tag(names::TAG_NODE),
                mac: item.seen.mac.to_string(),
                since,
            };
            ours.insert(uid, eni);
        }
        unread.ours = ours;
    }
}
