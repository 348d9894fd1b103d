//! The task that sends spans. It collects a batch, sends it, and tries a refused batch again with a back-off, while further spans
//! wait in the queue.

use crate::outage_log::OutageLog;
use crate::queue::SpanCounts;
use crate::span_data::span_data;
use multi_eni_plan::attach_trace::Span;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a batch waits for further spans.
const COLLECT: Duration = Duration::from_secs(1);

/// The most spans of a batch, as in OpenTelemetry's own batch processors (OTEL_BSP_MAX_EXPORT_BATCH_SIZE).
const MAX_BATCH: usize = 512;

/// How often a batch is sent. A batch that a collector refuses for its content must not stop the others.
const TRIES: u32 = 6;

/// The wait after the first failure. It doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Sends spans from a queue.
pub(crate) struct ExportTask<E> {
    /// Sends one batch, once.
    pub(crate) exporter: E,
    /// The spans to send.
    pub(crate) queue: Receiver<Span>,
    /// Counts them.
    pub(crate) counts: Arc<SpanCounts>,
    /// When it is cancelled, what the queue has is sent without waiting, and the task ends.
    pub(crate) stop: CancellationToken,
    /// Where the spans go, for the log.
    pub(crate) url: String,
    /// Failures that follow each other.
    pub(crate) failures: u32,
    /// What the log has said of them.
    pub(crate) log: OutageLog,
}

impl<E: SpanExporter> ExportTask<E> {
    /// Sends until the queue is closed or the task is stopped.
    pub(crate) async fn run(mut self) {
        loop {
            let batch = self.batch().await;
            if batch.is_empty() {
                return;
            }
            self.send(batch).await;
        }
    }

    /// The next spans. None: the queue is closed, or the task is stopped and the queue is empty.
    async fn batch(&mut self) -> Vec<SpanData> {
        let mut spans = Vec::new();
        let stop = self.stop.clone();
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            _ = self.queue.recv_many(&mut spans, MAX_BATCH) => {}
        }
        if !spans.is_empty() {
            let more = async {
                while spans.len() < MAX_BATCH
                    && let Some(span) = self.queue.recv().await
                {
                    spans.push(span);
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                _ = tokio::time::timeout(COLLECT, more) => {}
            }
        }
        if stop.is_cancelled() {
            while spans.len() < MAX_BATCH
                && let Ok(span) = self.queue.try_recv()
            {
                spans.push(span);
            }
        }
        spans.into_iter().map(span_data).collect()
    }

    /// Sends a batch until a collector has taken it, the tries are used up, or the task is stopped.
    async fn send(&mut self, batch: Vec<SpanData>) {
        let size = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        for attempt in 1..=TRIES {
            let Err(error) = self.exporter.export(batch.clone()).await else {
                self.failures = 0;
                self.counts.export_spans(size);
                if self.log.succeeded() {
                    let dropped = self.counts.dropped();
                    tracing::info!(url = self.url, dropped, "the OpenTelemetry collector takes spans again");
                }
                return;
            };
            self.failures = self.failures.saturating_add(1);
            if self.log.failed(Instant::now()) {
                let dropped = self.counts.dropped();
                tracing::warn!(url = self.url, %error, dropped, "the OpenTelemetry collector takes no spans");
            }
            let gives_up = self.stop.is_cancelled() || attempt == TRIES;
            if gives_up {
                self.counts.drop_spans(size);
            }
            // Also the next batch waits: the collector is away for all of them.
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(wait_after(self.failures)) => {}
            }
            if gives_up {
                return;
            }
        }
    }
}

/// How long to wait after so many failures that follow each other.
fn wait_after(failures: u32) -> Duration {
    let doubled = 2_u32.checked_pow(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    FIRST_WAIT.saturating_mul(doubled).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests;
