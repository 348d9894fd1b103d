//! The API server in the namespace of a node. It listens on the loopback of the host's namespace, which a process in another namespace
//! cannot reach. So a socket listens at the same address in the namespace, and each connection goes on from there to the API server.

use super::namespaces::Namespaces;
use std::net::{SocketAddr, TcpListener};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};

/// Listens at the address in a namespace until the task is aborted.
pub fn forward(namespaces: &Namespaces, name: &str, to: SocketAddr) -> Result<JoinHandle<()>, String> {
    let failed = |error| format!("cannot listen on {to} in the namespace of {name}: {error}");
    let listener = namespaces.enter(name, || TcpListener::bind(to))?.map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
    Ok(tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut inner, _)) = listener.accept().await {
            while connections.try_join_next().is_some() {}
            connections.spawn(async move {
                // An agent whose connection breaks connects again.
                if let Ok(mut outer) = TcpStream::connect(to).await {
                    let _ = copy_bidirectional(&mut inner, &mut outer).await;
                }
            });
        }
    }))
}
