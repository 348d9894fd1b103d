//! A stand-in for an OpenTelemetry collector: an HTTP server on loopback that decodes OTLP's protobuf and keeps the spans.

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use prost::Message;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::{Builder, Runtime};

/// A span as a collector gets it.
#[derive(Debug, Clone)]
pub struct CollectedSpan {
    /// `service.name` of the process.
    pub service: String,
    /// In hex, as a person searches for it.
    pub trace: String,
    pub id: Vec<u8>,
    /// Empty: the root.
    pub parent: Vec<u8>,
    pub name: String,
    /// Nanoseconds since 1970.
    pub start: u64,
    pub end: u64,
    pub is_error: bool,
    /// The attributes that are text.
    pub attributes: BTreeMap<String, String>,
}

#[derive(Debug)]
pub struct Collector {
    /// For OTEL_EXPORTER_OTLP_ENDPOINT.
    pub endpoint: String,
    spans: Arc<Mutex<Vec<CollectedSpan>>>,
    _runtime: Runtime,
}

impl Collector {
    pub fn open() -> Result<Self, String> {
        let failed = |e: &dyn std::fmt::Display| format!("the stand-in of the collector: {e}");
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(|e| failed(&e))?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).map_err(|e| failed(&e))?;
        let address = listener.local_addr().map_err(|e| failed(&e))?;
        let spans = Arc::<Mutex<Vec<CollectedSpan>>>::default();
        let kept = spans.clone();
        let take = async move |body: Bytes| match ExportTraceServiceRequest::decode(body) {
            Ok(request) => {
                kept.lock().unwrap_or_else(PoisonError::into_inner).extend(collected(request));
                StatusCode::OK
            }
            Err(_) => StatusCode::BAD_REQUEST,
        };
        let routes = Router::new().route("/v1/traces", post(take));
        runtime.spawn(async move { axum::serve(listener, routes).await });
        Ok(Self { endpoint: format!("http://{address}"), spans, _runtime: runtime })
    }

    /// The spans so far, in the order of their beginning. The root comes before what begins with it.
    pub fn spans(&self) -> Vec<CollectedSpan> {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone();
        spans.sort_by_key(|span| (span.start, !span.parent.is_empty(), span.end));
        spans
    }
}

fn collected(request: ExportTraceServiceRequest) -> Vec<CollectedSpan> {
    let text = |attributes: Vec<opentelemetry_proto::tonic::common::v1::KeyValue>| {
        let pairs = attributes.into_iter().filter_map(|attribute| match attribute.value?.value? {
            any_value::Value::StringValue(text) => Some((attribute.key, text)),
            _ => None,
        });
        pairs.collect::<BTreeMap<String, String>>()
    };
    let mut spans = Vec::new();
    for of_process in request.resource_spans {
        let resource = text(of_process.resource.map(|resource| resource.attributes).unwrap_or_default());
        let service = resource.get("service.name").cloned().unwrap_or_default();
        spans.extend(of_process.scope_spans.into_iter().flat_map(|scope| scope.spans).map(|span| CollectedSpan {
            service: service.clone(),
            trace: span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect(),
            id: span.span_id,
            parent: span.parent_span_id,
            name: span.name,
            start: span.start_time_unix_nano,
            end: span.end_time_unix_nano,
            is_error: span.status.is_some_and(|status| status.code == 2),
            attributes: text(span.attributes),
        }));
    }
    spans
}
