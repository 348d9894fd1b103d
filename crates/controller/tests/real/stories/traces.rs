//! The traces that the controller sends to an OpenTelemetry collector: one for each ENI, from the label of the Node to Ready.

use super::nodeeni;
use crate::harness::account::{GROUP, SUBNET_A};
use crate::harness::prometheus::Scrapes;
use crate::harness::{CollectedSpan, Collector, Environment, Failure, SOON};
use multi_eni_sim::ec2::{Fault, FaultRule};
use std::time::Duration;

const INSTANCE: &str = "i-0aaaaaaaaaaaaaaa1";
/// A killed leader's Lease ends after 15 s.
const LEASE: Duration = Duration::from_secs(20);
const CREATE: &str = "EC2.CreateNetworkInterface";
const ATTACH: &str = "EC2.AttachNetworkInterface";
/// Begins when EC2 shows the ENI attached, and may end after Ready.
const MODIFY: &str = "EC2.ModifyNetworkInterfaceAttribute";

/// A node and a NodeENI for it, and a replica that sends traces to `collector`. The node has no label yet.
fn set(collector: &str) -> Result<Environment, Failure> {
    let mut environment = Environment::start()?;
    environment.start_replica(&[("OTEL_EXPORTER_OTLP_ENDPOINT", collector)])?;
    environment.node("node1", INSTANCE)?;
    let spec = [format!("subnetID: {SUBNET_A}"), format!("securityGroupIDs: [{GROUP}]")];
    environment.apply(&nodeeni("one", &spec.each_ref().map(String::as_str)))?;
    Ok(environment)
}

fn label(environment: &Environment) -> Result<(), Failure> {
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    Ok(())
}

/// Waits for the root span and for the Modify, which follow Ready. Returns all spans.
fn trace(environment: &Environment, collector: &Collector) -> Result<Vec<CollectedSpan>, Failure> {
    environment.until("the root and the Modify", SOON, || {
        let spans = collector.spans();
        let is_whole = spans.iter().any(|span| span.parent.is_empty()) && spans.iter().any(|span| span.name == MODIFY);
        if is_whole { Ok(spans) } else { Err(format!("{spans:#?}").into()) }
    })
}

/// Asserts that the spans are one trace with one root, that the trace has the UID of the ENIAttachment, and that each span lies
/// within the root's time. Returns the root.
fn one_trace(environment: &Environment, spans: &[CollectedSpan]) -> Result<CollectedSpan, Failure> {
    let uid = environment.get(&["eniattachments"])?["items"][0]["metadata"]["uid"]
        .as_str()
        .unwrap_or_default()
        .replace('-', "");
    let roots: Vec<&CollectedSpan> = spans.iter().filter(|span| span.parent.is_empty()).collect();
    let [root] = &roots[..] else { return Err(environment.failed(&format!("roots: {roots:#?}"))) };
    environment.assert_eq("name of the root", root.name.as_str(), "attach ENI");
    environment.assert_eq("the trace", root.trace.as_str(), uid.as_str());
    for span in spans.iter().filter(|span| !span.parent.is_empty()) {
        environment.assert_eq(&span.name, (&span.trace, &span.parent), (&root.trace, &root.id));
        let is_inside =
            span.start >= root.start && (span.end <= root.end || span.name == MODIFY && span.start <= root.end);
        assert!(is_inside, "{span:#?}\n{root:#?}");
    }
    Ok((*root).clone())
}

#[test]
fn one_attachment_is_one_trace_and_a_refused_call_is_in_it() -> Result<(), Failure> {
    let collector = Collector::open()?;
    let environment = set(&collector.endpoint)?;
    environment.account.ec2.inject(FaultRule::on("AttachNetworkInterface", Fault::Throttle).once());
    label(&environment)?;
    environment.condition("one", "Ready", "True", SOON)?;
    let spans = trace(&environment, &collector)?;
    let root = one_trace(&environment, &spans)?;
    // Waits depend on the machine's speed.
    let steps: Vec<&str> = spans
        .iter()
        .map(|span| span.name.as_str())
        .filter(|name| !name.starts_with("wait") && *name != root.name)
        .collect();
    let expected = ["store ENIAttachment", CREATE, ATTACH, ATTACH, MODIFY, "store Ready"];
    let (mut found, mut sorted) = (steps.clone(), expected.to_vec());
    // The last two begin at the same moment.
    found[4..].sort_unstable();
    sorted[4..].sort_unstable();
    environment.assert_eq("steps in their order", found, sorted);
    environment.assert_eq("until attached", spans.iter().filter(|span| span.name == "wait until attached").count(), 1);

    let attaches: Vec<&CollectedSpan> = spans.iter().filter(|span| span.name == ATTACH).collect();
    let code = |span: &CollectedSpan| (span.is_error, span.attributes.get("error.type").cloned());
    environment.assert_eq("the refused Attach", code(attaches[0]), (true, Some("RequestLimitExceeded".to_owned())));
    environment.assert_eq("the other Attach", code(attaches[1]), (false, None));
    let has = |span: &CollectedSpan, key: &str, value: &str| {
        environment.assert_eq(key, span.attributes.get(key).map(String::as_str), Some(value));
    };
    has(attaches[1], "rpc.system", "aws-api");
    has(attaches[1], "rpc.method", "AttachNetworkInterface");
    assert!(attaches[1].attributes.contains_key("aws.request_id"), "{:#?}", attaches[1]);
    has(&root, "k8s.node.name", "node1");
    has(&root, "host.id", INSTANCE);
    has(&root, "multi_eni.eni.id", &environment.account.created().into_iter().next().unwrap_or_default());
    environment.assert_eq("service", root.service.as_str(), "multi-eni");

    let mut scrapes = Scrapes::default();
    scrapes.scrape(&environment, 0)?;
    let exported = scrapes.value("multi_eni_trace_spans_total", &[("result", "exported")]);
    environment.assert_eq("exported spans", exported, spans.len() as f64);
    // What follows Ready belongs to no trace of an attachment: a removal.
    environment.kubectl(&["delete", "nodeeni", "one", "--timeout=60s"])?;
    environment.clean(SOON)?;
    std::thread::sleep(Duration::from_secs(2));
    environment.assert_eq("spans after the removal", collector.spans().len(), spans.len());
    environment.passed();
    Ok(())
}

#[test]
fn a_process_that_is_killed_has_sent_its_spans_and_the_next_one_ends_the_trace() -> Result<(), Failure> {
    let collector = Collector::open()?;
    let mut environment = set(&collector.endpoint)?;
    let slow = Fault::SlowAnswer(Duration::from_secs(60));
    environment.account.ec2.inject(FaultRule::on("AttachNetworkInterface", slow).once());
    label(&environment)?;
    environment.until("the Create's span", SOON, || {
        let spans = collector.spans();
        if spans.iter().any(|span| span.name == CREATE) { Ok(()) } else { Err(format!("{spans:#?}").into()) }
    })?;
    environment.assert_eq("roots", collector.spans().iter().filter(|span| span.parent.is_empty()).count(), 0);
    for mut replica in environment.replicas.drain(..) {
        replica.kill9();
    }
    environment.start_replica(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint)])?;
    environment.condition("one", "Ready", "True", SOON + LEASE)?;
    let spans = trace(&environment, &collector)?;
    let roots: Vec<&CollectedSpan> = spans.iter().filter(|span| span.parent.is_empty()).collect();
    environment.assert_eq("roots", roots.len(), 1);
    let strangers: Vec<&CollectedSpan> = spans.iter().filter(|span| span.trace != roots[0].trace).collect();
    assert!(strangers.is_empty(), "{strangers:#?}");
    environment.assert_eq("Creates", spans.iter().filter(|span| span.name == CREATE).count(), 1);
    environment.kubectl(&["delete", "nodeeni", "one", "--timeout=60s"])?;
    environment.clean(SOON)?;
    environment.passed();
    Ok(())
}

#[test]
fn a_collector_that_is_away_stops_nothing() -> Result<(), Failure> {
    // A port that nothing listens on any more.
    let closed = Collector::open()?.endpoint;
    let mut environment = set(&closed)?;
    label(&environment)?;
    environment.condition("one", "Ready", "True", SOON)?;
    environment.until("the line of the log", SOON, || {
        let log = environment.replicas[0].log();
        let lines = log.lines().filter(|line| line.contains("the OpenTelemetry collector takes no spans")).count();
        if lines == 1 { Ok(()) } else { Err(format!("{lines} lines").into()) }
    })?;
    environment.kubectl(&["delete", "nodeeni", "one", "--timeout=60s"])?;
    environment.clean(SOON)?;
    let status = environment.replicas[0].sigterm(Duration::from_secs(5))?;
    environment.assert_eq("exit", status.code(), Some(0));
    let log = environment.replicas[0].log();
    let lines = log.lines().filter(|line| line.contains("the OpenTelemetry collector takes no spans")).count();
    environment.assert_eq("lines of the log", lines, 1);
    environment.passed();
    Ok(())
}
