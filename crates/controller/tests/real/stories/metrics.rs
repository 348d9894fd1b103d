//! What an SRE sees: each metric of the reference, parsed by Prometheus' own client; the Events of an ENIAttachment; the log.

use super::nodeeni;
use crate::harness::account::{GROUP, SUBNET_A};
use crate::harness::prometheus::Scrapes;
use crate::harness::{Environment, Failure, SOON};
use multi_eni_sim::ec2::Fault;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const REFERENCE: &str = include_str!("../../../../../docs/reference/metrics.md");
const INSTANCE: &str = "i-0aaaaaaaaaaaaaaa1";

/// The metrics that this story does not move, and the test that moves each. All of them move in
/// `metrics::reference_docs::every_metric_is_written_with_its_type_and_moves_and_no_other_is_written`, too.
const MOVED_ELSEWHERE: &[(&str, &str)] = &[
    ("multi_eni_adoptions", "stories::lost::enis_whose_eniattachments_are_lost_are_adopted_in_place"),
    ("multi_eni_api_write_conflicts", "the test above"),
    (
        "multi_eni_api_writes_refused",
        "stories::refusals::writes_that_a_policy_refuses_back_off_and_succeed_when_it_is_gone",
    ),
    ("multi_eni_ec2_calls_waiting", "metrics::ec2::a_metric_is_described_once_and_has_a_line_for_each_action"),
    ("multi_eni_ec2_unreadable_items", "the test above"),
    (
        "multi_eni_fence_refusals",
        "leader_election::fence::a_call_is_allowed_only_if_its_timeout_ends_before_the_deadline",
    ),
    ("multi_eni_forced_detaches", "the test above"),
    ("multi_eni_lease_renewal_failures", "the test above"),
    ("multi_eni_orphans", "the test above"),
    ("multi_eni_orphans_held", "the test above"),
    ("multi_eni_trace_spans", "stories::traces::one_attachment_is_one_trace_and_a_refused_call_is_in_it"),
    ("multi_eni_watch_restarts", "watch::retry::each_resumption_of_a_watch_is_counted_by_its_kind"),
    ("multi_eni_wrong_place", "the test above"),
];

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

/// The line of the log about the Create that succeeded.
fn create_line(log: &str) -> Option<Value> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut creates = lines.filter(|line| line["message"] == "EC2 call" && line["action"] == "CreateNetworkInterface");
    creates.find(|line| line["code"] == "ok")
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

    let line = create_line(&environment.replicas[0].log());
    let line = line.ok_or_else(|| environment.failed("no JSON line of the log is about the Create"))?;
    let eni = environment.account.created().into_iter().next().unwrap_or_default();
    environment.assert_eq("the line names the ENI", line["eni"].as_str(), Some(eni.as_str()));
    environment.assert_eq("the line names the node", line["node"].as_str(), Some("node1"));
    assert!(line["request_id"].is_string() && line["level"] == "INFO" && !line["ms"].is_null(), "{line:#}");

    // A refused NodeENI: a failure, a closed gate, a back-off, a Warning.
    environment.account.ec2.deny("CreateNetworkInterface");
    environment.apply(&spec("denied", 2))?;
    let (reason, _) = environment.condition("denied", "Degraded", "True", SOON)?;
    environment.assert_eq("reason", reason.as_str(), "Unauthorized");
    has_event(&environment, "denied", "Warning", &["Blocked", "Unauthorized", "ec2:CreateNetworkInterface"])?;
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
    let elsewhere: BTreeSet<&str> = MOVED_ELSEWHERE.iter().map(|(name, _)| *name).collect();
    let unmoved: Vec<&String> =
        documented.keys().filter(|name| !scrapes.moved.contains(*name) && !elsewhere.contains(name.as_str())).collect();
    environment.assert_eq("metrics that did not move", unmoved, Vec::new());
    let unknown: Vec<&&str> = elsewhere.iter().filter(|name| !documented.contains_key(**name)).collect();
    environment.assert_eq("metrics that do not exist", unknown, Vec::new());
}
