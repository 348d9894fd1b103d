//! The exporter against a stand-in of a collector: an HTTP server on loopback that decodes OTLP's protobuf.
#![allow(clippy::unwrap_used, reason = "a test says what it needs")]

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use jiff::{SignedDuration, Timestamp};
use multi_eni_otlp::{start, traces_url};
use multi_eni_plan::attach_trace::{Kind, Span, SpanId, TraceId, Value};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::trace::v1::{span::SpanKind, status::StatusCode as SpanStatus};
use prost::Message;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

type Requests = Arc<Mutex<Vec<(HeaderMap, ExportTraceServiceRequest)>>>;

const UID: &str = "0d3f1c52-6a7b-4c8d-9e0f-112233445566";

/// A collector that answers each request with `status`, and keeps the requests.
async fn collector(status: StatusCode) -> (String, Requests) {
    let requests = Requests::default();
    let kept = requests.clone();
    let take = async move |headers: HeaderMap, body: Bytes| {
        let request = ExportTraceServiceRequest::decode(body).unwrap();
        kept.lock().unwrap().push((headers, request));
        status
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Router::new().route("/v1/traces", post(take));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (format!("http://{address}"), requests)
}

fn span(parent: Option<SpanId>, error: Option<&str>) -> Span {
    let at = |ms: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_millis(1_800_000_000_000 + ms);
    Span {
        trace: TraceId::of(UID),
        id: parent.map_or(SpanId::root(UID), |_| SpanId::child(UID, "EC2.AttachNetworkInterface", at(1))),
        parent,
        kind: if parent.is_some() { Kind::Client } else { Kind::Internal },
        name: if parent.is_some() { "EC2.AttachNetworkInterface" } else { "attach ENI" }.to_owned(),
        start: at(1),
        end: at(250),
        attributes: vec![("k8s.node.name", Value::from("node1")), ("multi_eni.device_index", Value::from(2))],
        error: error.map(str::to_owned),
    }
}

#[tokio::test]
async fn a_collector_gets_spans_with_ids_times_attributes_and_status() {
    let (address, requests) = collector(StatusCode::OK).await;
    let url = traces_url(Some(&address), None).unwrap();
    let (queue, exporting) = start(url, "pod-1").unwrap();
    queue.push(vec![span(Some(SpanId::root(UID)), Some("IncorrectState: not now")), span(None, None)]);
    exporting.stop(Duration::from_secs(5)).await;
    assert_eq!((queue.counts().exported(), queue.counts().dropped()), (2, 0));

    let requests = requests.lock().unwrap();
    let [(headers, request)] = &requests[..] else { panic!("{requests:#?}") };
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let [of_process] = &request.resource_spans[..] else { panic!("{request:#?}") };
    let resource = &of_process.resource.as_ref().unwrap().attributes;
    let text = |key: &str| {
        let value = resource.iter().find(|attribute| attribute.key == key)?.value.clone()?.value?;
        if let any_value::Value::StringValue(text) = value { Some(text) } else { None }
    };
    assert_eq!(text("service.name").as_deref(), Some("multi-eni"));
    assert_eq!(text("service.instance.id").as_deref(), Some("pod-1"));
    let spans: Vec<_> = of_process.scope_spans.iter().flat_map(|scope| &scope.spans).collect();
    let [child, root] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!((&child.trace_id, &root.trace_id), (&TraceId::of(UID).0.to_vec(), &TraceId::of(UID).0.to_vec()));
    assert_eq!((&child.parent_span_id, &root.parent_span_id), (&root.span_id, &Vec::new()));
    assert_eq!((&*child.name, &*root.name), ("EC2.AttachNetworkInterface", "attach ENI"));
    assert_eq!((child.kind, root.kind), (SpanKind::Client as i32, SpanKind::Internal as i32));
    assert_eq!(root.start_time_unix_nano, 1_800_000_000_001_000_000);
    assert_eq!(root.end_time_unix_nano, 1_800_000_000_250_000_000);
    let status = child.status.clone().unwrap();
    assert_eq!((status.code, &*status.message), (SpanStatus::Error as i32, "IncorrectState: not now"));
    assert!(root.status.as_ref().is_none_or(|status| status.code == SpanStatus::Unset as i32));
    assert_eq!(root.attributes.len(), 2);
}

/// Set for the process that the test below starts: the address of its collector.
const CHILD: &str = "MULTI_ENI_TEST_COLLECTOR";

#[tokio::test]
async fn the_standard_variables_name_the_service_and_add_headers_and_attributes() {
    let this = "the_standard_variables_name_the_service_and_add_headers_and_attributes";
    if let Ok(address) = std::env::var(CHILD) {
        let (queue, exporting) = start(format!("{address}/v1/traces"), "pod-1").unwrap();
        queue.push(vec![span(None, None)]);
        return exporting.stop(Duration::from_secs(5)).await;
    }
    let (address, requests) = collector(StatusCode::OK).await;
    // Variables are those of a process, and this one has other tests.
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args([this, "--exact"]).env(CHILD, address).env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc");
    child
        .env("OTEL_SERVICE_NAME", "enis-of-cluster-a")
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=a");
    // gRPC is not supported, and must not stop the process.
    child.env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let status = tokio::task::spawn_blocking(move || child.status()).await.unwrap().unwrap();
    assert!(status.success());
    let requests = requests.lock().unwrap();
    let [(headers, request)] = &requests[..] else { panic!("{requests:#?}") };
    assert_eq!(headers["authorization"], "Bearer abc");
    let resource = format!("{:?}", request.resource_spans[0].resource);
    for text in ["enis-of-cluster-a", "deployment.environment.name", "service.instance.id"] {
        assert!(resource.contains(text), "{resource}");
    }
}

#[tokio::test]
async fn a_collector_that_is_not_there_costs_no_time_at_the_stop() {
    // A port that nothing listens on.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    drop(listener);
    let (queue, exporting) = start(url, "pod-1").unwrap();
    queue.push(vec![span(None, None)]);
    let began = Instant::now();
    exporting.stop(Duration::from_secs(5)).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!((queue.counts().exported(), queue.counts().dropped()), (0, 1));
}

#[tokio::test]
async fn a_collector_that_never_answers_delays_the_stop_to_the_deadline_only() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let (queue, exporting) = start(url, "pod-1").unwrap();
    queue.push(vec![span(None, None)]);
    let began = Instant::now();
    exporting.stop(Duration::from_millis(300)).await;
    assert!((300..1_500).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_https_address_gets_no_request_without_tls() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (queue, exporting) = start(format!("https://{}/v1/traces", listener.local_addr().unwrap()), "pod-1").unwrap();
    queue.push(vec![span(None, None)]);
    let stop = exporting.stop(Duration::from_secs(5));
    let first_byte = tokio::time::timeout(Duration::from_secs(10), async {
        let mut byte = [0];
        tokio::io::AsyncReadExt::read_exact(&mut listener.accept().await.unwrap().0, &mut byte).await.unwrap();
        byte[0]
    });
    let ((), first_byte) = tokio::join!(stop, first_byte);
    // The record type of a TLS handshake.
    assert_eq!((first_byte, queue.counts().dropped()), (Ok(0x16), 1));
}

#[tokio::test]
async fn a_refused_request_is_no_success() {
    let (address, requests) = collector(StatusCode::SERVICE_UNAVAILABLE).await;
    let (queue, exporting) = start(format!("{address}/v1/traces"), "pod-1").unwrap();
    queue.push(vec![span(None, None)]);
    exporting.stop(Duration::from_secs(5)).await;
    assert_eq!(requests.lock().unwrap().len(), 1);
    assert_eq!((queue.counts().exported(), queue.counts().dropped()), (0, 1));
}

#[tokio::test]
async fn an_address_that_is_no_url_is_refused_with_words() {
    for url in ["collector:4317", "grpc://collector/v1/traces", "", "http://a b"] {
        let error = start(url.to_owned(), "pod-1").map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("http://") && error.contains(url), "{url}: {error}");
    }
}
