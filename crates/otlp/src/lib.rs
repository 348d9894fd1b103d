//! Sends the spans of `multi_eni_plan::attach_trace` to an OpenTelemetry collector, by OTLP over HTTP with protobuf. This is the
//! only crate that depends on OpenTelemetry.
//!
//! - [`traces_url`]: where the collector takes traces, from the flag and the standard environment variables.
//! - [`start`]: builds the exporter and starts the task that sends.
//! - [`SpanQueue`]: takes spans without waiting. Spans that find it full are dropped and counted.
//!
//! A collector that does not answer costs one line in the log, a try now and then, and the spans that the queue has no room for.

mod collector_client;
mod endpoint;
mod export_task;
mod outage_log;
mod queue;
mod span_data;
mod start;

pub use endpoint::traces_url;
pub use queue::{SpanCounts, SpanQueue};
pub use start::{Exporting, StartError, start};
