//! Builds the exporter and starts the task that sends.

use crate::collector_client::{CollectorClient, LastFailure};
use crate::export_task::ExportTask;
use crate::outage_log::OutageLog;
use crate::queue::{CAPACITY, SpanQueue};
use http::Uri;
use opentelemetry_otlp::{ExporterBuildError, RetryPolicy, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The name of the service, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES has one.
const SERVICE_NAME: &str = "multi-eni";

/// Why no spans can be sent.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is no URL of HTTP.
    #[error("{url:?} is not an address of an OpenTelemetry collector: it must begin with http:// or https://")]
    Url {
        /// The address.
        url: String,
    },
    /// No certificates can be read.
    #[error("cannot set up TLS for the OpenTelemetry collector: {0}")]
    Tls(#[from] std::io::Error),
    /// A variable of OpenTelemetry has a value that cannot be used.
    #[error("cannot set up OpenTelemetry: {0}")]
    Exporter(#[from] ExporterBuildError),
}

/// The task that sends.
#[derive(Debug)]
pub struct Exporting {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Exporting {
    /// Sends what the queue has, without repeating a failed request, for as long as `deadline`. What is left then is given up.
    pub async fn stop(self, deadline: Duration) {
        self.stop.cancel();
        let abort = self.task.abort_handle();
        if tokio::time::timeout(deadline, self.task).await.is_err() {
            abort.abort();
        }
    }
}

/// Starts to send to `url`, which [`crate::traces_url`] returns. `instance` is the name of this process. Must be called inside a
/// tokio runtime. The OpenTelemetry crates read the other standard variables: OTEL_EXPORTER_OTLP_HEADERS, OTEL_SERVICE_NAME,
/// OTEL_RESOURCE_ATTRIBUTES.
///
/// # Errors
/// If the URL or a variable cannot be used.
pub fn start(url: String, instance: &str) -> Result<(SpanQueue, Exporting), StartError> {
    let parsed: Uri = url.parse().map_err(|_| StartError::Url { url: url.clone() })?;
    let failure = LastFailure::default();
    let builder = opentelemetry_otlp::SpanExporter::builder().with_http();
    let builder = match parsed.scheme_str() {
        Some("http") => builder.with_http_client(CollectorClient::http(REQUEST_TIMEOUT, failure.clone())),
        Some("https") => builder.with_http_client(CollectorClient::https(REQUEST_TIMEOUT, failure.clone())?),
        _ => return Err(StartError::Url { url }),
    };
    let mut exporter = builder
        .with_endpoint(url.as_str())
        .with_timeout(REQUEST_TIMEOUT)
        .with_retry_policy(RetryPolicy::disabled())
        .build()?;
    exporter.set_resource(&resource(instance));
    let (queue, spans) = SpanQueue::with_capacity(CAPACITY);
    let stop = CancellationToken::new();
    let task = ExportTask {
        exporter: Explained { exporter, failure },
        queue: spans,
        counts: queue.counts().clone(),
        stop: stop.clone(),
        url,
        failures: 0,
        log: OutageLog::default(),
    };
    Ok((queue, Exporting { stop, task: tokio::spawn(task.run()) }))
}

/// The exporter, with errors that say why no connection could be made.
#[derive(Debug)]
struct Explained {
    exporter: opentelemetry_otlp::SpanExporter,
    failure: LastFailure,
}

impl SpanExporter for Explained {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.exporter.export(batch).await;
        result.map_err(|error| self.failure.take().map_or(error, OTelSdkError::InternalFailure))
    }
}

/// What the spans have in common: this process. A name of the user goes first.
fn resource(instance: &str) -> Resource {
    let from_environment = Resource::builder().build();
    let is_unnamed = from_environment
        .get(&opentelemetry::Key::from_static_str("service.name"))
        .is_none_or(|name| name.as_str().starts_with("unknown_service"));
    let builder = Resource::builder()
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(opentelemetry::KeyValue::new("service.instance.id", instance.to_owned()));
    if is_unnamed { builder.with_service_name(SERVICE_NAME).build() } else { builder.build() }
}
