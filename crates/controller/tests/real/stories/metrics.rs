//! What an SRE sees: each metric of the reference, parsed by Prometheus' own client; the Events of an ENIAttachment; the log.

use super::nodeeni;
use crate::harness::account::{GROUP, SUBNET_A, SUBNET_B};
use crate::harness::prometheus::Scrapes;
use crate::harness::{Environment, Failure, SOON};
use multi_eni_sim::ec2::Fault;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

const REFERENCE: &str = include_str!("../../../../../docs/reference/metrics.md");
const INSTANCE: &str = "i-0aaaaaaaaaaaaaaa1";

/// The metrics that this story does not move, and the test that moves each: its file, and the name of the function. All of them
/// are also in `metrics::reference_docs::every_metric_is_written_with_its_type_and_moves_and_no_other_is_written`, which sets the
/// numbers itself.
const MOVED_ELSEWHERE: &[(&str, &str, &str)] = &[
    (
        "multi_eni_adoptions",
        "controller/tests/real/stories/lost.rs",
        "enis_whose_eniattachments_are_lost_are_adopted_in_place",
    ),
    ("multi_eni_api_write_conflicts", BENCH, "conflicts_and_broken_watches_are_counted"),
    (
        "multi_eni_api_writes_refused",
        "controller/tests/real/stories/refusals.rs",
        "writes_that_a_policy_refuses_back_off_and_succeed_when_it_is_gone",
    ),
    ("multi_eni_cache_resync_unchanged_enis", BENCH, "enis_that_are_not_parsed_again_are_counted"),
    ("multi_eni_ec2_calls_waiting", BENCH, "calls_that_wait_for_the_rate_limiter_are_counted"),
    (
        "multi_eni_ec2_unreadable_items",
        "ec2/src/convert/recorded_answers_tests.rs",
        "subnets_and_groups_without_tags_or_a_block_and_one_without_an_id",
    ),
    ("multi_eni_fence_refusals", BENCH, LEASE),
    ("multi_eni_forced_detaches", BENCH, "forced_detaches_are_counted_apart_for_attachments_and_orphans"),
    ("multi_eni_lease_renewal_failures", BENCH, LEASE),
    ("multi_eni_orphan_actions", BENCH, "orphans_are_counted_by_verdict_and_logged"),
    ("multi_eni_orphans", BENCH, "orphans_are_counted_by_verdict_and_logged"),
    ("multi_eni_orphans_held", BENCH, "orphans_are_counted_by_verdict_and_logged"),
    (
        "multi_eni_trace_spans",
        "controller/tests/real/stories/traces.rs",
        "one_attachment_is_one_trace_and_a_refused_call_is_in_it",
    ),
    ("multi_eni_watch_restarts", BENCH, "conflicts_and_broken_watches_are_counted"),
    ("multi_eni_wrong_place", BENCH, "another_region_is_shown"),
];

const BENCH: &str = "bench/tests/metrics.rs";
const LEASE: &str = "a_lease_that_cannot_be_renewed_and_what_the_fence_refuses_are_counted";

/// The gate of permissions lets one call try each minute.
const LONG: Duration = Duration::from_secs(120);

/// The metrics in the table of the reference: the name without `_total`, and the type.
fn documented() -> BTreeMap<String, String> {
    let (_, table) = REFERENCE.split_once("|---|---|---|---|---|\n").unwrap_or_default();
    let (table, _) = table.split_once("<!-- end of the table -->").unwrap_or_default();
    let row = |line: &str| {
        let mut cells = line.split('|').skip(1).map(|cell| cell.trim().trim_matches('`'));
        let (name, kind) = (cells.next()?, cells.next()?);
        let name = if kind == "counter" { name.strip_suffix("_total")? } else { name };
        Some((name.to_owned(), kind.to_owned()))
    };
    table.lines().filter_map(row).collect()
}

fn spec(name: &str, index: u32) -> String {
    let spec =
        [format!("subnetID: {SUBNET_A}"), format!("securityGroupIDs: [{GROUP}]"), format!("deviceIndex: {index}")];
    nodeeni(name, &spec.each_ref().map(String::as_str))
}

/// Waits until `kubectl describe` shows an Event of this type with these words for the only ENIAttachment of a NodeENI.
fn has_event(environment: &Environment, nodeeni: &str, kind: &str, words: &[&str]) -> Result<(), Failure> {
    environment.until(&format!("a {kind} Event of the ENIAttachment of {nodeeni} with {words:?}"), LONG, || {
        let list = environment.get(&["eniattachments"])?;
        let items = list["items"].as_array().cloned().unwrap_or_default();
        let of_it = items.iter().find(|item| item["spec"]["nodeENIName"] == nodeeni);
        let name = of_it.and_then(|item| item["metadata"]["name"].as_str()).ok_or("no ENIAttachment yet")?;
        let described = environment.kubectl(&["describe", "eniattachment", name])?;
        let events = described.rsplit_once("\nEvents:").map_or("", |(_, events)| events);
        let found = events.lines().any(|line| line.contains(kind) && words.iter().all(|word| line.contains(word)));
        if found { Ok(()) } else { Err(described.into()) }
    })
}

/// The first line of the log about an EC2 call of this action with this code.
fn found_line(environment: &Environment, action: &str, code: &str) -> Option<Value> {
    let log = environment.replicas[0].log();
    let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.find(|line| line["message"] == "EC2 call" && line["action"] == action && line["code"] == code)
}

/// The same; a failure if the log has no such line.
fn call_line(environment: &Environment, action: &str, code: &str) -> Result<Value, Failure> {
    let missing = || environment.failed(&format!("no JSON line of the log is about {action} with the code {code}"));
    found_line(environment, action, code).ok_or_else(missing)
}

/// Asserts that a line about one ENI has all that an operator needs to find the call in CloudTrail.
fn is_complete(line: &Value) {
    assert!(line["request_id"].is_string() && line["level"] == "INFO" && line["ms"].is_u64(), "{line:#}");
    assert_eq!(line["node"], "node1", "{line:#}");
}

#[test]
fn every_metric_is_parsed_by_prometheus_client_and_moves() -> Result<(), Failure> {
    let mut environment = Environment::with_a_controller()?;
    let mut scrapes = Scrapes::default();
    environment.node("node1", INSTANCE)?;
    // While a Create is under way, its key is in the work queue.
    let slow = environment.account.inject_once("CreateNetworkInterface", Fault::SlowAnswer(Duration::from_secs(5)));
    environment.apply(&spec("good", 1))?;
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    slow.recv_timeout(SOON).map_err(|e| environment.failed(&format!("no Create: {e}")))?;
    std::thread::sleep(Duration::from_millis(200));
    scrapes.scrape(&environment, 0)?;
    environment.assert_eq("the key", scrapes.value("multi_eni_work_queue_depth", &[("kind", "ENIAttachment")]), 1.0);
    let throttled = environment.account.inject_once("AttachNetworkInterface", Fault::Throttle);
    throttled.recv_timeout(SOON).map_err(|e| environment.failed(&format!("no Attach: {e}")))?;
    environment.condition("good", "Ready", "True", SOON)?;
    environment.idle()?;
    scrapes.scrape(&environment, 0)?;
    let good = |name: &str| scrapes.value(&format!("multi_eni_nodeeni_{name}"), &[("nodeeni", "good")]);
    environment.assert_eq("good", ["desired", "attached", "ready", "failed"].map(good), [1.0, 1.0, 1.0, 0.0]);
    let attached = scrapes.value("multi_eni_eniattachments", &[("phase", "Attached"), ("reason", "Ready")]);
    environment.assert_eq("ENIAttachments that are attached", attached, 1.0);
    for span in ["label_to_attach", "create_to_attached"] {
        let count = scrapes.value(&format!("multi_eni_eniattachment_{span}_seconds_count"), &[]);
        environment.assert_eq(span, count, 1.0);
    }
    let throttles = [("action", "AttachNetworkInterface"), ("code", "RequestLimitExceeded")];
    environment.assert_eq("throttled Attaches", scrapes.value("multi_eni_ec2_requests_total", &throttles), 1.0);

    let line = call_line(&environment, "CreateNetworkInterface", "ok")?;
    let eni = environment.account.created().into_iter().next().unwrap_or_default();
    environment.assert_eq("the line names the ENI", line["eni"].as_str(), Some(eni.as_str()));
    is_complete(&line);

    // A refused NodeENI: a failure, a closed gate, a back-off, a Warning.
    environment.account.ec2.deny("CreateNetworkInterface");
    environment.apply(&spec("denied", 2))?;
    let (reason, message) = environment.condition("denied", "Degraded", "True", SOON)?;
    environment.assert_eq("reason", reason.as_str(), "Unauthorized");
    has_event(&environment, "denied", "Warning", &["Blocked", "Unauthorized", "ec2:CreateNetworkInterface"])?;
    // Only the log has the part of EC2's message that an operator decodes.
    let line = call_line(&environment, "CreateNetworkInterface", "UnauthorizedOperation")?;
    is_complete(&line);
    let encoded = "Encoded authorization failure message:";
    assert!(line["error"].as_str().is_some_and(|error| error.contains(encoded)), "{line:#}");
    let conditions: Vec<Value> = environment.get(&["eniattachments"])?["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|o| o["status"]["conditions"].clone())
        .collect();
    assert!(
        !message.contains("Encoded") && !Value::from(conditions.clone()).to_string().contains("Encoded"),
        "{message} {conditions:#?}"
    );
    scrapes.scrape(&environment, 0)?;
    for (name, label) in [
        ("multi_eni_nodeeni_failed", ("nodeeni", "denied")),
        ("multi_eni_gates_closed", ("kind", "permission")),
        ("multi_eni_backoffs", ("of", "ec2_call")),
    ] {
        environment.assert_eq(name, scrapes.value(name, &[label]), 1.0);
    }
    environment.account.ec2.allow("CreateNetworkInterface");
    has_event(&environment, "denied", "Normal", &["Unblocked", "Attaching"])?;
    environment.condition("denied", "Ready", "True", LONG)?;
    environment.kubectl(&["delete", "nodeeni", "denied", "--timeout=60s"])?;
    environment.until("no time series of the deleted NodeENI", SOON, || {
        scrapes.scrape(&environment, 0)?;
        let left = scrapes.last.iter().find(|(_, labels, _)| labels["nodeeni"] == "denied");
        left.map_or(Ok(()), |series| Err(format!("{series:?}").into()))
    })?;

    for action in [
        "AttachNetworkInterface",
        "ModifyNetworkInterfaceAttribute",
        "DetachNetworkInterface",
        "DeleteNetworkInterface",
    ] {
        let line = call_line(&environment, action, "ok")?;
        is_complete(&line);
        assert!(line["eni"].as_str().is_some_and(|eni| eni.starts_with("eni-")), "{line:#}");
    }

    // A Describe is logged at level info only if EC2 denies it.
    environment.account.ec2.deny("DescribeSubnets");
    environment.apply(&nodeeni("unseen", &[&format!("subnetID: {SUBNET_B}"), "deviceIndex: 3"]))?;
    environment.until("a line about the denied DescribeSubnets", SOON, || {
        let line = found_line(&environment, "DescribeSubnets", "UnauthorizedOperation").ok_or("no line")?;
        let is_whole = line["level"] == "INFO" && line["error"].as_str().is_some_and(|error| error.contains(encoded));
        if is_whole { Ok(()) } else { Err(format!("{line:#}").into()) }
    })?;
    environment.kubectl(&["delete", "nodeeni", "unseen", "--timeout=60s"])?;
    environment.account.ec2.allow("DescribeSubnets");

    // The resync of a new process shows the ENI.
    environment.crash()?;
    environment.until("a resync", SOON, || {
        scrapes.scrape(&environment, 0)?;
        let enis = scrapes.value("multi_eni_cache_resync_enis", &[]);
        if enis == 1.0 { Ok(()) } else { Err(format!("{enis} ENIs").into()) }
    })?;
    environment.kubectl(&["delete", "nodeeni", "good", "--timeout=60s"])?;
    environment.clean(SOON)?;
    scrapes.scrape(&environment, 0)?;
    let deleted = scrapes.value("multi_eni_eniattachment_detach_to_deleted_seconds_count", &[]);
    environment.assert_eq("measured deletions", deleted, 1.0);

    all_moved(&environment, &scrapes);
    environment.passed();
    Ok(())
}

/// Asserts that each metric of the reference has the type that the page has, that no other is on the page, and that each moved.
fn all_moved(environment: &Environment, scrapes: &Scrapes) {
    let documented = documented();
    assert!(documented.len() > 40, "{documented:#?}");
    for (name, kind) in &scrapes.types {
        environment.assert_eq(&format!("type of {name} in the reference"), documented.get(name), Some(kind));
    }
    let elsewhere: BTreeSet<&str> = MOVED_ELSEWHERE.iter().map(|(name, _, _)| *name).collect();
    for (name, file, test) in MOVED_ELSEWHERE {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(text.contains(&format!("fn {test}(")), "{name}: {} has no test {test}", path.display());
    }
    let unmoved: Vec<&String> =
        documented.keys().filter(|name| !scrapes.moved.contains(*name) && !elsewhere.contains(name.as_str())).collect();
    environment.assert_eq("metrics that did not move", unmoved, Vec::new());
    let unknown: Vec<&&str> = elsewhere.iter().filter(|name| !documented.contains_key(**name)).collect();
    environment.assert_eq("metrics that do not exist", unknown, Vec::new());
}
