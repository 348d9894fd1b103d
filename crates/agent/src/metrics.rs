//! What the process shows at `/metrics` and `/readyz`. The loop notes it after each turn; nothing here decides.

use crate::node_agent::Turn;
use crate::status::agent_status;
use multi_eni_http_server::Pages;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

/// The metrics and the readiness of the process.
#[derive(Debug)]
pub struct AgentMetrics {
    registry: Registry,
    enis: Family<Reason, Gauge>,
    turns: Family<EndedAs, Counter>,
    steps: Family<StepLabels, Counter>,
    kernel_resyncs: Counter,
    watch_failures: Counter,
    status_writes: Family<EndedAs, Counter>,
    backoffs: Family<Of, Gauge>,
    /// Whether the first list of ENIAttachments is complete.
    is_synced: AtomicBool,
    /// Whether the last turn could observe the node.
    is_observed: AtomicBool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndedAs {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StepLabels {
    kind: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    of: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Version {
    version: &'static str,
}

/// The label value of something that succeeded or failed.
fn result(is_done: bool) -> &'static str {
    if is_done { "ok" } else { "failed" }
}

impl Default for AgentMetrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Registry::default(),
            enis: Family::default(),
            turns: Family::default(),
            steps: Family::default(),
            kernel_resyncs: Counter::default(),
            watch_failures: Counter::default(),
            status_writes: Family::default(),
            backoffs: Family::default(),
            is_synced: AtomicBool::new(false),
            is_observed: AtomicBool::new(false),
        };
        metrics.registered()
    }
}

impl AgentMetrics {
    /// Registers all metrics. `docs/reference/agent-metrics.md` has the same names and sentences.
    fn registered(mut self) -> Self {
        let build = Family::<Version, Gauge>::default();
        build.get_or_create(&Version { version: env!("CARGO_PKG_VERSION") }).set(1);
        for of in ["step", "status_write"] {
            self.backoffs.get_or_create(&Of { of }).set(0);
        }
        for ended in [true, false].map(|is_done| EndedAs { result: result(is_done) }) {
            // From the start, so that a rate can be computed from the first event on.
            self.turns.get_or_create(&ended).inc_by(0);
            self.status_writes.get_or_create(&ended).inc_by(0);
        }
        let out = &mut self.registry;
        out.register("multi_eni_agent_build_info", "Always 1. The label has the version of this binary", build);
        out.register(
            "multi_eni_agent_enis",
            "ENIs of this node by the reason of the condition Configured, after the last turn",
            self.enis.clone(),
        );
        out.register(
            "multi_eni_agent_turns",
            "Turns: the node is observed and set up. A turn that could not observe the node is failed",
            self.turns.clone(),
        );
        out.register(
            "multi_eni_agent_steps",
            "Steps that changed the node, by what they changed. A step that the kernel refused is failed",
            self.steps.clone(),
        );
        out.register(
            "multi_eni_agent_kernel_resyncs",
            "How often events of the kernel were lost, so that the whole node was read again",
            self.kernel_resyncs.clone(),
        );
        out.register(
            "multi_eni_agent_watch_failures",
            "How often the list or the watch of ENIAttachments failed",
            self.watch_failures.clone(),
        );
        out.register(
            "multi_eni_agent_status_writes",
            "Reports to the API server by their result",
            self.status_writes.clone(),
        );
        out.register(
            "multi_eni_agent_backoffs",
            "What waits longer each time: steps that another program undoes, and reports that failed",
            self.backoffs.clone(),
        );
        self
    }

    /// The first list of ENIAttachments is complete, or there is a file instead.
    pub fn synced(&self) {
        self.is_synced.store(true, Ordering::Relaxed);
    }

    /// The node could be observed, or not.
    pub fn observed(&self, is_observed: bool) {
        self.is_observed.store(is_observed, Ordering::Relaxed);
        self.turns.get_or_create(&EndedAs { result: result(is_observed) }).inc();
    }

    /// Counts the steps and the ENIs of a turn that could observe the node.
    pub fn took(&self, turn: &Turn) {
        for count in &turn.counts {
            let labels = StepLabels { kind: count.kind, result: result(count.is_done) };
            self.steps.get_or_create(&labels).inc_by(count.steps);
        }
        self.enis.clear();
        for report in &turn.reports {
            let reason = agent_status(report, &turn.failed, "").configured.reason;
            self.enis.get_or_create(&Reason { reason }).inc();
        }
    }

    /// Events of the kernel were lost.
    pub fn resynced(&self) {
        self.kernel_resyncs.inc();
    }

    /// The list or the watch failed.
    pub fn watch_failed(&self) {
        self.watch_failures.inc();
    }

    /// A report was written, or not.
    pub fn wrote(&self, is_written: bool) {
        self.status_writes.get_or_create(&EndedAs { result: result(is_written) }).inc();
    }

    /// How many steps and writes wait longer each time.
    pub fn backs_off(&self, steps: usize, writes: usize) {
        for (of, number) in [("step", steps), ("status_write", writes)] {
            self.backoffs.get_or_create(&Of { of }).set(i64::try_from(number).unwrap_or(i64::MAX));
        }
    }
}

impl Pages for AgentMetrics {
    async fn metrics(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    fn ready(&self) -> Result<String, String> {
        if !self.is_synced.load(Ordering::Relaxed) {
            Err("the first list of ENIAttachments is not complete".to_owned())
        } else if !self.is_observed.load(Ordering::Relaxed) {
            Err("the node could not be observed".to_owned())
        } else {
            Ok("the ENIs of this node are known, and the node is observed".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::{FailedStep, StepCount};
    use crate::plan::report::{EniReport, Outcome};
    use std::collections::BTreeMap;
    use std::fmt::Write as _;

    const BEGIN: &str =
        "<!-- made from the code: MULTI_ENI_UPDATE_DOCS=1 cargo test -p multi-eni-agent --lib metrics -->\n";

    /// A turn with one ENI that is as asked and one with a step that failed.
    fn turn() -> Turn {
        let report = |name: &str| EniReport {
            attachment: name.to_owned(),
            uid: name.to_owned(),
            generation: None,
            mac: None,
            link: None,
            outcome: Outcome::Configured,
        };
        let failed =
            FailedStep { attachment: Some("b".to_owned()), step: "add rule".to_owned(), error: "EPERM".to_owned() };
        let counts = [("route", true, 3), ("rule", false, 1)];
        Turn {
            failed: vec![failed],
            counts: counts.map(|(kind, is_done, steps)| StepCount { kind, is_done, steps }).to_vec(),
            reports: vec![report("a"), report("b")],
            ..Turn::default()
        }
    }

    fn text(metrics: &AgentMetrics) -> String {
        let mut text = String::new();
        encode(&mut text, &metrics.registry).unwrap();
        text
    }

    /// Metrics of which each one has moved.
    fn moved() -> AgentMetrics {
        let metrics = AgentMetrics::default();
        metrics.observed(true);
        metrics.took(&turn());
        metrics.resynced();
        metrics.watch_failed();
        metrics.wrote(true);
        metrics.backs_off(2, 1);
        metrics
    }

    #[test]
    fn a_turn_is_counted_by_steps_and_by_reasons() {
        let metrics = moved();
        metrics.took(&turn());
        let text = text(&metrics);
        for line in [
            "multi_eni_agent_enis{reason=\"Configured\"} 1",
            "multi_eni_agent_enis{reason=\"StepFailed\"} 1",
            "multi_eni_agent_steps_total{kind=\"route\",result=\"ok\"} 6",
            "multi_eni_agent_steps_total{kind=\"rule\",result=\"failed\"} 2",
            "multi_eni_agent_turns_total{result=\"ok\"} 1",
            "multi_eni_agent_kernel_resyncs_total 1",
            "multi_eni_agent_watch_failures_total 1",
            "multi_eni_agent_status_writes_total{result=\"ok\"} 1",
            "multi_eni_agent_status_writes_total{result=\"failed\"} 0",
            "multi_eni_agent_backoffs{of=\"step\"} 2",
            "multi_eni_agent_backoffs{of=\"status_write\"} 1",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{line}:\n{text}");
        }
        metrics.took(&Turn::default());
        assert!(!self::text(&metrics).contains("multi_eni_agent_enis{"), "an ENI that is gone is counted no more");
    }

    #[test]
    fn the_agent_is_ready_when_the_list_is_complete_and_the_node_can_be_observed() {
        let metrics = AgentMetrics::default();
        assert!(metrics.ready().unwrap_err().contains("list"));
        metrics.synced();
        assert!(metrics.ready().unwrap_err().contains("observed"));
        metrics.observed(true);
        assert!(metrics.ready().is_ok());
        metrics.observed(false);
        assert!(metrics.ready().is_err());
    }

    /// The names of the labels of a time series.
    fn labels(series: &str) -> Vec<String> {
        let (_, list) = series.split_once('{').unwrap_or_default();
        list.split(',').filter_map(|label| Some(format!("`{}`", label.split_once('=')?.0))).collect()
    }

    #[test]
    fn the_reference_has_every_metric_as_it_is_registered() {
        let text = text(&moved());
        let word = |line: &str, before: &str| -> Option<(String, String)> {
            let (name, word) = line.strip_prefix(before)?.split_once(' ')?;
            Some((name.to_owned(), word.to_owned()))
        };
        let types: BTreeMap<String, String> = text.lines().filter_map(|line| word(line, "# TYPE ")).collect();
        let mut table = "| name | type | labels | meaning |\n|---|---|---|---|\n".to_owned();
        for (name, help) in text.lines().filter_map(|line| word(line, "# HELP ")) {
            let kind = &types[&name];
            let name = if kind == "counter" { format!("{name}_total") } else { name };
            let series = text
                .lines()
                .find(|line| line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name} ")));
            let labels = labels(series.unwrap_or_else(|| panic!("{name} has not moved:\n{text}"))).join(", ");
            writeln!(table, "| `{name}` | {kind} | {labels} | {} |", help.trim_end_matches('.')).unwrap();
        }
        multi_eni_generated_docs::compare_or_write("docs/reference/agent-metrics.md", BEGIN, &table).unwrap();
    }
}
