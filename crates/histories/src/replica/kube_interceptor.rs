//! Where a replica's requests leave for the API server, and where they meet what goes wrong.
//!
//! A request that has left is on the wire: it lands though its caller gives up, is frozen, or dies.

use super::life::Life;
use crate::interceptor::Interceptor;
use crate::script::{Befallen, Fault};
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

/// The API server as one process reaches it.
#[derive(Clone)]
pub struct KubeInterceptor {
    interceptor: Arc<Interceptor>,
    life: Arc<Life>,
}

type Answer = Result<Response<ApiBody>, Disconnected>;

impl KubeInterceptor {
    /// For that process.
    pub fn new(interceptor: Arc<Interceptor>, life: Arc<Life>) -> Self {
        Self { interceptor, life }
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
        let gate = self.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            if let Ok(name) = HeaderValue::from_str(&gate.life.name()) {
                parts.headers.insert(header::USER_AGENT, name);
            }
            let bytes = body.collect().await.map_err(|_| Disconnected)?.to_bytes();
            gate.send(Request::from_parts(parts, bytes)).await
        })
    }
}

impl KubeInterceptor {
    async fn send(self, request: Request<Bytes>) -> Answer {
        if self.life.is_dead() {
            return std::future::pending().await;
        }
        let (mut parts, bytes) = request.into_parts();
        let info = Arc::new(RequestInfo::parse(&parts));
        parts.extensions.insert(info.clone());
        let asked = self.interceptor.checker.asks(&self.life, &info, &bytes);
        let request = Request::from_parts(parts, Full::new(bytes));
        let passage = self.interceptor.kube(&self.life, &info);
        if passage.befallen.as_ref().is_some_and(|befallen| befallen.fault == Fault::CrashBefore) {
            return std::future::pending().await;
        }
        if info.verb == "watch" {
            return self.watch(request, passage).await;
        }
        let Self { interceptor, life } = self;
        let (at_interceptor, about) = (interceptor.clone(), info.clone());
        let landing = tokio::spawn(async move { land(&at_interceptor, request, &about, passage).await });
        let answer = landing.await.unwrap_or(Err(Disconnected));
        let status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
        interceptor.checker.answered(&life, &info, status);
        if let Some(asked) = asked {
            interceptor.checker.ended(&life, &asked, status);
        }
        answer
    }

    async fn watch(self, request: Request<Full<Bytes>>, passage: Passage) -> Answer {
        tokio::time::sleep(passage.there).await;
        if let Some(stopped) = stopped(&passage) {
            return stopped;
        }
        if passage.befallen.is_some_and(|befallen| befallen.fault == Fault::Gone) {
            return Ok(gone());
        }
        let answer = self.interceptor.environment.api.service().call(request).await?;
        Ok(answer.map(|body| news(body, self.life)))
    }
}

/// How one request passes.
pub struct Passage {
    /// How long it is on its way there.
    pub there: Duration,
    /// How long its answer is on its way back.
    pub back: Duration,
    /// Whether the API server is to be reached at all.
    pub reachable: bool,
    /// The HTTP status with which it is refused, whatever it asks.
    pub refused: Option<u16>,
    /// What befalls it.
    pub befallen: Option<Befallen>,
}

/// The request is at the API server's door, whatever has become of its caller.
async fn land(
    interceptor: &Interceptor,
    request: Request<Full<Bytes>>,
    info: &RequestInfo,
    passage: Passage,
) -> Answer {
    tokio::time::sleep(passage.there).await;
    if let Some(stopped) = stopped(&passage) {
        return stopped;
    }
    let lasts = Duration::from_millis(passage.befallen.as_ref().map_or(0, |befallen| befallen.lasts));
    let fault = passage.befallen.map(|befallen| befallen.fault);
    match fault {
        Some(Fault::Late) => tokio::time::sleep(lasts).await,
        Some(Fault::Interfere) => interceptor.interfere(info).await,
        _ => {}
    }
    // What a dead process sent to EC2 has landed by now, though nobody waits for it.
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
    tokio::time::sleep(passage.back).await;
    Ok(answer)
}

/// The answer of a request that never reached its object.
fn stopped(passage: &Passage) -> Option<Answer> {
    let fault = passage.befallen.as_ref().map(|befallen| befallen.fault);
    if !passage.reachable || fault == Some(Fault::Unreachable) {
        return Some(Err(Disconnected));
    }
    passage.refused.or_else(|| refusal(fault)).map(|code| Ok(status(code)))
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

/// A watch that ends at once, as when its resourceVersion was compacted.
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

/// A watch's lines, held back while the machine sees nothing new.
fn news(body: ApiBody, life: Arc<Life>) -> ApiBody {
    let lines = stream::unfold((body, life), |(mut body, life)| async move {
        let frame: Result<Frame<Bytes>, Disconnected> = body.frame().await?;
        while let Some(at) = life.machine.news_at() {
            tokio::time::sleep_until(at).await;
        }
        if !life.machine.reaches_kube() {
            return None;
        }
        Some((frame, (body, life)))
    });
    StreamBody::new(lines).boxed_unsync()
}
