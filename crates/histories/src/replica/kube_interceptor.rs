//! The HTTP service of one process for the API server. It applies the delivery and the fault that the interceptor decides.
//!
//! A request that was sent takes effect even if its caller times out, is frozen, or dies.

use super::process::Process;
use super::request_delivery::Delivery;
use crate::interceptor::Interceptor;
use crate::script::Fault;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use kube::client::Body;
use multi_eni_sim::kube::{ApiBody, Disconnected, RequestInfo};
use serde_json::json;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tower::Service;

/// The API server, as one process reaches it.
#[derive(Clone)]
pub struct KubeInterceptor {
    interceptor: Arc<Interceptor>,
    process: Arc<Process>,
}

type Answer = Result<Response<ApiBody>, Disconnected>;

impl KubeInterceptor {
    /// The API server for this process.
    pub fn new(interceptor: Arc<Interceptor>, process: Arc<Process>) -> Self {
        Self { interceptor, process }
    }
}

impl Service<Request<Body>> for KubeInterceptor {
    type Response = Response<ApiBody>;
    type Error = Disconnected;
    type Future = BoxFuture<'static, Answer>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Disconnected>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            if let Ok(name) = HeaderValue::from_str(&this.process.name()) {
                parts.headers.insert(header::USER_AGENT, name);
            }
            let bytes = body.collect().await.map_err(|_| Disconnected)?.to_bytes();
            this.send(Request::from_parts(parts, bytes)).await
        })
    }
}

impl KubeInterceptor {
    async fn send(self, request: Request<Bytes>) -> Answer {
        if self.process.is_dead() {
            return std::future::pending().await;
        }
        let (mut parts, bytes) = request.into_parts();
        let info = Arc::new(RequestInfo::parse(&parts));
        parts.extensions.insert(info.clone());
        let write = self.interceptor.checker.write_begins(&self.process, &info, &bytes);
        let request = Request::from_parts(parts, Full::new(bytes));
        let delivery = self.interceptor.kube(&self.process, &info);
        if delivery.injected.as_ref().is_some_and(|injected| injected.fault == Fault::CrashBefore) {
            return std::future::pending().await;
        }
        if info.verb == "watch" {
            return self.watch(request, delivery).await;
        }
        let Self { interceptor, process } = self;
        let (at_interceptor, about) = (interceptor.clone(), info.clone());
        let landing = tokio::spawn(async move { land(&at_interceptor, request, &about, delivery).await });
        let answer = landing.await.unwrap_or(Err(Disconnected));
        let status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
        interceptor.checker.answered(&process, &info, status);
        if let Some(write) = write {
            interceptor.checker.write_ends(&process, &write, status);
        }
        answer
    }

    async fn watch(self, request: Request<Full<Bytes>>, delivery: Delivery) -> Answer {
        tokio::time::sleep(delivery.there).await;
        if let Some(stopped) = stopped(&delivery) {
            return stopped;
        }
        if delivery.injected.is_some_and(|injected| injected.fault == Fault::Gone) {
            return Ok(gone());
        }
        let answer = self.interceptor.environment.api.service().call(request).await?;
        Ok(answer.map(|body| news(body, self.process)))
    }
}

/// Delivers a request to the API server, also if its caller has ended meanwhile.
async fn land(
    interceptor: &Interceptor,
    request: Request<Full<Bytes>>,
    info: &RequestInfo,
    delivery: Delivery,
) -> Answer {
    tokio::time::sleep(delivery.there).await;
    if let Some(stopped) = stopped(&delivery) {
        return stopped;
    }
    let lasts = Duration::from_millis(delivery.injected.as_ref().map_or(0, |injected| injected.lasts));
    let fault = delivery.injected.map(|injected| injected.fault);
    match fault {
        Some(Fault::Late) => tokio::time::sleep(lasts).await,
        Some(Fault::Interfere) => interceptor.interfere(info).await,
        _ => {}
    }
    // A call that a process sent to EC2 before it died takes effect first, although no process waits for the answer.
    interceptor.environment.ec2.catch_up();
    let mut answer = interceptor.environment.api.service().call(request).await?;
    match fault {
        Some(Fault::LoseAnswer | Fault::CrashInside) => return Err(Disconnected),
        Some(Fault::Hang) => {
            tokio::time::sleep(lasts).await;
            return Err(Disconnected);
        }
        Some(Fault::SlowAnswer) => tokio::time::sleep(lasts).await,
        Some(Fault::Garble) => {
            let (parts, body) = answer.into_parts();
            let bytes = body.collect().await?.to_bytes();
            let half = Frame::data(bytes.slice(..bytes.len() / 2));
            let cut = StreamBody::new(stream::iter([Ok(half), Err(Disconnected)])).boxed_unsync();
            answer = Response::from_parts(parts, cut);
        }
        _ => {}
    }
    tokio::time::sleep(delivery.back).await;
    Ok(answer)
}

/// The answer to a request that never reached its object; None if the request reaches it.
fn stopped(delivery: &Delivery) -> Option<Answer> {
    let fault = delivery.injected.as_ref().map(|injected| injected.fault);
    if !delivery.reachable || fault == Some(Fault::Unreachable) {
        return Some(Err(Disconnected));
    }
    delivery.refused.or_else(|| refusal(fault)).map(|code| Ok(status(code)))
}

fn refusal(fault: Option<Fault>) -> Option<u16> {
    match fault? {
        Fault::Throttle => Some(429),
        Fault::ServerError => Some(500),
        Fault::Unavailable => Some(503),
        _ => None,
    }
}

fn status(code: u16) -> Response<ApiBody> {
    let reason = match code {
        403 => "Forbidden",
        410 => "Expired",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        _ => "InternalError",
    };
    let text = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("{reason} (simulated)"), "reason": reason, "code": code });
    json_answer(code, text.to_string())
}

/// The answer to a watch whose resourceVersion was compacted: the watch ends at once.
fn gone() -> Response<ApiBody> {
    let text = json!({ "type": "ERROR", "object": { "kind": "Status", "apiVersion": "v1", "metadata": {},
        "status": "Failure", "message": "too old resource version (simulated)", "reason": "Expired", "code": 410 } });
    json_answer(200, format!("{text}\n"))
}

fn json_answer(code: u16, text: String) -> Response<ApiBody> {
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// The events of a watch, delayed while the machine receives nothing new.
fn news(body: ApiBody, process: Arc<Process>) -> ApiBody {
    let lines = stream::unfold((body, process), |(mut body, process)| async move {
        let frame: Result<Frame<Bytes>, Disconnected> = body.frame().await?;
        while let Some(at) = process.machine.news_at() {
            tokio::time::sleep_until(at).await;
        }
        if !process.machine.reaches_kube() {
            return None;
        }
        Some((frame, (body, process)))
    });
    StreamBody::new(lines).boxed_unsync()
}
