//! Calls at sockets of kubelet. The one call that a plugin makes is Register.

use crate::device_plugin::messages::{Empty, RegisterRequest};
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixStream;
use tonic::client::Grpc;
use tonic::transport::{Endpoint, Uri};
use tonic_prost::ProstCodec;
use tower::service_fn;

/// The longest time of a registration. Kubelet connects to the plugin before it answers, and takes up to 10 s for that.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Registers a plugin.
///
/// # Errors
/// A sentence, if kubelet cannot be reached or does not take the registration.
pub async fn register(socket: &Path, request: RegisterRequest) -> Result<(), String> {
    match tokio::time::timeout(TIMEOUT, call(socket, request)).await {
        Ok(result) => result,
        Err(_) => Err(format!("kubelet has not answered within {} s", TIMEOUT.as_secs())),
    }
}

async fn call(socket: &Path, request: RegisterRequest) -> Result<(), String> {
    unary::<_, Empty>(socket, "/v1beta1.Registration/Register", request).await.map(|_| ())
}

/// Makes one call with one message, on a connection of its own.
///
/// # Errors
/// A sentence, if kubelet cannot be reached or refuses.
pub async fn unary<Q, A>(socket: &Path, path: &'static str, request: Q) -> Result<A, String>
where
    Q: prost::Message + Default + Send + Sync + 'static,
    A: prost::Message + Default + Send + Sync + 'static,
{
    let socket = socket.to_owned();
    let connect = service_fn(move |_: Uri| {
        let socket = socket.clone();
        async move { Ok::<_, io::Error>(TokioIo::new(UnixStream::connect(&socket).await?)) }
    });
    // The address is for the header `:authority` alone.
    let endpoint = Endpoint::from_static("http://localhost");
    let channel = endpoint.connect_with_connector(connect).await.map_err(|error| causes(&error))?;
    let mut client = Grpc::new(channel);
    client.ready().await.map_err(|error| causes(&error))?;
    let codec = ProstCodec::<Q, A>::default();
    let path = PathAndQuery::from_static(path);
    let answer = client.unary(tonic::Request::new(request), path, codec).await;
    answer.map(tonic::Response::into_inner).map_err(|status| status.message().to_owned())
}

/// An error with what caused it: "transport error" alone tells nothing.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}
