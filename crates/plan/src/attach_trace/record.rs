//! What is kept of one ENIAttachment while its trace grows: where the trace stands, not its spans.

use super::ec2_call::Ec2Call;
use super::ids::{SpanId, TraceId};
use super::span::{Kind, Span, Value};
use crate::attachment::Attachment;
use jiff::{SignedDuration, Timestamp};

/// A shorter gap between two steps gets no span of its own.
const SHORT: SignedDuration = SignedDuration::from_millis(10);

/// An ENIAttachment that cannot get its ENI makes calls for days. Further calls get no spans; the root counts them.
const MAX_CALLS: u32 = 100;

/// EC2 encodes the reason of a missing permission in thousands of characters.
const MAX_WORDS: usize = 500;

/// EC2's action that attaches.
const ATTACH: &str = "AttachNetworkInterface";

/// The trace of one ENIAttachment that is not Ready yet.
#[derive(Debug, Clone)]
pub struct AttachRecord {
    subject: Subject,
    /// When the root span began.
    start: Timestamp,
    /// The end of the last step that has a span.
    last_end: Timestamp,
    /// The error code of the last call, if it failed.
    last_error: Option<String>,
    /// When EC2 accepted the Attach.
    attach_accepted: Option<Timestamp>,
    /// When EC2 first showed the ENI attached, after that Attach.
    attached: Option<Timestamp>,
    /// EC2 calls of this process.
    calls: u32,
}

/// What the trace is about.
#[derive(Debug, Clone)]
struct Subject {
    uid: String,
    attachment: String,
    node: String,
    nodeeni: String,
    instance: Option<String>,
    subnet: String,
    card: i32,
    index: i32,
}

impl AttachRecord {
    /// Begins when it was `decided` that the Node gets this ENI. A process that did not decide it, because the ENIAttachment
    /// existed before, begins the root span at the ENIAttachment's creation, and its own children `now`.
    pub fn begin(attachment: &Attachment, decided: Option<Timestamp>, now: Timestamp) -> Self {
        Self {
            subject: Subject {
                uid: attachment.uid.clone(),
                attachment: attachment.name.clone(),
                node: attachment.node.clone(),
                nodeeni: attachment.nodeeni.clone(),
                instance: attachment.instance.as_ref().map(|instance| instance.as_str().to_owned()),
                subnet: attachment.request.subnet_id.clone(),
                card: attachment.request.network_card_index,
                index: attachment.request.device_index,
            },
            start: decided.unwrap_or(attachment.created),
            last_end: decided.unwrap_or(now),
            last_error: None,
            attach_accepted: None,
            attached: None,
            calls: 0,
        }
    }

    /// Whether an ENIAttachment gets a trace from now on. One that adopts an ENI is not attached by this controller, and one
    /// that was attached before has had its trace.
    pub fn is_for(attachment: &Attachment) -> bool {
        attachment.adopted.is_none()
            && attachment.deleting.is_none()
            && attachment.unreadable.is_none()
            && !attachment.was_attached()
    }

    /// The API server has stored the ENIAttachment.
    pub fn stored(&mut self, at: Timestamp) -> Vec<Span> {
        let span = self.child("store ENIAttachment", Kind::Client, (self.last_end, at));
        self.last_end = at;
        vec![span]
    }

    /// An EC2 call has ended. `reason`: the reason of the condition Ready before the call, which says what the ENIAttachment
    /// waited for.
    pub fn call_ended(&mut self, call: &Ec2Call, reason: Option<&str>) -> Vec<Span> {
        self.calls = self.calls.saturating_add(1);
        let (before, failed_before) = (self.last_end, self.last_error.take());
        self.last_end = call.ended;
        self.last_error = call.error.as_ref().map(|error| error.code().to_owned());
        if call.action == ATTACH {
            (self.attach_accepted, self.attached) = (call.error.is_none().then_some(call.ended), None);
        }
        if self.calls > MAX_CALLS {
            return Vec::new();
        }
        let mut spans = Vec::new();
        if call.queued.duration_since(before) >= SHORT {
            let mut wait = self.child("wait", Kind::Internal, (before, call.queued));
            wait.attributes.extend(reason.map(|reason| ("multi_eni.reason", Value::from(reason))));
            wait.attributes.extend(failed_before.map(|code| ("multi_eni.last_error", Value::from(code.as_str()))));
            spans.push(wait);
        }
        if call.sent.duration_since(call.queued) >= SHORT {
            let mut wait = self.child("wait for the rate limiter", Kind::Internal, (call.queued, call.sent));
            wait.attributes.push(("rpc.method", Value::from(call.action)));
            spans.push(wait);
        }
        let name = format!("EC2.{}", call.action);
        let mut span = self.child(&name, Kind::Client, (call.sent, call.ended));
        span.attributes.extend([
            ("rpc.system", Value::from("aws-api")),
            ("rpc.service", Value::from("EC2")),
            ("rpc.method", Value::from(call.action)),
        ]);
        span.attributes.extend(call.request_id.as_deref().map(|id| ("aws.request_id", Value::from(id))));
        if let Some(error) = &call.error {
            span.attributes.push(("error.type", Value::from(error.code())));
            span.error = Some(error.to_string().chars().take(MAX_WORDS).collect());
        }
        spans.push(span);
        spans
    }

    /// EC2 shows the ENI attached. The first time after an Attach counts.
    pub fn shown_attached(&mut self, at: Timestamp) -> Vec<Span> {
        if self.attached.is_some() {
            return Vec::new();
        }
        self.attached = Some(at);
        let span = self.attach_accepted.map(|since| self.child("wait until attached", Kind::Internal, (since, at)));
        self.last_end = at;
        span.into_iter().collect()
    }

    /// The API server has stored that the ENIAttachment is Ready: the trace is complete. `eni`: the ENI.
    pub fn ready(&self, eni: Option<&str>, at: Timestamp) -> Vec<Span> {
        let stored = self.attached.map(|since| self.child("store Ready", Kind::Client, (since, at)));
        let mut root = self.root(at);
        root.attributes.extend(eni.map(|eni| ("multi_eni.eni.id", Value::from(eni))));
        stored.into_iter().chain([root]).collect()
    }

    /// The ENIAttachment is being deleted, or is gone, before it was Ready: the trace is complete.
    pub fn deleted(&self, at: Timestamp) -> Span {
        Span { error: Some("the ENIAttachment was deleted before it was Ready".to_owned()), ..self.root(at) }
    }

    fn root(&self, end: Timestamp) -> Span {
        let subject = &self.subject;
        let mut attributes = self.about();
        attributes.extend(subject.instance.as_deref().map(|id| ("host.id", Value::from(id))));
        attributes.extend([
            ("multi_eni.subnet.id", Value::from(subject.subnet.as_str())),
            ("multi_eni.network_card_index", Value::from(i64::from(subject.card))),
            ("multi_eni.device_index", Value::from(i64::from(subject.index))),
        ]);
        let omitted = self.calls.saturating_sub(MAX_CALLS);
        attributes.extend((omitted > 0).then(|| ("multi_eni.omitted_calls", Value::from(i64::from(omitted)))));
        Span {
            trace: TraceId::of(&subject.uid),
            id: SpanId::root(&subject.uid),
            parent: None,
            kind: Kind::Internal,
            name: "attach ENI".to_owned(),
            start: self.start,
            end: end.max(self.start),
            attributes,
            error: None,
        }
    }

    fn child(&self, name: &str, kind: Kind, (start, end): (Timestamp, Timestamp)) -> Span {
        let uid = &self.subject.uid;
        Span {
            trace: TraceId::of(uid),
            id: SpanId::child(uid, name, start),
            parent: Some(SpanId::root(uid)),
            kind,
            name: name.to_owned(),
            start,
            end: end.max(start),
            attributes: self.about(),
            error: None,
        }
    }

    /// What every span of the trace has, so that a search finds it before the root is there.
    fn about(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("k8s.node.name", Value::from(self.subject.node.as_str())),
            ("multi_eni.nodeeni.name", Value::from(self.subject.nodeeni.as_str())),
            ("multi_eni.eniattachment.name", Value::from(self.subject.attachment.as_str())),
        ]
    }
}
