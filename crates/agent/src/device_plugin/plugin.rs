//! The plugin of one resource: serves its socket in kubelet's directory, and registers whenever kubelet does not know it.

use crate::device_plugin::allocations_file::AllocationsFile;
use crate::device_plugin::kubelet;
use crate::device_plugin::messages::{RegisterRequest, VERSION};
use crate::device_plugin::pool::Pool;
use crate::device_plugin::registration::{Observed, Registration, SocketId, Step};
use crate::device_plugin::resource_name::ResourceName;
use crate::device_plugin::service::{DevicePluginService, Lists, options};
use crate::device_plugin::socket::{OwnFile, kubelet_id, kubelet_path};
use futures::stream::unfold;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tonic::transport::Server;

/// How long connections may take to end with the plugin.
const FAREWELL: Duration = Duration::from_secs(1);

/// The plugin of one resource.
pub struct Plugin {
    /// The resource.
    pub resource: ResourceName,
    /// Kubelet's directory.
    pub directory: PathBuf,
    /// The devices. The plugin ends when their sender does.
    pub pool: watch::Receiver<Pool>,
    /// Which devices pods have.
    pub allocations: Arc<AllocationsFile>,
    /// Where sysfs is.
    pub sysfs: Arc<Path>,
    /// Something has changed in the directory.
    pub looks: watch::Receiver<()>,
}

impl Plugin {
    /// Serves until the sender of the pool is gone.
    pub async fn run(self) {
        let lists = Arc::new(Lists::default());
        let service = DevicePluginService {
            resource: self.resource.clone(),
            pool: self.pool.clone(),
            lists: Arc::clone(&lists),
            allocations: Arc::clone(&self.allocations),
            sysfs: Arc::clone(&self.sysfs),
        };
        let (connections, incoming) = mpsc::channel(4);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = tokio::spawn(serve(service, incoming, stopped));
        let mut pool = self.pool.clone();
        {
            let ends = async { while pool.changed().await.is_ok() {} };
            let mut ends = pin!(ends);
            let mut work = pin!(self.work(&lists, connections));
            tokio::select! {
                () = &mut ends => {}
                () = &mut work => {}
            }
        }
        // Kubelet sees its list end, and takes the devices for unhealthy until the next registration.
        drop(stop);
        if tokio::time::timeout(FAREWELL, server).await.is_err() {
            tracing::info!(resource = %self.resource, "a connection of kubelet did not end in time");
        }
    }

    /// Makes the socket and registers, again and again.
    async fn work(&self, lists: &Lists, connections: mpsc::Sender<UnixStream>) {
        let began = Instant::now();
        let mut own = OwnFile::new(self.directory.join(self.resource.socket()));
        let mut registration = Registration::default();
        let mut accepting: Option<Accepting> = None;
        let mut looks = self.looks.clone();
        loop {
            // Before the look, so that a change during it counts.
            looks.mark_unchanged();
            let (opened, closed) = lists.counts();
            let observed = Observed { own: own.look(), kubelet: kubelet_id(&self.directory), opened, closed };
            match registration.next(began.elapsed(), &observed) {
                Step::Bind => match own.bind() {
                    Ok(listener) => accepting = Some(Accepting::start(listener, connections.clone())),
                    Err(error) => {
                        tracing::warn!(resource = %self.resource, %error, "the device plugin cannot make its socket");
                        registration.failed(began.elapsed());
                    }
                },
                Step::Register(kubelet) => {
                    lists.begin();
                    match self.register().await {
                        Ok(()) => {
                            tracing::info!(resource = %self.resource, "registered with kubelet");
                            registration.registered(began.elapsed(), kubelet);
                        }
                        Err(error) => {
                            tracing::warn!(resource = %self.resource, error, "kubelet did not take the registration");
                            self.refused(&mut registration, kubelet, began.elapsed());
                        }
                    }
                }
                Step::Wait(longest) => {
                    let timer = async {
                        match longest {
                            Some(wait) => tokio::time::sleep(wait).await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        () = timer => {}
                        () = lists.changed.notified() => {}
                        change = looks.changed() => if change.is_err() {
                            break;
                        },
                    }
                }
            }
        }
        drop(accepting);
    }

    /// A refusal of a kubelet that is gone by now does not delay the next one.
    fn refused(&self, registration: &mut Registration, asked: SocketId, now: Duration) {
        if kubelet_id(&self.directory) == Some(asked) {
            registration.failed(now);
        }
    }

    async fn register(&self) -> Result<(), String> {
        let request = RegisterRequest {
            version: VERSION.to_owned(),
            endpoint: self.resource.socket(),
            resource_name: self.resource.to_string(),
            options: Some(options()),
        };
        kubelet::register(&kubelet_path(&self.directory), request).await
    }
}

/// Takes the connections of one listener until it is dropped. Connections that were taken go on.
struct Accepting(JoinHandle<()>);

impl Accepting {
    fn start(listener: UnixListener, connections: mpsc::Sender<UnixStream>) -> Self {
        Self(tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((connection, _)) => {
                        if connections.send(connection).await.is_err() {
                            return;
                        }
                    }
                    Err(error) => {
                        // No file descriptor is free, for example.
                        tracing::warn!(%error, "a connection of kubelet cannot be taken");
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                }
            }
        }))
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One server for the connections of all listeners that the plugin has had.
async fn serve(
    service: DevicePluginService,
    incoming: mpsc::Receiver<UnixStream>,
    stopped: tokio::sync::oneshot::Receiver<()>,
) {
    let connections = unfold(incoming, |mut incoming| async move {
        let connection = incoming.recv().await?;
        Some((Ok::<_, io::Error>(connection), incoming))
    });
    let until = async {
        // The sender's end is the signal.
        let _ = stopped.await;
    };
    if let Err(error) = Server::builder().serve_with_incoming_shutdown(service, connections, until).await {
        tracing::warn!(%error, "the server of the device plugin failed");
    }
}
