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

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;
    use multi_eni_api::{ENIAttachment, EniAttachmentSpec};
    use multi_eni_plan::attach_trace::Span;
    use tokio::sync::mpsc::Receiver;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
    }

    fn attachment(uid: &str) -> Attachment {
        let mut object = ENIAttachment::new("a", EniAttachmentSpec::default());
        object.metadata.uid = Some(uid.to_owned());
        Attachment::read(&object)
    }

    fn following() -> (AttachTraces, Receiver<Span>) {
        let (spans, sent) = SpanQueue::with_capacity(10);
        (AttachTraces::new(Some(spans)), sent)
    }

    fn names(sent: &mut Receiver<Span>) -> Vec<(String, bool)> {
        std::iter::from_fn(|| sent.try_recv().ok()).map(|span| (span.name, span.error.is_some())).collect()
    }

    #[test]
    fn without_a_collector_nothing_is_followed() {
        let mut traces = AttachTraces::new(None);
        traces.created(&attachment("u"), Some(at(1)), at(1));
        traces.follow(&attachment("v"), None, at(1));
        assert!(traces.followed.is_empty());
        assert!(traces.report_of_call("u").is_none() && traces.becomes_ready("u", at(2)).is_none());
    }

    #[test]
    fn a_trace_ends_when_ready_is_stored_and_is_forgotten() {
        let (mut traces, mut sent) = following();
        let made = attachment("u");
        traces.created(&made, Some(at(1)), at(2));
        traces.follow(&made, None, at(3));
        assert!(traces.report_of_call("u").is_some() && traces.report_of_call("v").is_none());
        traces.ended(&made, None);
        assert_eq!(names(&mut sent), [("store ENIAttachment".to_owned(), false)]);
        let stored = traces.becomes_ready("u", at(4)).unwrap();
        // The write has failed: the trace goes on.
        traces.ended(&made, Some("eni-1"));
        assert_eq!((names(&mut sent), traces.followed.len()), (vec![], 1));
        stored.set(at(5)).unwrap();
        traces.ended(&made, Some("eni-1"));
        assert_eq!(names(&mut sent), [("store Ready".to_owned(), false), ("attach ENI".to_owned(), false)]);
        assert!(traces.followed.is_empty());
    }

    #[test]
    fn what_is_deleted_or_gone_ends_its_trace_once() {
        let (mut traces, mut sent) = following();
        for uid in ["u", "v", "w"] {
            traces.follow(&attachment(uid), None, at(1));
        }
        traces.deleted("u", at(2));
        traces.deleted("u", at(3));
        traces.retain(at(4), |uid| uid == "w");
        assert_eq!(names(&mut sent), [("attach ENI".to_owned(), true), ("attach ENI".to_owned(), true)]);
        assert_eq!(traces.followed.keys().collect::<Vec<_>>(), ["w"]);
    }
}
