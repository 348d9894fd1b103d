//! The HTTP server: `/healthz`, `/readyz` and `/metrics`. It shows what the process has stored in [`Gauges`].

use crate::leader_election::Fence;
use crate::metrics::{Counted, Ec2Numbers, Page, ProcessNumbers, Snapshot, SnapshotRequest, SpanNumbers};
use multi_eni_ec2::Ec2;
use multi_eni_http_server::{Addresses, Pages};
use multi_eni_otlp::SpanCounts;
use prometheus_client::metrics::gauge::Gauge;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

/// The metrics and the readiness of one process.
#[derive(Default)]
pub struct Gauges {
    /// Keys in the work queue, those with a call under way included.
    pub waiting: Gauge,
    /// 1 while this replica leads.
    pub leading: Gauge,
    /// ENIs without an ENIAttachment that are too many to be deleted at once.
    pub orphans_held: Gauge,
    /// Whether the first lists of the watches are complete.
    pub ready: AtomicBool,
    /// Whether a standby could read the Lease recently. Such a standby is ready too: it keeps no caches.
    pub standby: AtomicBool,
    /// What this process counts.
    pub(crate) counted: Counted,
    /// Why nothing is done: this is another account or Region.
    wrong_place: Mutex<Option<String>>,
    ec2: Mutex<Option<Ec2>>,
    fence: Mutex<Option<Fence>>,
    spans: Mutex<Option<Arc<SpanCounts>>>,
    reconciler: Mutex<Option<UnboundedSender<SnapshotRequest>>>,
}

/// How long a scrape waits for the reconciler, which answers between two decisions.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(1);

impl Gauges {
    /// Shows the metrics of this EC2 handle from now on.
    pub fn watch_ec2(&self, ec2: Ec2) {
        *self.ec2.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(ec2);
    }

    /// Drops the EC2 handle at the end of a term, and with it the memory of its cache.
    pub fn forget_ec2(&self) {
        self.orphans_held.set(0);
        *self.reconciler.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
        *self.ec2.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
    }

    /// Sets why nothing is done in this place, or None if the place is right. Returns whether that changed.
    pub fn set_wrong_place(&self, why: Option<String>) -> bool {
        let mut place = self.wrong_place.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_changed = *place != why;
        *place = why;
        is_changed
    }

    /// Why nothing is done in this place, if so.
    pub fn wrong_place(&self) -> Option<String> {
        self.wrong_place.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// What the fence of this process refuses is shown from now on.
    pub fn watch_fence(&self, fence: Fence) {
        *self.fence.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(fence);
    }

    /// What became of the spans of this process is shown from now on.
    pub fn watch_spans(&self, counts: Arc<SpanCounts>) {
        *self.spans.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(counts);
    }

    /// Where scrapes ask for the state of the reconciler from now on. The reconciler of a new term replaces that of the last.
    pub fn snapshot_requests(&self) -> UnboundedReceiver<SnapshotRequest> {
        let (sender, requests) = unbounded_channel();
        *self.reconciler.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(sender);
        requests
    }

    /// How many keys of this kind were decided in this process.
    pub fn reconciles(&self, kind: &str) -> u64 {
        self.counted.reconciles.of([kind])
    }

    /// The state of the reconciler. None if this replica does not lead, or if the reconciler does not answer in time.
    async fn snapshot(&self) -> Option<Snapshot> {
        let (reply, answer) = oneshot::channel();
        self.reconciler.lock().unwrap_or_else(std::sync::PoisonError::into_inner).as_ref()?.send(reply).ok()?;
        tokio::time::timeout(SNAPSHOT_TIMEOUT, answer).await.ok()?.ok()
    }

    /// The metrics, as `/metrics` answers.
    ///
    /// # Errors
    /// If a value cannot be written; none of this project's fails.
    pub async fn text(&self) -> Result<String, fmt::Error> {
        let snapshot = self.snapshot().await;
        let fence = self.fence.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let ec2 = self.ec2.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let spans = self.spans.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let page = Page {
            counted: &self.counted,
            leading: self.leading.get(),
            wrong_place: i64::from(self.wrong_place().is_some()),
            waiting: self.waiting.get(),
            orphans_held: self.orphans_held.get(),
            fenced: fence.map(|fence| fence.refused().to_vec()).unwrap_or_default(),
            ec2: ec2.as_ref().map(Ec2Numbers::of),
            snapshot,
            spans: spans.map(|counts| SpanNumbers { exported: counts.exported(), dropped: counts.dropped() }),
            process: ProcessNumbers::read(),
        };
        page.text()
    }
}

impl Pages for Gauges {
    async fn metrics(&self) -> Result<String, fmt::Error> {
        self.text().await
    }

    fn ready(&self) -> Result<String, String> {
        if let Some(why) = self.wrong_place() {
            return Err(why);
        }
        if self.ready.load(Ordering::Relaxed) {
            Ok("leading, caches warm".to_owned())
        } else if self.standby.load(Ordering::Relaxed) {
            Ok("standby".to_owned())
        } else {
            Err("the first lists of the watches are not complete, or the Lease cannot be read".to_owned())
        }
    }
}

/// Serves until the process ends. The addresses are bound before this returns. Returns the address of `/metrics`: with port 0 the
/// kernel chooses one.
///
/// # Errors
/// If an address cannot be bound; the message names the address.
pub async fn start(metrics: SocketAddr, health: SocketAddr, gauges: Arc<Gauges>) -> Result<SocketAddr, String> {
    let wanted = Addresses { metrics: Some(metrics), health: Some(health) };
    let bound = multi_eni_http_server::start(wanted, gauges).await?;
    Ok(bound.metrics.unwrap_or(metrics))
}
