//! Connections to the API server that send each request at once. It is given a configuration; it never decides what to send.
//!
//! kube's own connections leave Nagle's algorithm on (kube-rs/kube#2056): on a connection whose last segment the API server has not
//! acknowledged yet, a small request waits for that acknowledgement, which Linux delays by up to 40 ms. That was the first request on a
//! new connection, and so the ENIAttachment of the first label after a quiet minute. Go's and the AWS SDK's clients switch it off.

use http::{Request, Response};
use http_body_util::BodyExt;
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::Config;
use kube::client::{Body, ClientBuilder, ConfigExt, DynBody};
use tower::util::BoxService;
use tower::{BoxError, ServiceBuilder, ServiceExt};

/// A service that sends requests to the API server.
pub type ApiServerService = BoxService<Request<Body>, Response<Box<DynBody>>, BoxError>;

/// The service of a client of this configuration, without retries. Through a proxy, and with credentials of a command, it is kube's own.
///
/// # Errors
/// If TLS or credentials of the configuration cannot be set up.
pub fn service(config: Config) -> kube::Result<ClientBuilder<ApiServerService>> {
    if config.proxy_url.is_some() || config.auth_info.exec.is_some() {
        return ClientBuilder::try_from(config);
    }
    // kube does this in its own builder. An error says that the process has a provider already.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(tcp())?);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    connector.set_reset_reader_on_write(config.reset_reader_on_write);
    let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(client)
        .map_response(|answer| answer.map(|body| Box::new(body.map_err(BoxError::from)) as Box<DynBody>));
    Ok(ClientBuilder::new(BoxService::new(service), config.default_namespace.clone()))
}

/// TCP without Nagle's algorithm, for HTTP and HTTPS.
fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_connection_sends_at_once_for_both_schemes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        for scheme in ["http", "https"] {
            let uri = format!("{scheme}://{}", listener.local_addr().unwrap()).parse().unwrap();
            let connection = tcp().oneshot(uri).await.unwrap();
            assert!(connection.inner().nodelay().unwrap(), "{scheme}");
        }
    }

    /// The parts of kube's own service: the base URL, the token and the headers of the configuration.
    #[tokio::test]
    async fn a_request_has_what_the_configuration_says() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = Config::new(format!("http://{}/prefix", listener.local_addr().unwrap()).parse().unwrap());
        config.auth_info.token = Some("secret".to_owned().into());
        config.headers = vec![(http::HeaderName::from_static("x-of"), http::HeaderValue::from_static("config"))];
        let client = service(config).unwrap().build();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut read = vec![0; 4096];
            let length = stream.read(&mut read).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            String::from_utf8_lossy(&read[..length]).to_lowercase()
        };
        let request = Request::get("/api/v1/nodes").body(Vec::new()).unwrap();
        let (answer, sent) = tokio::join!(client.request_text(request), server);
        assert_eq!(answer.unwrap(), "ok");
        for part in ["get /prefix/api/v1/nodes ", "authorization: bearer secret", "x-of: config"] {
            assert!(sent.contains(part), "{part}: {sent}");
        }
    }
}
