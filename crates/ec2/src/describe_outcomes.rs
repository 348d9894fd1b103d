//! Records how Describe calls ended: failures of resyncs, outages (no successful answer), items that cannot be read. It is
//! given the results of calls, and never calls EC2.

use crate::changed::Changed;
use crate::convert::Unreadable;
use crate::ec2::Ec2;
use crate::lock::lock;
use crate::rate_limit::action::Action;
use crate::resync_stats::Resync;
use crate::unreadable::UnreadableEni;
use multi_eni_api::names;
use multi_eni_plan::ec2_errors::CallError;
use multi_eni_plan::lookup_failure::LookupFailure;
use std::collections::{BTreeMap, BTreeSet};

impl Ec2 {
    /// Records how a resync ended.
    pub(crate) fn note_failure(&self, error: Option<&CallError>) {
        let now = self.now();
        let mut failure = lock(&self.inner.failure);
        *failure = error.map(|error| LookupFailure::next(failure.as_ref(), Action::DescribeEnis.name(), error, now));
    }

    /// Records a complete resync, for the metrics.
    pub(crate) fn note_resynced(&self, resync: Resync) {
        let mut stats = lock(&self.inner.resyncs);
        stats.last = Some(resync);
        stats.completed += 1;
    }

    /// Records a resync that failed, for the metrics.
    pub(crate) fn note_resync_failed(&self) {
        lock(&self.inner.resyncs).failed += 1;
    }

    /// Records how one Describe call ended. Reports an outage that begins, ends or changes.
    pub(crate) fn note_answer(&self, action: Action, error: Option<&CallError>) {
        if lock(&self.inner.describe_outages).note(action.name(), error, self.now()) {
            self.notify(Changed::DescribeOutage);
        }
    }

    /// Counts the items of one kind that were skipped because they cannot be read.
    pub(crate) fn count_unreadable(&self, kind: &'static str, items: usize) {
        if items > 0 {
            *lock(&self.inner.unread).counts.entry(kind).or_default() += items as u64;
            tracing::debug!(kind, items, "skipped unreadable items in EC2's answer");
        }
    }

    /// UIDs of the ENIAttachments that the tags of these unreadable ENIs name. These ENIs exist, so they are not absent.
    pub(crate) fn attachments_among(unreadable: &[Unreadable]) -> BTreeSet<String> {
        unreadable.iter().filter_map(|item| item.seen.attachment_uid()).map(str::to_owned).collect()
    }

    /// Records the ENIs of this cluster that a complete resync showed without an ID. Logs each new one.
    pub(crate) fn note_unreadable(&self, shown: &[Unreadable]) {
        let mut unread = lock(&self.inner.unread);
        let mut ours = BTreeMap::new();
        for item in shown.iter().filter(|item| item.seen.is_of(&self.inner.cluster)) {
            let tag = |key| item.seen.tags.get(key).map(str::to_owned);
            let uid = item.seen.attachment_uid().unwrap_or_default().to_owned();
            let known = unread.ours.get(&uid);
            if known.is_none() {
                tracing::error!(attachment = uid, mac = %item.seen.mac, "EC2 shows an ENI of this cluster without an ID");
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
