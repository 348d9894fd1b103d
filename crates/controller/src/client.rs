//! Clients of the API server, without hidden retries and with explicit timeouts. Writes of the fenced client pass the fence. This
//! file never decides what to send.

use crate::connections;
use crate::leader_election::{Fence, Target};
use futures::future::{Either, Ready, ready};
use http::{Method, Request, Response};
use kube::client::Body;
use kube::config::InferConfigError;
use kube::{Client, Config};
use std::ffi::OsStr;
use std::task::{Context, Poll};
use std::time::Duration;
use tower::{BoxError, Layer, Service};

/// Timeout of one write.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(8);

/// The longest time without data on a watch: two bookmarks are missing (kube-apiserver's `bookmarkFrequency` is one minute).
const WATCH_SILENCE: Duration = Duration::from_secs(150);

/// The configuration: KUBECONFIG, then in-cluster, with our timeouts and without kube's retries.
///
/// # Errors
/// If there is no configuration, or the kubeconfig cannot be read: a sentence.
pub async fn config() -> Result<Config, String> {
    let mut config =
        Config::infer().await.map_err(|error| no_config(&error, std::env::var_os("KUBECONFIG").as_deref()))?;
    // kube's retry layer also repeats writes, with back-off up to 1,000 s: a renewal could arrive after the end of the Lease.
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    // The API server sends a bookmark every minute, so a watch without data for longer is broken, whatever its connection looks
    // like. Single requests have their own, shorter timeouts.
    config.read_timeout = Some(WATCH_SILENCE);
    config.write_timeout = Some(WRITE_TIMEOUT);
    Ok(config)
}

/// Why there is no configuration, as a sentence. `named`: the value of the variable KUBECONFIG.
fn no_config(error: &InferConfigError, named: Option<&OsStr>) -> String {
    let why = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    match named.filter(|named| !named.is_empty()) {
        Some(named) => {
            format!("the kubeconfig that KUBECONFIG names ({}) cannot be used: {why}", named.to_string_lossy())
        }
        None => {
            format!("no API server is configured: set KUBECONFIG, or run in a cluster with a ServiceAccount ({why})")
        }
    }
}

/// A client without the fence, for reads and for the Lease itself.
///
/// # Errors
/// If TLS or credentials of the configuration cannot be set up.
pub fn plain(config: &Config) -> kube::Result<Client> {
    Ok(connections::service(config.clone())?.build())
}

/// A client that refuses a write if the Lease could end before the write does.
///
/// # Errors
/// If TLS or credentials of the configuration cannot be set up.
pub fn fenced(config: &Config, fence: Fence) -> kube::Result<Client> {
    Ok(connections::service(config.clone())?.with_layer(&FenceLayer(fence)).build())
}

/// The fence as a tower layer, for any service below a client.
#[derive(Clone)]
pub struct FenceLayer(pub Fence);

impl<S> Layer<S> for FenceLayer {
    type Service = Fenced<S>;
    fn layer(&self, inner: S) -> Fenced<S> {
        Fenced { inner, fence: self.0.clone() }
    }
}

/// A service that refuses writes while the fence is closed.
#[derive(Clone)]
pub struct Fenced<S> {
    inner: S,
    fence: Fence,
}

/// A write that was not sent, because the Lease may be lost.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("not sent: this replica may no longer be the leader")]
pub struct NotLeader;

impl<S, B> Service<Request<Body>> for Fenced<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future =
        Either<futures::future::MapErr<S::Future, fn(S::Error) -> BoxError>, Ready<Result<Response<B>, BoxError>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        use futures::TryFutureExt;
        let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        if reads || self.fence.lets_pass(Target::ApiServer, WRITE_TIMEOUT) {
            Either::Left(self.inner.call(request).map_err(Into::into as fn(S::Error) -> BoxError))
        } else {
            Either::Right(ready(Err(NotLeader.into())))
        }
    }
}
