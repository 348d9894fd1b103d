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
