//! The HTTP server: `/healthz`, `/readyz` and `/metrics`. It shows what the process has stored in [`Gauges`].

use crate::leader_election::Fence;
use crate::metrics::{Counted, Ec2Numbers, Page, ProcessNumbers, Snapshot, SnapshotRequest, SpanNumbers};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use multi_eni_ec2::Ec2;
use multi_eni_otlp::SpanCounts;
use prometheus_client::metrics::gauge::Gauge;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
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
    pub async fn text(&self) -> Result<String, std::fmt::Error> {
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

/// Serves until the process ends. The addresses are bound before this returns. Returns the address of `/metrics`: with port 0 the
/// kernel chooses one.
///
/// # Errors
/// If an address cannot be bound; the message names the address.
pub async fn start(metrics: SocketAddr, health: SocketAddr, gauges: Arc<Gauges>) -> Result<SocketAddr, String> {
    let metrics_routes = Router::new().route("/metrics", get(show_metrics)).with_state(gauges.clone());
    let health_routes =
        Router::new().route("/healthz", get(|| async { "ok" })).route("/readyz", get(show_ready)).with_state(gauges);
    let routes = if metrics == health {
        vec![(metrics, metrics_routes.merge(health_routes))]
    } else {
        vec![(metrics, metrics_routes), (health, health_routes)]
    };
    let mut bound = metrics;
    for (address, router) in routes {
        let cannot = |error| format!("cannot listen on {address}: {error}");
        let listener = listen(address, TcpListener::bind).await.map_err(cannot)?;
        if address == metrics {
            bound = listener.local_addr().map_err(cannot)?;
        }
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "HTTP server stopped");
            }
        });
    }
    Ok(bound)
}

/// Binds the address by `bind`. `[::]` accepts IPv4 connections too, and stands for `0.0.0.0` where the kernel has no IPv6.
async fn listen<T, F>(address: SocketAddr, bind: impl Fn(SocketAddr) -> F) -> std::io::Result<T>
where
    F: Future<Output = std::io::Result<T>>,
{
    match bind(address).await {
        Err(error) if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && is_lack_of_ipv6(&error) => {
            bind((Ipv4Addr::UNSPECIFIED, address.port()).into()).await
        }
        other => other,
    }
}

/// Whether the kernel has no IPv6 (EAFNOSUPPORT), or it is switched off (EADDRNOTAVAIL).
fn is_lack_of_ipv6(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(ADDRESS_FAMILY_NOT_SUPPORTED)
}

/// Linux' EAFNOSUPPORT, for which the standard library has no kind.
const ADDRESS_FAMILY_NOT_SUPPORTED: i32 = 97;

async fn show_metrics(State(gauges): State<Arc<Gauges>>) -> impl IntoResponse {
    match gauges.text().await {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn show_ready(State(gauges): State<Arc<Gauges>>) -> impl IntoResponse {
    if let Some(why) = gauges.wrong_place() {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}"));
    }
    if gauges.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ok: leading, caches warm".to_owned())
    } else if gauges.standby.load(Ordering::Relaxed) {
        (StatusCode::OK, "ok: standby".to_owned())
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "not ready: the first lists of the watches are not complete, or the Lease cannot be read".to_owned(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn the_default_address_accepts_ipv6_and_ipv4() {
        let listener = listen("[::]:0".parse().unwrap(), TcpListener::bind).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for client in [IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)] {
            let (connected, accepted) = tokio::join!(TcpStream::connect((client, port)), listener.accept());
            assert!(connected.is_ok() && accepted.is_ok(), "{client}: {connected:?}");
        }
    }

    #[tokio::test]
    async fn an_address_in_use_is_no_lack_of_ipv6() {
        let first = listen("[::]:0".parse().unwrap(), TcpListener::bind).await.unwrap();
        let error = listen(first.local_addr().unwrap(), TcpListener::bind).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(!is_lack_of_ipv6(&error));
    }

    /// The answer of a kernel without IPv6, and the addresses that were tried.
    async fn without_ipv6(address: &str) -> (Result<SocketAddr, Option<i32>>, Vec<String>) {
        let tried = Mutex::new(Vec::new());
        let bind = |address: SocketAddr| {
            tried.lock().unwrap().push(address.to_string());
            std::future::ready(match address {
                SocketAddr::V4(_) => Ok(address),
                SocketAddr::V6(_) => Err(std::io::Error::from_raw_os_error(ADDRESS_FAMILY_NOT_SUPPORTED)),
            })
        };
        let bound = listen(address.parse().unwrap(), bind).await;
        (bound.map_err(|error| error.raw_os_error()), tried.into_inner().unwrap())
    }

    #[tokio::test]
    async fn without_ipv6_the_default_address_is_bound_in_ipv4_and_a_specific_one_is_not() {
        let all_of_ipv4 = "0.0.0.0:8080".parse().unwrap();
        let tried = vec!["[::]:8080".to_owned(), "0.0.0.0:8080".to_owned()];
        assert_eq!(without_ipv6("[::]:8080").await, (Ok(all_of_ipv4), tried));
        for specific in ["[::1]:8080", "[2001:db8::1]:8080"] {
            let refused = (Err(Some(ADDRESS_FAMILY_NOT_SUPPORTED)), vec![specific.to_owned()]);
            assert_eq!(without_ipv6(specific).await, refused);
        }
    }

    #[test]
    fn a_kernel_without_ipv6_is_recognized_by_its_errors() {
        const EADDRNOTAVAIL: i32 = 99;
        for number in [ADDRESS_FAMILY_NOT_SUPPORTED, EADDRNOTAVAIL] {
            assert!(is_lack_of_ipv6(&std::io::Error::from_raw_os_error(number)), "{number}");
        }
    }
}
