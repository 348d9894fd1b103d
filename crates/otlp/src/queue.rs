//! The queue between the reconciler, which must never wait, and the task that sends.

use multi_eni_plan::attach_trace::Span;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// How many spans may wait, as in OpenTelemetry's own batch processors (OTEL_BSP_MAX_QUEUE_SIZE).
pub(crate) const CAPACITY: usize = 2048;

/// Takes spans, without waiting. Clones share the queue.
#[derive(Debug, Clone)]
pub struct SpanQueue {
    sender: Sender<Span>,
    counts: Arc<SpanCounts>,
}

/// What happened to the spans of this process.
#[derive(Debug, Default)]
pub struct SpanCounts {
    exported: AtomicU64,
    dropped: AtomicU64,
}

impl SpanQueue {
    /// A queue with room for `capacity` spans, and its other end.
    pub fn with_capacity(capacity: usize) -> (Self, Receiver<Span>) {
        let (sender, receiver) = channel(capacity);
        (Self { sender, counts: Arc::default() }, receiver)
    }

    /// Takes spans. All that the queue has no room for are dropped and counted.
    pub fn push(&self, spans: Vec<Span>) {
        for span in spans {
            if self.sender.try_send(span).is_err() {
                self.counts.drop_spans(1);
            }
        }
    }

    /// What happened to the spans.
    pub fn counts(&self) -> &Arc<SpanCounts> {
        &self.counts
    }
}

impl SpanCounts {
    /// Spans that a collector has taken.
    pub fn exported(&self) -> u64 {
        self.exported.load(Ordering::Relaxed)
    }

    /// Spans that were given up.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(crate) fn export_spans(&self, n: u64) {
        self.exported.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn drop_spans(&self, n: u64) {
        self.dropped.fetch_add(n, Ordering::Relaxed);
    }
}
