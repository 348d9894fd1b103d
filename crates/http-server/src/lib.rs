//! The HTTP server of a process: `/healthz`, `/readyz` and `/metrics`. What the pages show is up to the caller ([`Pages`]).

mod listen;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use listen::listen;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// What a process shows.
pub trait Pages: Send + Sync + 'static {
    /// The metrics, in the OpenMetrics text format.
    ///
    /// # Errors
    /// If a value cannot be written.
    fn metrics(&self) -> impl Future<Output = Result<String, fmt::Error>> + Send;

    /// Whether the process is ready, in words.
    ///
    /// # Errors
    /// Why it is not ready, in words.
    fn ready(&self) -> Result<String, String>;
}

/// Where a process listens. The two may be the same address. None: nothing listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Addresses {
    /// Of `/metrics`.
    pub metrics: Option<SocketAddr>,
    /// Of `/healthz` and `/readyz`.
    pub health: Option<SocketAddr>,
}

/// Serves until the process ends. The addresses are bound before this returns. The result has the bound addresses: with port 0 the
/// kernel chooses one.
///
/// # Errors
/// If an address cannot be bound; the message names the address.
pub async fn start<P: Pages>(wanted: Addresses, pages: Arc<P>) -> Result<Addresses, String> {
    let metrics = Router::new().route("/metrics", get(show_metrics::<P>)).with_state(Arc::clone(&pages));
    let health = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(show_ready::<P>))
        .with_state(Arc::clone(&pages));
    if wanted.metrics == wanted.health {
        let both = bind(wanted.metrics, metrics.merge(health)).await?;
        return Ok(Addresses { metrics: both, health: both });
    }
    Ok(Addresses { metrics: bind(wanted.metrics, metrics).await?, health: bind(wanted.health, health).await? })
}

/// Binds the address, if there is one, and serves from a task of its own.
async fn bind(address: Option<SocketAddr>, router: Router) -> Result<Option<SocketAddr>, String> {
    let Some(address) = address else { return Ok(None) };
    let cannot = |error| format!("cannot listen on {address}: {error}");
    let listener = listen(address, TcpListener::bind).await.map_err(cannot)?;
    let bound = listener.local_addr().map_err(cannot)?;
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "HTTP server stopped");
        }
    });
    Ok(Some(bound))
}

async fn show_metrics<P: Pages>(State(pages): State<Arc<P>>) -> impl IntoResponse {
    match pages.metrics().await {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn show_ready<P: Pages>(State(pages): State<Arc<P>>) -> impl IntoResponse {
    match pages.ready() {
        Ok(words) => (StatusCode::OK, format!("ok: {words}")),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    struct Shown(Result<String, String>);

    impl Pages for Shown {
        async fn metrics(&self) -> Result<String, fmt::Error> {
            Ok("# EOF\n".to_owned())
        }

        fn ready(&self) -> Result<String, String> {
            self.0.clone()
        }
    }

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn each_address_has_its_pages_and_no_others() {
        let any = Some("127.0.0.1:0".parse().unwrap());
        let other = Some("127.0.0.2:0".parse().unwrap());
        let ready = Shown(Err("the first list is not complete".to_owned()));
        let bound = start(Addresses { metrics: any, health: other }, Arc::new(ready)).await.unwrap();
        let (metrics, health) = (bound.metrics.unwrap(), bound.health.unwrap());
        assert!(get(metrics, "/metrics").await.ends_with("# EOF\n"));
        assert!(get(metrics, "/readyz").await.starts_with("HTTP/1.1 404"));
        assert!(get(health, "/metrics").await.starts_with("HTTP/1.1 404"));
        assert!(get(health, "/healthz").await.starts_with("HTTP/1.1 200"));
        let answer = get(health, "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.ends_with("not ready: the first list is not complete"));
    }

    #[tokio::test]
    async fn one_address_may_have_all_pages_and_none_listens_nowhere() {
        let any = Some("127.0.0.1:0".parse().unwrap());
        let bound =
            start(Addresses { metrics: any, health: any }, Arc::new(Shown(Ok("leading".to_owned())))).await.unwrap();
        assert_eq!(bound.metrics, bound.health);
        let address = bound.metrics.unwrap();
        assert!(get(address, "/metrics").await.ends_with("# EOF\n"));
        assert!(get(address, "/readyz").await.ends_with("ok: leading"));
        let none = start(Addresses::default(), Arc::new(Shown(Ok(String::new())))).await.unwrap();
        assert_eq!(none, Addresses::default());
        let taken = start(Addresses { metrics: Some(address), health: None }, Arc::new(Shown(Ok(String::new())))).await;
        assert!(taken.unwrap_err().contains(&format!("cannot listen on {address}")));
    }
}
