//! A span as plain data.

use super::ids::{SpanId, TraceId};
use jiff::Timestamp;

/// One span of the trace of an ENIAttachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The trace.
    pub trace: TraceId,
    /// The span.
    pub id: SpanId,
    /// Its parent. None: the root.
    pub parent: Option<SpanId>,
    /// What kind of work it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// When the work began.
    pub start: Timestamp,
    /// When the work ended.
    pub end: Timestamp,
    /// What it was about.
    pub attributes: Vec<(&'static str, Value)>,
    /// How it failed, if it did.
    pub error: Option<String>,
}

/// The kind of a span, as OpenTelemetry defines it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Work of this process.
    Internal,
    /// A request to a server.
    Client,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Whole(i64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Whole(number)
    }
}
