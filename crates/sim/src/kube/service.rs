//! The server as a `tower::Service`, which `kube::Client` uses in process and hyper uses over TCP.
//!
//! Each request passes the interceptor, is served and is recorded.

use std::{
    sync::{Arc, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt;

use super::{
    answer::{self, ApiBody},
    faults::{Disconnected, Failure, FaultDecision},
    request::RequestInfo,
    routes,
    server::ApiServer,
    status::StatusError,
};

/// The API server as a service, for example `kube::Client::new(server.service(), "default")`.
#[derive(Clone, Debug)]
pub struct ApiService(pub(crate) ApiServer);

impl<B> tower::Service<Request<B>> for ApiService
where
    B: Body + Send + 'static,
    B::Data: Send,
{
    type Response = Response<ApiBody>;
    type Error = Disconnected;
    type Future = BoxFuture<'static, Result<Response<ApiBody>, Disconnected>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Disconnected>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let server = self.0.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            // A layer before this service may have parsed the request already.
            let read = parts.extensions.remove::<Arc<RequestInfo>>();
            let info = read.unwrap_or_else(|| Arc::new(RequestInfo::parse(&parts)));
            let Ok(body) = body.collect().await else {
                return Err(Disconnected);
            };
            server.answer(&info, body.to_bytes()).await
        })
    }
}

impl ApiServer {
    /// The server as a service in process.
    pub fn service(&self) -> ApiService {
        ApiService(self.clone())
    }

    async fn answer(&self, info: &RequestInfo, body: Bytes) -> Result<Response<ApiBody>, Disconnected> {
        let verdict = self.verdict(info);
        let mut late = None;
        match verdict {
            FaultDecision::Pass | FaultDecision::FailAfter(_) => {}
            FaultDecision::FailBefore(failure) => return self.fail(info, failure),
            FaultDecision::Delay(wait) => tokio::time::sleep(wait).await,
            FaultDecision::DelayAnswer(wait) => late = Some(wait),
        }
        self.lock().storage.observer.actor.clone_from(&info.user_agent);
        let serve = || routes::route(&self.state, info, &body);
        let response = match self.tape.get() {
            None => serve(),
            Some(tape) => tape.record(info, &body, serve),
        };
        self.lock().storage.observer.actor.clear();
        if let FaultDecision::FailAfter(failure) = verdict {
            return self.fail(info, failure);
        }
        self.log(info, response.status().as_u16());
        if let Some(wait) = late {
            tokio::time::sleep(wait).await;
        }
        Ok(response)
    }

    fn verdict(&self, info: &RequestInfo) -> FaultDecision {
        let mut interceptor = self.interceptor.lock().unwrap_or_else(PoisonError::into_inner);
        interceptor.0.as_mut().map_or(FaultDecision::Pass, |decide| decide(info))
    }

    fn fail(&self, info: &RequestInfo, failure: Failure) -> Result<Response<ApiBody>, Disconnected> {
        match failure {
            Failure::Status(code) => {
                self.log(info, code);
                Ok(answer::error(&StatusError::injected(code)))
            }
            Failure::Disconnect => {
                self.log(info, 0);
                Err(Disconnected)
            }
        }
    }

    fn log(&self, info: &RequestInfo, status: u16) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = state.clock.now();
        state.log.push(now, info, status);
    }
}
