//! The traces of ENIs in virtual time: one trace for each ENI, from the decision to Ready, across a restart, and when the ENI never
//! comes.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what it needs")]

use multi_eni_bench::workload::run_isolated;
use multi_eni_bench::world::{World, nodeenis};
use multi_eni_otlp::SpanQueue;
use multi_eni_plan::attach_trace::{Span, TraceId, Value};
use multi_eni_sim::ec2::{Fault, FaultRule};
use multi_eni_sim::kube::GroupResource;
use std::collections::BTreeMap;
use tokio::sync::mpsc::Receiver;

const CREATE: &str = "EC2.CreateNetworkInterface";
const ATTACH: &str = "EC2.AttachNetworkInterface";
/// Begins when EC2 shows the ENI attached, and may end after Ready.
const MODIFY: &str = "EC2.ModifyNetworkInterfaceAttribute";

type Traces = BTreeMap<TraceId, Vec<Span>>;

/// A world of this many nodes whose controller makes spans.
async fn traced(nodes: u32) -> Result<(World, Receiver<Span>), String> {
    let mut world = World::open(nodes, 0.8).await?;
    let (spans, sent) = SpanQueue::with_capacity(10_000);
    world.spans = Some(spans);
    world.restart().await;
    world.pass(10).await;
    Ok((world, sent))
}

fn traces(sent: &mut Receiver<Span>) -> Traces {
    let mut traces = Traces::new();
    while let Ok(span) = sent.try_recv() {
        traces.entry(span.trace).or_default().push(span);
    }
    traces
}

/// The trace IDs that the ENIAttachments should have.
fn expected(world: &World) -> Vec<TraceId> {
    let objects = world.api.list(&GroupResource::new("networking.k8s.aws", "eniattachments"));
    let mut ids: Vec<TraceId> =
        objects.iter().map(|object| TraceId::of(object["metadata"]["uid"].as_str().unwrap_or_default())).collect();
    ids.sort_unstable();
    ids
}

/// Asserts that a trace has one root, that all other spans are its children, and that each lies within the root's time.
fn root(spans: &[Span]) -> &Span {
    let roots: Vec<&Span> = spans.iter().filter(|span| span.parent.is_none()).collect();
    assert_eq!(roots.len(), 1, "{spans:#?}");
    for span in spans.iter().filter(|span| span.parent.is_some()) {
        assert_eq!(span.parent, Some(roots[0].id), "{span:#?}");
        let begins_inside = (roots[0].start..=roots[0].end).contains(&span.start);
        assert!(begins_inside && (span.end <= roots[0].end || span.name == MODIFY), "{span:#?}\n{:#?}", roots[0]);
    }
    roots[0]
}

fn count(spans: &[Span], name: &str) -> usize {
    spans.iter().filter(|span| span.name == name).count()
}

fn code(span: &Span) -> Option<&str> {
    span.attributes.iter().find(|(key, _)| *key == "error.type").and_then(|(_, value)| match value {
        Value::Text(text) => Some(text.as_str()),
        Value::Whole(_) => None,
    })
}

#[test]
fn each_eni_is_one_trace_and_a_refused_call_is_in_it() {
    let result = run_isolated(|| async {
        let (world, mut sent) = traced(3).await?;
        world.ec2.inject(FaultRule::on("AttachNetworkInterface", Fault::Throttle).once());
        world.apply(1)?;
        world.until_ready(3).await?;
        let (traces, expected) = (traces(&mut sent), expected(&world));
        // What comes after Ready has no span.
        world.api.delete(&nodeenis(), "", "pool-1").map_err(|error| error.to_string())?;
        world.pass(120).await;
        let later = sent.try_recv().is_ok();
        world.close().await;
        Ok((traces, expected, later))
    });
    let (traces, expected, later) = result.expect("the simulation fails");
    assert!(!later, "a span of a removal");
    assert_eq!(traces.keys().copied().collect::<Vec<_>>(), expected);
    for spans in traces.values() {
        let root = root(spans);
        assert!(root.error.is_none() && root.name == "attach ENI", "{root:#?}");
        for name in ["store ENIAttachment", CREATE, "wait until attached", MODIFY, "store Ready"] {
            assert_eq!(count(spans, name), 1, "{name}: {spans:#?}");
        }
    }
    let attaches: Vec<&Span> = traces.values().flatten().filter(|span| span.name == ATTACH).collect();
    let refused: Vec<&&Span> = attaches.iter().filter(|span| span.error.is_some()).collect();
    assert_eq!(
        (attaches.len(), refused.len(), code(refused[0])),
        (4, 1, Some("RequestLimitExceeded")),
        "{attaches:#?}"
    );
}

#[test]
fn the_next_process_continues_the_traces() {
    let result = run_isolated(|| async {
        let (mut world, mut sent) = traced(3).await?;
        world.apply(1)?;
        world.pass(1).await;
        let first = traces(&mut sent);
        world.restart().await;
        world.until_ready(3).await?;
        let expected = expected(&world);
        let mut whole = first.clone();
        traces(&mut sent).into_iter().for_each(|(trace, spans)| whole.entry(trace).or_default().extend(spans));
        world.close().await;
        Ok((first, whole, expected))
    });
    let (first, whole, expected) = result.expect("the simulation fails");
    assert_eq!(whole.keys().copied().collect::<Vec<_>>(), expected);
    assert!(first.values().flatten().all(|span| span.parent.is_some()), "a root before Ready: {first:#?}");
    assert_eq!(first.values().flatten().filter(|span| span.name == CREATE).count(), 3, "{first:#?}");
    for spans in whole.values() {
        let roots: Vec<&Span> = spans.iter().filter(|span| span.parent.is_none()).collect();
        assert_eq!((roots.len(), count(spans, CREATE)), (1, 1), "{spans:#?}");
        assert!(spans.iter().all(|span| span.parent.is_none_or(|parent| parent == roots[0].id)), "{spans:#?}");
    }
}

#[test]
fn an_eni_that_never_comes_is_a_trace_that_ends_with_the_deletion() {
    let result = run_isolated(|| async {
        let (world, mut sent) = traced(1).await?;
        world.ec2.deny("CreateNetworkInterface");
        world.apply(1)?;
        world.pass(120).await;
        let before = traces(&mut sent);
        world.api.delete(&nodeenis(), "", "pool-1").map_err(|error| error.to_string())?;
        world.pass(120).await;
        let after = traces(&mut sent);
        world.close().await;
        Ok((before, after))
    });
    let (before, after) = result.expect("the simulation fails");
    let calls: Vec<&Span> = before.values().flatten().filter(|span| span.name == CREATE).collect();
    assert!(calls.len() > 3 && calls.iter().all(|span| code(span) == Some("UnauthorizedOperation")), "{calls:#?}");
    let waits: Vec<&Span> = before.values().flatten().filter(|span| span.name == "wait").collect();
    let reason = ("multi_eni.reason", Value::from("Unauthorized"));
    assert!(waits.iter().any(|span| span.attributes.contains(&reason)), "{waits:#?}");
    let roots: Vec<&Span> = after.values().flatten().filter(|span| span.parent.is_none()).collect();
    assert!(roots.len() == 1 && roots[0].error.is_some() && before.contains_key(&roots[0].trace), "{roots:#?}");
}
