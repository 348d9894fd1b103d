//! Follows ENIAttachments on their way to Ready, and passes the spans of their traces to the exporter. It is given times and EC2
//! calls; `multi_eni_plan::attach_trace` makes the spans. Without an exporter nothing is followed. Nothing is decided by it.

use jiff::Timestamp;
use multi_eni_api::conditions::types;
use multi_eni_ec2::CallReport;
use multi_eni_otlp::SpanQueue;
use multi_eni_plan::attach_trace::AttachRecord;
use multi_eni_plan::attachment::Attachment;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// The traces that have begun and not ended, by UID of the ENIAttachment.
#[derive(Debug)]
pub(super) struct AttachTraces {
    spans: Option<SpanQueue>,
    followed: BTreeMap<String, Followed>,
}

/// When the API server stored that an ENIAttachment is Ready. The write sets it.
pub(super) type StoredReady = Arc<OnceLock<Timestamp>>;

/// One trace.
#[derive(Debug)]
struct Followed {
    record: AttachRecord,
    /// The calls that were started, and whose ends are not in the trace yet. Nearly always there is one.
    calls: Vec<CallReport>,
    stored_ready: StoredReady,
}

impl AttachTraces {
    /// Passes spans to `spans`. None: there is no collector.
    pub(super) fn new(spans: Option<SpanQueue>) -> Self {
        Self { spans, followed: BTreeMap::new() }
    }

    /// This process has created the ENIAttachment, which it had `decided` then.
    pub(super) fn created(&mut self, attachment: &Attachment, decided: Option<Timestamp>, now: Timestamp) {
        self.follow(attachment, decided, now);
        if let (Some(spans), Some(followed)) = (&self.spans, self.followed.get_mut(&attachment.uid)) {
            spans.push(followed.record.stored(now));
        }
    }

    /// Follows an ENIAttachment that gets a trace, if it is not followed yet.
    pub(super) fn follow(&mut self, attachment: &Attachment, decided: Option<Timestamp>, now: Timestamp) {
        if self.spans.is_none() || self.followed.contains_key(&attachment.uid) || !AttachRecord::is_for(attachment) {
            return;
        }
        let record = AttachRecord::begin(attachment, decided, now);
        let followed = Followed { record, calls: Vec::new(), stored_ready: StoredReady::default() };
        self.followed.insert(attachment.uid.clone(), followed);
    }

    /// Where a call that begins now is to leave its times. None: its ENIAttachment is not followed.
    pub(super) fn report_of_call(&mut self, uid: &str) -> Option<CallReport> {
        let report = CallReport::default();
        self.followed.get_mut(uid)?.calls.push(report.clone());
        Some(report)
    }

    /// EC2 shows the ENI in its place. Returns where the write of that status leaves its time.
    pub(super) fn becomes_ready(&mut self, uid: &str, now: Timestamp) -> Option<StoredReady> {
        let (spans, followed) = (self.spans.as_ref()?, self.followed.get_mut(uid)?);
        spans.push(followed.record.shown_attached(now));
        Some(followed.stored_ready.clone())
    }

    /// The calls and writes of an ENIAttachment have ended: their spans are complete. If one of the writes has stored that the
    /// ENIAttachment is Ready, the trace is, too.
    pub(super) fn ended(&mut self, attachment: &Attachment, eni: Option<&str>) {
        let (Some(spans), Some(followed)) = (&self.spans, self.followed.get_mut(&attachment.uid)) else { return };
        let ready = attachment.status.conditions.iter().find(|condition| condition.type_ == types::READY);
        for report in std::mem::take(&mut followed.calls) {
            if let Some(call) = report.ended() {
                spans.push(followed.record.call_ended(call, ready.map(|ready| ready.reason.as_str())));
            }
        }
        if let Some(at) = followed.stored_ready.get() {
            spans.push(followed.record.ready(eni, *at));
            self.followed.remove(&attachment.uid);
        }
    }

    /// The ENIAttachment is being deleted.
    pub(super) fn deleted(&mut self, uid: &str, now: Timestamp) {
        if let (Some(spans), Some(followed)) = (&self.spans, self.followed.remove(uid)) {
            spans.push(vec![followed.record.deleted(now)]);
        }
    }

    /// Ends the traces of ENIAttachments that are gone.
    pub(super) fn retain(&mut self, now: Timestamp, is_there: impl Fn(&str) -> bool) {
        let gone: Vec<String> = self.followed.keys().filter(|uid| !is_there(uid)).cloned().collect();
        gone.iter().for_each(|uid| self.deleted(uid, now));
    }
}
