//! Builds the exporter and starts the task that sends.

use crate::collector_client::{CollectorClient, LastFailure};
use crate::endpoint::{SetBy, without_secrets};
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
        /// The address, without secrets.
        url: String,
    },
    /// No certificates can be read.
    #[error("cannot set up TLS for the OpenTelemetry collector: {0}")]
    Tls(#[from] std::io::Error),
    /// A variable of OpenTelemetry has a value that cannot be used.
    #[error("cannot set up OpenTelemetry: {0}")]
    Exporter(#[from] ExporterBuildError),
}

impl StartError {
    /// Whether the flag is at fault, so that the process must not start. Variables may be set for every pod of a cluster: if
    /// one of them is at fault, the process does without traces.
    pub fn is_of_flag(&self, set_by: SetBy) -> bool {
        match (set_by, self) {
            (SetBy::Flag, Self::Url { .. } | Self::Tls(_)) => true,
            (SetBy::Flag, Self::Exporter(_)) => false,
            (SetBy::Variable, Self::Url { .. } | Self::Tls(_) | Self::Exporter(_)) => false,
        }
    }
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
    let parsed: Uri = url.parse().map_err(|_| StartError::Url { url: without_secrets(&url) })?;
    let failure = LastFailure::default();
    let builder = opentelemetry_otlp::SpanExporter::builder().with_http();
    let builder = match parsed.scheme_str() {
        Some("http") => builder.with_http_client(CollectorClient::http(REQUEST_TIMEOUT, failure.clone())),
        Some("https") => builder.with_http_client(CollectorClient::https(REQUEST_TIMEOUT, failure.clone())?),
        _ => return Err(StartError::Url { url: without_secrets(&url) }),
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
        shown_url: without_secrets(&url),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wrong_flag_stops_the_process_and_a_wrong_variable_does_not() {
        let wrong = start("collector:4317/v1/traces".to_owned(), "pod-1").map(|_| ()).unwrap_err();
        assert_eq!([SetBy::Flag, SetBy::Variable].map(|set_by| wrong.is_of_flag(set_by)), [true, false]);
        // Another variable, such as OTEL_EXPORTER_OTLP_COMPRESSION, is not a fault of the flag.
        let other = StartError::Exporter(ExporterBuildError::InternalFailure("compression".to_owned()));
        assert!(!other.is_of_flag(SetBy::Flag));
    }
}
