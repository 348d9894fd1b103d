//! The OpenTelemetry trace of one ENIAttachment, from the label of its Node to Ready, as plain data. [`AttachRecord`] is given
//! times and EC2 calls, and returns the [`Span`]s that are complete. Nothing here sends them.
//!
//! Trace ID and the ID of the root span come from the UID of the ENIAttachment, so another process continues the same trace.
//! A child span is returned as soon as it has ended, so the spans of a process that is killed later are already with the
//! collector.

mod ec2_call;
mod ids;
mod record;
mod span;
#[cfg(test)]
mod tests;

pub use ec2_call::Ec2Call;
pub use ids::{SpanId, TraceId};
pub use record::AttachRecord;
pub use span::{Kind, Span, Value};
