//! `/healthz`, `/readyz`, `/metrics`.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use multi_eni_ec2::Ec2;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Registry, Unit};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// What one process shows of itself.
#[derive(Default)]
pub struct Gauges {
    /// Decisions waiting or with a call on its way.
    pub waiting: Gauge,
    /// 1 while this replica leads.
    pub leading: Gauge,
    /// The watch caches are warm.
    pub ready: AtomicBool,
    /// A standby is ready, too: it has nothing to warm.
    pub standby: AtomicBool,
    ec2: Mutex<Option<Ec2>>,
}

impl Gauges {
    /// EC2's counts are read from here from now on.
    pub fn watch_ec2(&self, ec2: Ec2) {
        *self.ec2.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(ec2);
    }

    fn text(&self) -> Result<String, std::fmt::Error> {
        let mut registry = Registry::with_prefix("multi_eni");
        registry.register("leading", "1 while this replica leads", self.leading.clone());
        registry.register("reconciles_waiting", "Decisions waiting or with a call on its way", self.waiting.clone());
        let counts = self.ec2.lock().unwrap_or_else(std::sync::PoisonError::into_inner).as_ref().map(Ec2::counts);
        for (action, count) in counts.into_iter().flatten() {
            let labels = [("action".into(), action.into())].into_iter();
            registry.sub_registry_with_labels(labels).register_with_unit(
                "ec2",
                "EC2 calls sent, by action",
                Unit::Other("calls".to_owned()),
                ConstCounter::new(count),
            );
        }
        let paces = self.ec2.lock().unwrap_or_else(std::sync::PoisonError::into_inner).as_ref().map(Ec2::paces);
        for pace in paces.into_iter().flatten() {
            let labels = [("action".into(), pace.action.into())].into_iter();
            let of_action = registry.sub_registry_with_labels(labels);
            of_action.register("ec2_budget_rate", RATE, ConstGauge::new(pace.rate));
            let waiting = i64::try_from(pace.waiting).unwrap_or(i64::MAX);
            of_action.register("ec2_calls_waiting", "EC2 calls that wait for their turn", ConstGauge::new(waiting));
            of_action.register(
                "ec2_throttles",
                "Answers of EC2 that we are too fast",
                ConstCounter::new(pace.throttles),
            );
        }
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

const RATE: &str = "EC2 calls a second that may be made: the configured share of EC2's rate, less after throttling";

/// Serves until the process ends. Binding happens before this returns.
///
/// # Errors
/// If an address cannot be bound; the message names it.
pub async fn start(metrics: SocketAddr, health: SocketAddr, gauges: Arc<Gauges>) -> Result<(), String> {
    let metrics_routes = Router::new().route("/metrics", get(show_metrics)).with_state(gauges.clone());
    let health_routes =
        Router::new().route("/healthz", get(|| async { "ok" })).route("/readyz", get(show_ready)).with_state(gauges);
    let routes = if metrics == health {
        vec![(metrics, metrics_routes.merge(health_routes))]
    } else {
        vec![(metrics, metrics_routes), (health, health_routes)]
    };
    for (address, router) in routes {
        let bound = TcpListener::bind(address).await;
        let listener = bound.map_err(|error| format!("cannot listen on {address}: {error}"))?;
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the HTTP server ended");
            }
        });
    }
    Ok(())
}

async fn show_metrics(State(gauges): State<Arc<Gauges>>) -> impl IntoResponse {
    match gauges.text() {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn show_ready(State(gauges): State<Arc<Gauges>>) -> impl IntoResponse {
    if gauges.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ok: leading, caches warm")
    } else if gauges.standby.load(Ordering::Relaxed) {
        (StatusCode::OK, "ok: standing by")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready: the first lists are not whole yet")
    }
}
