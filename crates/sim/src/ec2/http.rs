//! How requests reach the account: by a smithy connector, in process, and by HTTP/1.1 over TCP.

use std::future::Future;
use std::io;
use std::pin::pin;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use futures::stream;
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::account::Ec2;
use super::faults::Loss;
use super::in_flight::Reply;

/// The limit of a request body. A DescribeNetworkInterfaces with 200 values per filter is far smaller.
const LONGEST_REQUEST: usize = 1 << 20;

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum LostAnswer {
    /// The request did not arrive.
    #[error("connection refused (simulated)")]
    Unreachable,
    /// The request arrived; the connection broke before the answer.
    #[error("connection broken before the answer (simulated)")]
    Broken,
}

impl Ec2 {
    /// Sends one request in process. The connector and the server call this method for each request.
    pub async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, LostAnswer> {
        let accepted = self.with(|state| state.accept(&request)).ok_or(LostAnswer::Unreachable)?;
        let mut receiver = accepted.reply;
        let reply: Reply = loop {
            self.sleep_until(accepted.lands_at).await;
            self.catch_up();
            match receiver.try_recv() {
                Ok(reply) => break reply,
                Err(tokio::sync::oneshot::error::TryRecvError::Closed) => {
                    return Err(LostAnswer::Broken);
                }
                // The timer has millisecond resolution, so the request may still be due in a fraction of a millisecond.
                Err(tokio::sync::oneshot::error::TryRecvError::Empty) => {
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
            }
        };
        if !reply.after.is_zero() {
            tokio::time::sleep(reply.after).await;
        }
        match reply.lost {
            Some(Loss::Broken) => return Err(LostAnswer::Broken),
            Some(Loss::Hang(time)) => {
                tokio::time::sleep(time).await;
                return Err(LostAnswer::Broken);
            }
            None => {}
        }
        let mut response = http::Response::builder()
            .status(reply.status)
            .header(http::header::CONTENT_TYPE, "text/xml;charset=UTF-8")
            .header("x-amzn-requestid", reply.request_id)
            .body(reply.body)
            .map_err(|_| LostAnswer::Broken)?;
        if reply.cut {
            response.extensions_mut().insert(CutOff);
        }
        Ok(response)
    }

    /// An HTTP client for an AWS SDK configuration. Its requests come to this account, in process.
    pub fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }

    /// The connector of [`Self::http_client`]. It applies the read timeout of the SDK's settings.
    pub fn connector(&self, settings: HttpConnectorSettings) -> SharedHttpConnector {
        SharedHttpConnector::new(InProcess { ec2: self.clone(), settings })
    }

    /// Serves HTTP/1.1, for AWS_ENDPOINT_URL, until `shutdown`. Open connections are then closed.
    pub async fn serve(&self, listener: TcpListener, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let mut shutdown = pin!(shutdown);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => return Ok(()),
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => {
                    let (stream, _) = accepted?;
                    let ec2 = self.clone();
                    connections.spawn(async move {
                        let service = service_fn(move |request| answer(ec2.clone(), request));
                        let serving =
                            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                        if let Err(error) = serving.await {
                            tracing::debug!(%error, "EC2 connection ended");
                        }
                    });
                }
            }
        }
    }
}

/// Marks an answer during which the connection breaks.
#[derive(Clone, Copy, Debug)]
struct CutOff;

/// The body as the caller receives it: whole, or the first half and then an error.
fn body_of(response: http::Response<Bytes>) -> http::Response<BoxBody<Bytes, LostAnswer>> {
    let cut = response.extensions().get::<CutOff>().is_some();
    response.map(|bytes| {
        if !cut {
            return Full::new(bytes).map_err(|never| match never {}).boxed();
        }
        let half = Frame::data(bytes.slice(..bytes.len() / 2));
        BodyExt::boxed(StreamBody::new(stream::iter([Ok(half), Err(LostAnswer::Broken)])))
    })
}

/// Answers one request over TCP. On an error, hyper closes the connection without an answer.
async fn answer(
    ec2: Ec2,
    request: http::Request<Incoming>,
) -> Result<http::Response<BoxBody<Bytes, LostAnswer>>, LostAnswer> {
    let (parts, body) = request.into_parts();
    let body = http_body_util::Limited::new(body, LONGEST_REQUEST).collect().await.map_err(|_| LostAnswer::Broken)?;
    Ok(body_of(ec2.send(http::Request::from_parts(parts, body.to_bytes())).await?))
}

impl HttpClient for Ec2 {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        self.connector(settings.clone())
    }
}

#[derive(Debug)]
struct InProcess {
    ec2: Ec2,
    settings: HttpConnectorSettings,
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (ec2, limit) = (self.ec2.clone(), self.settings.read_timeout());
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let (parts, body) = request.into_parts();
            let body = BodyExt::collect(body).await.map_err(ConnectorError::user)?.to_bytes();
            let sent = ec2.send(http::Request::from_parts(parts, body));
            let answered = match limit {
                Some(limit) => timeout(limit, sent).await.map_err(|late| ConnectorError::timeout(late.into()))?,
                None => sent.await,
            };
            let response = answered.map_err(|lost| ConnectorError::io(lost.into()))?;
            let response = body_of(response).map(SdkBody::from_body_1_x);
            HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}
