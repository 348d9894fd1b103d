//! Writes the answers of our own calls through to the cache: the answers are newer than every Describe so far. Functions that
//! return a bool return false if the cache does not hold the ENI. Synchronous; never calls EC2.

use super::answered_calls::{AnsweredCalls, within};
use super::entry::Entry;
use super::state::{CacheState, NEVER_SHOWN};
use jiff::Timestamp;
use multi_eni_api::ConnectionTracking;
use multi_eni_api::ids::{EniId, SecurityGroupId};
use multi_eni_plan::observed::{AttachmentState, Missed, ObservedAttachment, ObservedEni};
use std::collections::{BTreeMap, BTreeSet};

impl CacheState {
    /// Create was answered at `at` with this ENI; `tags` were sent with the call. `may_repeat`: an earlier Create with the same
    /// token may have made the ENI, and then the answer shows the ENI as it was at that time.
    pub fn apply_created(
        &mut self,
        mut seen: ObservedEni,
        tags: &BTreeMap<String, String>,
        may_repeat: bool,
        at: Timestamp,
    ) -> ObservedEni {
        // For a repeated Create, EC2 answers with an ENI of which the cache may hold a newer state.
        let known = self.entries.get(&seen.id).cloned();
        let mut calls = known.as_ref().map(|entry| entry.answered_calls().clone()).unwrap_or_default();
        let shown = known.as_ref().map_or(at, |entry| entry.seen.shown_at);
        // A repeated Create proves no tags, even if a Describe has shown the ENI: the ENI may lack a tag that is added here.
        let shown_at = if may_repeat { NEVER_SHOWN } else { shown };
        if let Some(entry) = known {
            seen = calls.correct(&entry.seen, seen, self.lag);
        }
        calls.created = Some(at);
        let sent = tags.iter().filter(|_| !may_repeat);
        calls.tags.extend(sent.map(|(key, value)| (key.clone(), (at, value.clone()))));
        seen.tags.extend(tags);
        seen.shown_at = shown_at;
        seen.last_call = Some(at);
        self.put(Entry::new(seen.clone(), calls));
        seen
    }

    /// Attach was answered at `at` with this attachment.
    pub fn apply_attached(&mut self, eni: &EniId, attachment: ObservedAttachment, at: Timestamp) -> bool {
        self.apply_call(eni, at, |seen, calls| {
            calls.attached = Some((at, attachment.id.clone()));
            calls.delete_on_termination = None;
            seen.attachment = Some(attachment);
            seen.in_use_since = None;
        })
    }

    /// Detach was answered at `at`.
    pub fn apply_detached(&mut self, eni: &EniId, attachment_id: &str, at: Timestamp) -> bool {
        self.apply_call(eni, at, |seen, calls| {
            calls.detached = Some((at, attachment_id.to_owned()));
            if let Some(attachment) = seen.attachment.as_mut().filter(|known| known.id == attachment_id)
                && attachment.state != AttachmentState::Detaching
            {
                attachment.state = AttachmentState::Detaching;
                attachment.since = at;
            }
        })
    }

    /// Modify of deleteOnTermination was answered at `at`.
    pub fn apply_delete_on_termination(
        &mut self,
        eni: &EniId,
        attachment_id: &str,
        value: bool,
        at: Timestamp,
    ) -> bool {
        self.apply_call(eni, at, |seen, calls| {
            if let Some(attachment) = seen.attachment.as_mut().filter(|known| known.id == attachment_id) {
                calls.delete_on_termination = Some((at, value));
                attachment.delete_on_termination = value;
            }
        })
    }

    /// Modify of the groups was answered at `at`.
    pub fn apply_groups(&mut self, eni: &EniId, mut groups: Vec<SecurityGroupId>, at: Timestamp) -> bool {
        groups.sort();
        self.apply_call(eni, at, |seen, calls| {
            calls.groups = Some((at, groups.clone()));
            seen.groups = groups;
        })
    }

    /// Modify of the description was answered at `at`.
    pub fn apply_description(&mut self, eni: &EniId, description: &str, at: Timestamp) -> bool {
        self.apply_call(eni, at, |seen, calls| {
            calls.description = Some((at, description.to_owned()));
            seen.description = description.to_owned();
        })
    }

    /// Modify of the source/destination check was answered at `at`.
    pub fn apply_source_dest_check(&mut self, eni: &EniId, value: bool, at: Timestamp) -> bool {
        self.apply_call(eni, at, |seen, calls| {
            calls.source_dest_check = Some((at, value));
            seen.source_dest_check = value;
        })
    }

    /// Modify of the timeouts of connection tracking was answered at `at`.
    pub fn apply_connection_tracking(&mut self, eni: &EniId, timeouts: ConnectionTracking, at: Timestamp) -> bool {
        self.apply_call(eni, at, |seen, calls| {
            calls.connection_tracking = Some((at, timeouts));
            seen.connection_tracking = timeouts;
        })
    }

    /// CreateTags was answered at `at`.
    pub fn apply_tagged(&mut self, eni: &EniId, tags: &BTreeMap<String, String>, at: Timestamp) -> bool {
        self.apply_call(eni, at, |seen, calls| {
            for (key, value) in tags {
                calls.tags.insert(key.clone(), (at, value.clone()));
                calls.untagged.remove(key);
            }
            seen.tags.extend(tags);
        })
    }

    /// DeleteTags was answered at `at`.
    pub fn apply_untagged(&mut self, eni: &EniId, keys: &BTreeSet<String>, at: Timestamp) -> bool {
        self.apply_call(eni, at, |seen, calls| {
            for key in keys {
                calls.tags.remove(key);
                calls.untagged.insert(key.clone(), at);
            }
            seen.tags = seen.tags.iter().filter(|(key, _)| !keys.contains(*key)).collect();
        })
    }

    /// Delete was answered at `at`.
    pub fn apply_deleted(&mut self, eni: &EniId, at: Timestamp) {
        let gone = self.remove(eni, at);
        (gone.deleted, gone.unknown) = (Some(at), false);
    }

    /// Delete was answered at `at` with NotFound. The answer is ignored if our Create was answered less than the lag before: EC2
    /// may not know the ENI yet.
    pub fn apply_delete_not_found(&mut self, eni: &EniId, at: Timestamp) {
        let created = self.entries.get(eni).and_then(|entry| entry.answered_calls().created);
        if created.is_none_or(|created| !within(self.lag, created, at)) {
            let gone = self.remove(eni, at);
            gone.unknown |= gone.deleted.is_none();
            gone.deleted = gone.deleted.max(Some(at));
            gone.by_id = Some(Missed::by_delete(at));
        }
    }

    fn apply_call(
        &mut self,
        eni: &EniId,
        at: Timestamp,
        change: impl FnOnce(&mut ObservedEni, &mut AnsweredCalls),
    ) -> bool {
        let Some(entry) = self.entries.get(eni) else { return false };
        let (mut seen, mut calls) = (entry.seen.clone(), entry.answered_calls().clone());
        change(&mut seen, &mut calls);
        seen.last_call = Some(at);
        self.put(Entry::new(seen, calls));
        true
    }
}
