use super::*;
use crate::assign::tests::{at, new_attachment};
use crate::attachment::Attachment;
use crate::ec2_errors::CallError;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::conditions::{ConditionUpdate, set, types};
use multi_eni_api::ids::EniId;

const UID: &str = "0d3f1c52-6a7b-4c8d-9e0f-112233445566";

fn ms(ms: i64) -> Timestamp {
    at(100) + SignedDuration::from_millis(ms)
}

fn attachment() -> Attachment {
    Attachment { uid: UID.to_owned(), created: at(100), ..new_attachment("n0", 1, false) }
}

fn call(action: &'static str, (queued, sent, ended): (i64, i64, i64)) -> Ec2Call {
    let request_id = Some(format!("request-{sent}"));
    Ec2Call { action, queued: ms(queued), sent: ms(sent), ended: ms(ended), request_id, error: None }
}

fn refused(action: &'static str, times: (i64, i64, i64), code: &str) -> Ec2Call {
    let error = CallError::Answered { code: code.to_owned(), message: "no".to_owned() };
    Ec2Call { error: Some(error), ..call(action, times) }
}

/// Name, beginning and end in ms after 100 s, and parent: what a trace viewer shows.
fn shown(spans: &[Span]) -> Vec<(&str, i128, i128, bool)> {
    let after = |time: Timestamp| (time.as_nanosecond() - at(100).as_nanosecond()) / 1_000_000;
    spans.iter().map(|span| (&*span.name, after(span.start), after(span.end), span.parent.is_some())).collect()
}

fn text<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    span.attributes.iter().find(|(name, _)| *name == key).and_then(|(_, value)| match value {
        Value::Text(text) => Some(text.as_str()),
        Value::Whole(_) => None,
    })
}

/// The whole trace of an ENI that nothing delays: stored, created, attached, Ready. Modify ends after Ready.
fn whole(record: &mut AttachRecord) -> Vec<Span> {
    let mut spans = record.stored(ms(8));
    spans.extend(record.call_ended(&call("CreateNetworkInterface", (9, 9, 400)), None));
    spans.extend(record.call_ended(&call("AttachNetworkInterface", (401, 450, 900)), Some("Attaching")));
    spans.extend(record.shown_attached(ms(3_000)));
    spans.extend(record.shown_attached(ms(3_001)));
    spans.extend(record.call_ended(&call("ModifyNetworkInterfaceAttribute", (3_000, 3_000, 3_200)), None));
    spans.extend(record.ready(Some("eni-1"), ms(3_010)));
    spans
}

#[test]
fn one_attachment_is_one_trace_with_one_root_and_each_step_in_order() {
    let mut record = AttachRecord::begin(&attachment(), Some(ms(0)), ms(8));
    let spans = whole(&mut record);
    assert_eq!(
        shown(&spans),
        [
            ("store ENIAttachment", 0, 8, true),
            ("EC2.CreateNetworkInterface", 9, 400, true),
            ("wait for the rate limiter", 401, 450, true),
            ("EC2.AttachNetworkInterface", 450, 900, true),
            ("wait until attached", 900, 3_000, true),
            ("EC2.ModifyNetworkInterfaceAttribute", 3_000, 3_200, true),
            ("store Ready", 3_000, 3_010, true),
            ("attach ENI", 0, 3_010, false),
        ]
    );
    let root = spans.last().unwrap();
    assert!(spans.iter().all(|span| span.trace == root.trace && span.parent.is_none_or(|parent| parent == root.id)));
    let ids: std::collections::BTreeSet<SpanId> = spans.iter().map(|span| span.id).collect();
    assert_eq!(ids.len(), spans.len(), "{spans:#?}");
    assert!(spans.iter().all(|span| span.error.is_none()));
    let attributes = ["k8s.node.name", "host.id", "multi_eni.eni.id", "multi_eni.eniattachment.name"];
    assert!(attributes.iter().all(|key| text(root, key).is_some()), "{root:#?}");
    let create = &spans[1];
    assert_eq!(
        (text(create, "rpc.system"), text(create, "rpc.method")),
        (Some("aws-api"), Some("CreateNetworkInterface"))
    );
    assert_eq!((text(create, "aws.request_id"), create.kind), (Some("request-9"), Kind::Client));
}

#[test]
fn a_refused_call_is_a_span_with_its_code_and_the_wait_after_it_has_the_reason() {
    let mut record = AttachRecord::begin(&attachment(), Some(ms(0)), ms(0));
    let failed = refused("CreateNetworkInterface", (0, 0, 50), "InsufficientFreeAddressesInSubnet");
    let first = record.call_ended(&failed, None);
    assert_eq!(shown(&first), [("EC2.CreateNetworkInterface", 0, 50, true)]);
    assert_eq!(text(&first[0], "error.type"), Some("InsufficientFreeAddressesInSubnet"));
    assert!(first[0].error.as_ref().is_some_and(|error| error.contains("no")));
    let long = CallError::Answered { code: "UnauthorizedOperation".to_owned(), message: "x".repeat(9_000) };
    let long = Ec2Call { error: Some(long), ..call("CreateNetworkInterface", (55, 55, 60)) };
    assert_eq!(record.clone().call_ended(&long, None)[0].error.as_ref().map(String::len), Some(500));
    let second = record.call_ended(&call("CreateNetworkInterface", (120_000, 120_000, 120_100)), Some("SubnetFull"));
    assert_eq!(shown(&second), [("wait", 50, 120_000, true), ("EC2.CreateNetworkInterface", 120_000, 120_100, true)]);
    assert_eq!(text(&second[0], "multi_eni.reason"), Some("SubnetFull"));
    assert_eq!(text(&second[0], "multi_eni.last_error"), Some("InsufficientFreeAddressesInSubnet"));
    // The wait after a call that succeeded names no error.
    let third = record.call_ended(&call("AttachNetworkInterface", (121_000, 121_000, 121_100)), Some("Attaching"));
    assert_eq!(text(&third[0], "multi_eni.last_error"), None);
}

#[test]
fn another_process_continues_the_trace_and_ends_it_with_the_same_root() {
    let mut first = AttachRecord::begin(&attachment(), Some(ms(5)), ms(5));
    let before = first.call_ended(&call("CreateNetworkInterface", (6, 6, 300)), None);
    let mut second = AttachRecord::begin(&attachment(), None, ms(9_000));
    let attach = second.call_ended(&call("AttachNetworkInterface", (9_001, 9_001, 9_500)), None);
    // What the first process did is no wait of the second one.
    assert_eq!(shown(&attach), [("EC2.AttachNetworkInterface", 9_001, 9_500, true)]);
    let end = second.ready(None, ms(12_000));
    let root = end.last().unwrap();
    // The creation of the object is known to the second only.
    assert_eq!((root.start, root.end, root.parent), (at(100), ms(12_000), None));
    assert!(before.iter().chain(&attach).all(|span| span.trace == root.trace && span.parent == Some(root.id)));
    assert_eq!(whole(&mut first).last().unwrap().id, root.id);
}

#[test]
fn the_trace_id_is_the_uid_without_dashes() {
    assert_eq!(format!("{:?}", TraceId::of(UID)), UID.replace('-', ""));
    let other = [TraceId::of("no-uuid"), TraceId::of("00000000-0000-0000-0000-000000000000"), TraceId::of("aé")];
    assert!(other.iter().all(|id| id.0.iter().any(|byte| *byte != 0)));
    assert!(other[0] != other[1] && other[1] != other[2] && other[0] == TraceId::of("no-uuid"));
}

#[test]
fn a_second_attach_begins_the_wait_anew() {
    let mut record = AttachRecord::begin(&attachment(), Some(ms(0)), ms(0));
    record.call_ended(&call("AttachNetworkInterface", (0, 0, 10)), None);
    assert_eq!(shown(&record.shown_attached(ms(1_000))), [("wait until attached", 10, 1_000, true)]);
    record.call_ended(&call("AttachNetworkInterface", (2_000, 2_000, 2_010)), None);
    assert_eq!(shown(&record.shown_attached(ms(3_000))), [("wait until attached", 2_010, 3_000, true)]);
}

#[test]
fn a_deletion_before_ready_ends_the_trace_with_an_error() {
    let record = AttachRecord::begin(&attachment(), Some(ms(0)), ms(0));
    let root = record.deleted(ms(700));
    assert_eq!(shown(std::slice::from_ref(&root)), [("attach ENI", 0, 700, false)]);
    assert!(root.error.is_some_and(|error| error.contains("deleted before")));
}

#[test]
fn the_number_of_spans_is_bounded_and_the_root_counts_the_others() {
    let mut record = AttachRecord::begin(&attachment(), Some(ms(0)), ms(0));
    let minute = |n: i64| (n * 60_000, n * 60_000, n * 60_000 + 10);
    let spans: usize = (1..=130)
        .map(|n| record.call_ended(&refused("CreateNetworkInterface", minute(n), "UnauthorizedOperation"), None).len())
        .sum();
    assert_eq!(spans, 200);
    let root = record.deleted(ms(8_000_000));
    assert!(root.attributes.contains(&("multi_eni.omitted_calls", Value::Whole(30))), "{root:#?}");
}

#[test]
fn adoptions_deletions_and_what_was_attached_before_get_no_trace() {
    assert!(AttachRecord::is_for(&attachment()));
    let adopted = Attachment { adopted: EniId::parse("eni-0123456789abcdef0").ok(), ..attachment() };
    let deleting = Attachment { deleting: Some(at(101)), ..attachment() };
    let unreadable = Attachment { unreadable: Some("broken".to_owned()), ..attachment() };
    let mut attached = attachment();
    let condition = |status| ConditionUpdate::new(types::ATTACHED, status, "Attached", "");
    set(&mut attached.status.conditions, ConditionUpdate::new(types::CREATED, true, "Created", ""), None, at(101));
    set(&mut attached.status.conditions, condition(true), None, at(102));
    let mut detached = attached.clone();
    set(&mut detached.status.conditions, condition(false), None, at(103));
    for (other, why) in [adopted, deleting, unreadable, attached, detached].iter().zip([
        "adopted",
        "deleting",
        "unreadable",
        "attached",
        "detached",
    ]) {
        assert!(!AttachRecord::is_for(other), "{why}");
    }
}

#[test]
fn no_span_ends_before_it_begins() {
    let mut record = AttachRecord::begin(&attachment(), Some(ms(1_000)), ms(1_000));
    let mut spans = record.call_ended(&call("AttachNetworkInterface", (1_000, 1_000, 900)), None);
    spans.extend(record.ready(None, ms(500)));
    assert!(spans.iter().all(|span| span.end >= span.start), "{spans:#?}");
}
