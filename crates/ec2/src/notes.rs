//! What the answers to Describe calls leave behind: failures, silences, items that cannot be read.

use crate::changed::Changed;
use crate::convert::Unreadable;
use crate::ec2::Ec2;
use crate::lock::lock;
use crate::rate_limit::action::Action;
use crate::unreadable::UnreadableEni;
use multi_eni_api::names;
use multi_eni_plan::ec2_errors::CallError;
use multi_eni_plan::lookup_failure::LookupFailure;
use std::collections::{BTreeMap, BTreeSet};

impl Ec2 {
    /// How a sweep ended.
    pub(crate) fn note_failure(&self, error: Option<&CallError>) {
        let now = self.now();
        let mut failure = lock(&self.inner.failure);
        *failure = error.map(|error| LookupFailure::next(failure.as_ref(), Action::DescribeEnis.name(), error, now));
    }

    pub(crate) fn note_answer(&self, action: Action, error: Option<&CallError>) {
        if lock(&self.inner.silences).note(action.name(), error, self.now()) {
            self.tell(Changed::Silence);
        }
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
