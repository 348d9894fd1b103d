//! The HTTP client of the exporter: hyper with rustls, as all clients of this process. It remembers why the last request failed,
//! which the exporter's own error does not say.

use async_trait::async_trait;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use std::error::Error;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A collector's answer is a few bytes.
const MAX_ANSWER: usize = 1 << 20;

/// Why the last request failed.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastFailure(Arc<Mutex<Option<String>>>);

impl LastFailure {
    /// Takes the words of the failure.
    pub(crate) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, words: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = words;
    }
}

/// The client.
#[derive(Debug)]
pub(crate) struct CollectorClient<C> {
    inner: Client<C, Full<Bytes>>,
    timeout: Duration,
    last_failure: LastFailure,
}

impl CollectorClient<HttpConnector> {
    /// A client for http. It needs no certificates. A request may take as long as `timeout`.
    pub(crate) fn http(timeout: Duration, last_failure: LastFailure) -> Self {
        Self { inner: Client::builder(TokioExecutor::new()).build_http(), timeout, last_failure }
    }
}

impl CollectorClient<HttpsConnector<HttpConnector>> {
    /// A client for https.
    ///
    /// # Errors
    /// If the system has no certificates to trust.
    pub(crate) fn https(timeout: Duration, last_failure: LastFailure) -> std::io::Result<Self> {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let connector = HttpsConnectorBuilder::new().with_provider_and_native_roots(provider)?;
        let connector = connector.https_only().enable_http1().build();
        Ok(Self { inner: Client::builder(TokioExecutor::new()).build(connector), timeout, last_failure })
    }
}

impl<C: Connect + Clone + Send + Sync + 'static> CollectorClient<C> {
    async fn request(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = self.inner.request(request.map(Full::new)).await?.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await?.to_bytes();
        Ok(Response::from_parts(head, body))
    }
}

#[async_trait]
impl<C: Connect + Clone + Send + Sync + Debug + 'static> HttpClient for CollectorClient<C> {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = match tokio::time::timeout(self.timeout, self.request(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {:?}", self.timeout).into()),
        };
        self.last_failure.set(answer.as_ref().err().map(|error| words(&**error)));
        answer
    }
}

/// The words of an error and of all its causes.
fn words(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    std::iter::once(error).chain(causes).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
