//! Compares docs/reference/metrics.md with the metrics that are registered. `MULTI_ENI_UPDATE_DOCS=1 cargo test -p
//! multi-eni-controller reference_docs` writes its table.

use super::description::{Kind, Metric, Stability};
use super::page::all;
use super::{
    Counted, Ec2Numbers, NodeEniNumbers, OrphanVerdicts, Page, ProcessNumbers, Role, Snapshot, Span, SpanNumbers,
};
use multi_eni_ec2::{RateStatus, RequestStats, Resync, ResyncStats};
use multi_eni_plan::write_history::Write;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

const BEGIN: &str =
    "<!-- made from the code: MULTI_ENI_UPDATE_DOCS=1 cargo test -p multi-eni-controller reference_docs -->\n";

/// The name of the time series, and of the metric in PromQL.
fn series(metric: &Metric) -> String {
    match metric.kind {
        Kind::Counter => format!("{}_total", metric.name),
        Kind::Gauge | Kind::Histogram => metric.name.to_owned(),
    }
}

fn type_of(metric: &Metric) -> &'static str {
    match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    }
}

fn table() -> String {
    let mut out = "| name | type | labels | meaning | stability |\n|---|---|---|---|---|\n".to_owned();
    for metric in all() {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let stability = match metric.stability {
            Stability::Stable => "stable",
            Stability::Alpha => "alpha",
        };
        let (name, kind, labels) = (series(metric), type_of(metric), labels.join(", "));
        writeln!(out, "| `{name}` | {kind} | {labels} | {} | {stability} |", metric.help).unwrap();
    }
    out
}

#[test]
fn the_reference_has_every_metric_as_it_is_registered() {
    multi_eni_generated_docs::compare_or_write("docs/reference/metrics.md", BEGIN, &table()).unwrap();
}

#[test]
fn names_have_a_prefix_and_a_unit_and_no_two_collide() {
    let mut seen = BTreeSet::new();
    for metric in all() {
        let name = metric.name;
        assert!(name.starts_with("multi_eni_") || name.starts_with("process_"), "{name}");
        assert!(!name.ends_with("_total") && !name.contains("__"), "{name}");
        assert!(metric.kind != Kind::Histogram || metric.unit().is_some_and(|(_, unit)| unit == "seconds"), "{name}");
        assert!(
            !metric.help.contains(['"', '\\', '\n', '|']) && !metric.help.ends_with('.'),
            "{name}: {}",
            metric.help
        );
        // What OpenMetrics appends to the name of a metric must not give the name of another one.
        let suffixes: &[&str] = match metric.kind {
            Kind::Counter => &["", "_total", "_created"],
            Kind::Gauge => &[""],
            Kind::Histogram => &["", "_sum", "_count", "_bucket", "_created"],
        };
        for suffix in suffixes {
            assert!(seen.insert(format!("{name}{suffix}")), "{name}{suffix} is there twice");
        }
    }
}

fn moved(counted: &Counted) {
    counted.lease.became(Role::Leader);
    counted.lease.became(Role::Standby);
    counted.lease.renewed(0.02);
    counted.lease.not_renewed();
    let attachments = &counted.attachments;
    for span in [Span::LabelToAttach, Span::CreateToAttached, Span::DetachToDeleted] {
        attachments.took(span, 2.0);
    }
    attachments.forced_detaches.count(["orphan"]);
    attachments.adoptions.count([]);
    attachments.in_place_changes.count(["tags", "drift"]);
    counted.api.sent(Write::CreateAttachment);
    counted.api.conflicted(Write::CreateAttachment);
    counted.api.refused(Write::ReportNodeEni, Some(422));
    counted.api.watch_restarts.count(["Node"]);
    counted.reconciles.count(["Node"]);
    counted.reconcile_errors.count(["Node"]);
    counted.orphan_actions.count(["delete"]);
}

fn page(counted: &Counted) -> Page<'_> {
    let mut requests = RequestStats::default();
    requests.by_code.insert(("CreateTags", "ok".to_owned()), 7);
    let mut took = multi_eni_ec2::Histogram::new(&[1.0]);
    took.observe(0.1);
    requests.durations.insert(("CreateTags", "ok".to_owned()), took);
    let last = Resync { began: jiff::Timestamp::MAX, took: Duration::from_secs(1), enis: 5, pages: 1, unchanged: 4 };
    Page {
        counted,
        leading: 1,
        wrong_place: 1,
        waiting: 3,
        orphans_held: 11,
        fenced: vec![("ec2", 1), ("api_server", 2)],
        ec2: Some(Ec2Numbers {
            calls: BTreeMap::from([("CreateTags", 7)]),
            requests,
            limits: vec![RateStatus { action: "CreateTags", rate: 8.0, waiting: 2, throttles: 1 }],
            unreadable: BTreeMap::from([("NetworkInterface", 1)]),
            resyncs: ResyncStats { last: Some(last), completed: 2, failed: 1 },
            age: Some(30.5),
        }),
        snapshot: Some(Snapshot {
            nodeenis: vec![NodeEniNumbers { name: "a".to_owned(), desired: 4, attached: 3, ready: 2, failed: 1 }],
            attachments: BTreeMap::from([(("Attached".to_owned(), "Ready".to_owned()), 3)]),
            depths: vec![("Node", 1)],
            oldest: vec![("Node", 0.5)],
            gates: vec![("quota", 1)],
            backoffs: vec![("ec2_call", 1)],
            orphans: OrphanVerdicts { suspected: 11, detach: 0, delete: 0, foreign: 1, held: 11 },
        }),
        spans: Some(SpanNumbers { exported: 7, dropped: 1 }),
        process: Some(ProcessNumbers {
            cpu: 1.0,
            memory: 4096,
            virtual_memory: 8192,
            open_fds: 9,
            max_fds: Some(1024),
            start: 1.7e9,
        }),
    }
}

/// The values of each time series, without the lines of a histogram's buckets.
fn values(text: &str) -> BTreeMap<String, Vec<f64>> {
    let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.contains("le=\"")) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let name = series.split('{').next().unwrap();
        values.entry(name.to_owned()).or_default().push(value.parse().unwrap());
    }
    values
}

#[test]
fn every_metric_is_written_with_its_type_and_moves_and_no_other_is_written() {
    let counted = Counted::default();
    moved(&counted);
    let text = page(&counted).text().unwrap();
    let expected: BTreeSet<String> =
        all().map(|metric| format!("# TYPE {} {}", metric.name, type_of(metric))).collect();
    let types: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE ")).collect();
    assert_eq!(types.iter().map(|line| (*line).to_owned()).collect::<BTreeSet<_>>(), expected);
    assert_eq!(types.len(), expected.len(), "each metric is described once:\n{text}");
    let values = values(&text);
    for metric in all() {
        let name = match metric.kind {
            Kind::Counter | Kind::Gauge => series(metric),
            Kind::Histogram => format!("{}_count", metric.name),
        };
        let moved = values.get(&name).is_some_and(|values| values.iter().any(|value| *value > 0.0));
        assert!(moved, "{name} is zero or missing:\n{text}");
        // A comma and the labels in their order, or no label at all.
        let line =
            text.lines().find(|line| line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name} ")));
        let labels: Vec<&str> = line.and_then(|line| line.split_once('{')).map_or(Vec::new(), |(_, rest)| {
            rest.split(',').filter_map(|label| Some(label.split_once('=')?.0)).collect()
        });
        assert_eq!(labels, metric.labels, "{name}: {line:?}");
    }
}

#[test]
fn a_standby_shows_no_numbers_of_a_leader() {
    let counted = Counted::default();
    let all = page(&counted);
    let standby = Page { leading: 0, ec2: None, snapshot: None, ..all };
    let text = standby.text().unwrap();
    assert!(text.contains("\nmulti_eni_leading 0\n") && text.ends_with("# EOF\n"), "{text}");
    for absent in ["multi_eni_nodeeni_", "multi_eni_ec2_", "multi_eni_cache_", "multi_eni_gates"] {
        assert!(!text.contains(absent), "{absent}:\n{text}");
    }
}
