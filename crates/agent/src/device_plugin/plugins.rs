//! All device plugins of the node, in a thread with a runtime of its own: a turn of the agent blocks its thread, and kubelet must not
//! wait for that.

use crate::device_plugin::device_info_files;
use crate::device_plugin::directory_events::DirectoryEvents;
use crate::device_plugin::plugin::Plugin;
use crate::device_plugin::pool::{Pool, Pools};
use crate::device_plugin::resource_name::ResourceName;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How often the agent looks for a directory of kubelet that is not there.
const DIRECTORY_WAIT: Duration = Duration::from_secs(10);

/// The directories of the device plugins.
#[derive(Debug, Clone)]
pub struct PluginDirectories {
    /// Kubelet's directory for the sockets of device plugins.
    pub kubelet: PathBuf,
    /// The directory of the device-info files.
    pub device_info: PathBuf,
}

/// The running plugins. They end with the value.
pub struct Plugins {
    pools: Option<watch::Sender<Pools>>,
    thread: Option<JoinHandle<()>>,
}

impl Plugins {
    /// Starts the thread. A resource is served from when the first of its devices is offered, and then with an empty list after the
    /// last one: its capacity on the Node is then 0, and kubelet refuses no pod that the scheduler has sent.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(directories: PluginDirectories) -> io::Result<Self> {
        let (pools, receiver) = watch::channel(Pools::new());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new()
            .name("device-plugins".to_owned())
            .spawn(move || runtime.block_on(run(&directories, receiver)))?;
        Ok(Self { pools: Some(pools), thread: Some(thread) })
    }

    /// Offers these pools, and nothing else.
    pub fn offer(&self, pools: Pools) {
        if let Some(sender) = &self.pools {
            sender.send_if_modified(|now| {
                let is_new = *now != pools;
                *now = pools;
                is_new
            });
        }
    }
}

impl Drop for Plugins {
    fn drop(&mut self) {
        self.pools = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the device plugins has panicked");
        }
    }
}

async fn run(directories: &PluginDirectories, mut pools: watch::Receiver<Pools>) {
    let (look, looks) = watch::channel(());
    let mut plugins = JoinSet::new();
    let mut offered: BTreeMap<ResourceName, watch::Sender<Pool>> = BTreeMap::new();
    let mut events: Option<DirectoryEvents> = None;
    let mut is_absence_said = false;
    loop {
        let now = pools.borrow_and_update().clone();
        if let Err(error) = device_info_files::synchronize(&directories.device_info, &now) {
            let directory = directories.device_info.display();
            tracing::warn!(%directory, %error, "the device-info files of Multus cannot be written");
        }
        if events.is_none() && !(now.is_empty() && offered.is_empty()) {
            events = watched(&directories.kubelet, &mut is_absence_said);
            look.send_replace(());
        }
        if events.is_some() {
            for resource in now.keys().filter(|resource| !offered.contains_key(*resource)).cloned().collect::<Vec<_>>()
            {
                let (sender, pool) = watch::channel(now.get(&resource).cloned().unwrap_or_default());
                let (directory, looks) = (directories.kubelet.clone(), looks.clone());
                tracing::info!(%resource, "a device plugin is started");
                plugins.spawn(Plugin { resource: resource.clone(), directory, pool, looks }.run());
                offered.insert(resource, sender);
            }
        }
        for (resource, sender) in &offered {
            let next = now.get(resource).cloned().unwrap_or_default();
            sender.send_if_modified(|pool| {
                let is_new = *pool != next;
                *pool = next;
                is_new
            });
        }
        let is_waiting_for_directory = events.is_none() && !now.is_empty();
        tokio::select! {
            change = pools.changed() => if change.is_err() {
                break;
            },
            is_open = wait(&mut events) => {
                events = events.filter(|events| is_open && events.is_current());
                look.send_replace(());
            }
            () = tokio::time::sleep(DIRECTORY_WAIT), if is_waiting_for_directory || (events.is_none() && !offered.is_empty()) => {}
        }
    }
    // Each plugin ends with the sender of its pool.
    offered.clear();
    while plugins.join_next().await.is_some() {}
}

async fn wait(events: &mut Option<DirectoryEvents>) -> bool {
    match events {
        Some(events) => events.wait().await,
        None => std::future::pending().await,
    }
}

fn watched(directory: &Path, is_absence_said: &mut bool) -> Option<DirectoryEvents> {
    match DirectoryEvents::open(directory) {
        Ok(events) => {
            *is_absence_said = false;
            Some(events)
        }
        Err(error) => {
            if !std::mem::replace(is_absence_said, true) {
                let directory = directory.display();
                tracing::warn!(%directory, %error, "kubelet's directory cannot be watched: no device is offered to pods");
            }
            None
        }
    }
}
