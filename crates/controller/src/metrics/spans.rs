//! The metric of the spans for an OpenTelemetry collector.

use super::description::{Kind, Metric};
use super::exposition::{Exposition, Value};

const SPANS: Metric = Metric::alpha(
    "multi_eni_trace_spans",
    Kind::Counter,
    &["result"],
    "Spans for the OpenTelemetry collector: exported (it has taken them) or dropped (it was away or refused them)",
);

/// All metrics of this file.
#[cfg(test)]
pub const ALL: &[Metric] = &[SPANS];

/// What became of the spans of this process.
#[derive(Debug, Clone, Copy)]
pub struct SpanNumbers {
    /// The collector has taken them.
    pub exported: u64,
    /// They were given up.
    pub dropped: u64,
}

impl SpanNumbers {
    /// Writes the numbers.
    pub fn write(self, out: &mut Exposition) {
        let rows = [("dropped", self.dropped), ("exported", self.exported)];
        out.add(&SPANS, rows.into_iter().map(|(result, n)| (vec![result.to_owned()], Value::Count(n))));
    }
}
