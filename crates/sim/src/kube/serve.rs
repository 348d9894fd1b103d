//! The server over TCP, for kubectl and for controllers in other processes.

use std::{future::Future, io};

use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinSet};
use tower::Service;

use super::server::ApiServer;

impl ApiServer {
    /// Serves HTTP/1.1 until `shutdown`. Open connections, watches included, are then dropped.
    pub async fn serve(&self, listener: TcpListener, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let mut connections = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut shutdown => break,
                accepted = listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) if is_of_one_connection(&error) => continue,
                Err(error) => return Err(error),
            };
            let service = self.service();
            connections.spawn(async move {
                let answer = service_fn(move |request: Request<Incoming>| service.clone().call(request));
                let served = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
                if let Err(error) = served {
                    tracing::debug!(%error, "connection to the simulated API server ended");
                }
            });
        }
        connections.shutdown().await;
        Ok(())
    }

    /// A kubeconfig for a server at `url`.
    pub fn kubeconfig(&self, url: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: multi-eni-sim\nclusters:\n- name: multi-eni-sim\n  \
             cluster:\n    server: {url}\ncontexts:\n- name: multi-eni-sim\n  context:\n    cluster: multi-eni-sim\n    \
             user: multi-eni-sim\n    namespace: default\nusers:\n- name: multi-eni-sim\n  user: {{}}\n"
        )
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}
