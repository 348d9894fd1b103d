//! All device plugins of the node, in a thread with a runtime of its own: a turn of the agent blocks its thread, and kubelet must not
//! wait for that.

use crate::device_plugin::allocations_file::AllocationsFile;
use crate::device_plugin::device_info_files;
use crate::device_plugin::directory_events::DirectoryEvents;
use crate::device_plugin::placement::{Kubelet, Placement, place};
use crate::device_plugin::placement_note::Note;
use crate::device_plugin::plugin::Plugin;
use crate::device_plugin::pod_resources::PodResources;
use crate::device_plugin::pool::{Pool, Pools};
use crate::device_plugin::resource_name::ResourceName;
use crate::pci_address::PciAddress;
use crate::said_once::SaidOnce;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How often the agent looks for a directory of kubelet that is not there, and tries to write device-info files again.
const DIRECTORY_WAIT: Duration = Duration::from_secs(10);

/// How often kubelet is asked whether a pod still has a device, and a kubelet that does not answer is asked again.
const POD_WAIT: Duration = Duration::from_secs(10);

/// What is told when the notes on devices are others.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// The directories of the device plugins.
#[derive(Debug, Clone)]
pub struct PluginDirectories {
    /// Kubelet's directory for the sockets of device plugins.
    pub kubelet: PathBuf,
    /// The directory of the device-info files.
    pub device_info: PathBuf,
    /// sysfs.
    pub sysfs: PathBuf,
    /// The agent's own state.
    pub state: PathBuf,
    /// Kubelet's API for what pods have.
    pub pod_resources: PodResources,
}

/// What a person should know of devices, in sentences.
pub type Notes = BTreeMap<PciAddress, String>;

/// The running plugins. They end with the value.
pub struct Plugins {
    pools: Option<watch::Sender<Pools>>,
    thread: Option<JoinHandle<()>>,
    notes: Arc<Mutex<Notes>>,
}

impl Plugins {
    /// Starts the thread. A resource is served from when the first of its devices is offered, and then with an empty list after the
    /// last one: its capacity on the Node is then 0, and kubelet refuses no pod that the scheduler has sent. A resource by which a pod has
    /// a device of an earlier process is served, too.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(directories: PluginDirectories, waker: Waker) -> io::Result<Self> {
        let (pools, receiver) = watch::channel(Pools::new());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let notes = Arc::<Mutex<Notes>>::default();
        let shared = SharedNotes { notes: Arc::clone(&notes), waker };
        let thread = std::thread::Builder::new()
            .name("device-plugins".to_owned())
            .spawn(move || runtime.block_on(run(&directories, receiver, &shared)))?;
        Ok(Self { pools: Some(pools), thread: Some(thread), notes })
    }

    /// What a person should know of the devices that were offered last.
    pub fn notes(&self) -> Notes {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
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

/// The notes, which the thread sets and the agent reads.
struct SharedNotes {
    notes: Arc<Mutex<Notes>>,
    waker: Waker,
}

impl SharedNotes {
    fn set(&self, placement: &Placement, unanswered: Option<&str>) {
        let unanswered =
            unanswered.map(|error| format!("; the agent cannot ask kubelet which devices pods have: {error}"));
        let sentence = |note: &Note| {
            let unanswered = unanswered.as_deref().filter(|_| note.ends_with_pod()).unwrap_or_default();
            format!("{note}{unanswered}")
        };
        let next: Notes = placement.notes.iter().map(|(device, note)| (device.clone(), sentence(note))).collect();
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if *notes != next {
            *notes = next;
            drop(notes);
            (self.waker)();
        }
    }
}

/// Places the devices. Kubelet is asked before the first ones, until it has told once, and whenever a pod is said to be in the way.
struct Placer<'a> {
    directories: &'a PluginDirectories,
    allocations: Arc<AllocationsFile>,
    has_told: bool,
    said: SaidOnce,
}

impl Placer<'_> {
    /// The placement, and why kubelet did not answer.
    async fn place(&mut self, asked: &Pools) -> (Placement, Option<String>) {
        let placement = place(asked, &self.allocations.ledger(), Kubelet::Tells);
        if placement.pools.is_empty() || self.has_told && !placement.is_about_pods() {
            return (placement, None);
        }
        match self.directories.pod_resources.devices().await {
            Ok(devices) => {
                self.has_told = true;
                self.said.forget();
                self.allocations.learn(&devices);
                (place(asked, &self.allocations.ledger(), Kubelet::Tells), None)
            }
            Err(error) => {
                if self.said.is_new(&error) {
                    tracing::warn!(error, "kubelet cannot be asked which devices pods have");
                }
                // A kubelet that has told before and starts anew admits its pods at this moment.
                let kubelet = if self.has_told { Kubelet::Tells } else { Kubelet::IsSilent };
                (place(asked, &self.allocations.ledger(), kubelet), Some(error))
            }
        }
    }
}

async fn run(directories: &PluginDirectories, mut pools: watch::Receiver<Pools>, shared: &SharedNotes) {
    let allocations = Arc::new(AllocationsFile::open(&directories.state));
    let sysfs: Arc<Path> = Arc::from(directories.sysfs.as_path());
    let mut placer =
        Placer { directories, allocations: Arc::clone(&allocations), has_told: false, said: SaidOnce::default() };
    let (look, looks) = watch::channel(());
    let mut plugins = JoinSet::new();
    let mut offered: BTreeMap<ResourceName, watch::Sender<Pool>> = BTreeMap::new();
    let mut events: Option<DirectoryEvents> = None;
    let mut is_absence_said = false;
    let none = Pools::new();
    let info_said = SaidOnce::default();
    loop {
        let asked = pools.borrow_and_update().clone();
        let (placement, unanswered) = placer.place(&asked).await;
        shared.set(&placement, unanswered.as_deref());
        let asks_again = placement.is_about_pods() || unanswered.is_some();
        let now = placement.pools;
        if events.is_none() && !(now.is_empty() && offered.is_empty()) {
            events = watched(&directories.kubelet, &mut is_absence_said);
            look.send_replace(());
        }
        // Without kubelet's directory, no device is offered, so that Multus needs none of the files.
        let is_behind = !has_written(&directories.device_info, if events.is_some() { &now } else { &none }, &info_said);
        if events.is_some() {
            for resource in now.keys().filter(|resource| !offered.contains_key(*resource)).cloned().collect::<Vec<_>>()
            {
                let (sender, pool) = watch::channel(now.get(&resource).cloned().unwrap_or_default());
                let (directory, looks) = (directories.kubelet.clone(), looks.clone());
                tracing::info!(%resource, "a device plugin is started");
                let (allocations, sysfs) = (Arc::clone(&allocations), Arc::clone(&sysfs));
                let plugin = Plugin { resource: resource.clone(), directory, pool, allocations, sysfs, looks };
                plugins.spawn(plugin.run());
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
            () = tokio::time::sleep(POD_WAIT), if asks_again => {}
            () = tokio::time::sleep(DIRECTORY_WAIT), if is_behind || is_waiting_for_directory || (events.is_none() && !offered.is_empty()) => {}
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

/// Makes the device-info files those of the pools. A failure is said once.
fn has_written(directory: &Path, pools: &Pools, said: &SaidOnce) -> bool {
    match device_info_files::synchronize(directory, pools) {
        Ok(_) => {
            said.forget();
            true
        }
        Err(error) => {
            if said.is_new(&error.to_string()) {
                let directory = directory.display();
                tracing::warn!(%directory, %error, "the device-info files of Multus cannot be written");
            }
            false
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device_plugin::pool::{Access, Device};
    use std::fs;

    fn pools() -> Pools {
        let device = Device { is_healthy: true, numa_node: None, driver: None, access: Access::Interface };
        Pools::from([("example.com/fast".parse().unwrap(), Pool::from([("0000:00:06.0".parse().unwrap(), device)]))])
    }

    #[test]
    fn without_kubelets_directory_no_device_info_file_is_written() {
        let root = std::env::temp_dir().join(format!("multi-eni-plugins-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let (kubelet, device_info) = (root.join("kubelet"), root.join("devinfo"));
        let offer = || {
            let pod_resources = PodResources { socket: root.join("pod-resources.sock"), own_pod: None };
            let directories = PluginDirectories {
                kubelet: kubelet.clone(),
                device_info: device_info.clone(),
                sysfs: root.clone(),
                state: root.join("state"),
                pod_resources,
            };
            let plugins = Plugins::start(directories, Arc::new(|| ())).unwrap();
            plugins.offer(pools());
            std::thread::sleep(Duration::from_millis(500));
        };
        offer();
        assert!(!device_info.exists());
        fs::create_dir_all(&kubelet).unwrap();
        offer();
        assert_eq!(fs::read_dir(&device_info).unwrap().count(), 1);
        // The directory of an old kubelet goes: so does what would send pods to it.
        fs::remove_dir_all(&kubelet).unwrap();
        offer();
        assert_eq!(fs::read_dir(&device_info).unwrap().count(), 0);
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn files_that_cannot_be_written_are_said_once() {
        let root = std::env::temp_dir().join(format!("multi-eni-plugins-said-{}", std::process::id()));
        fs::write(&root, "").unwrap();
        let (directory, said) = (root.join("devinfo"), SaidOnce::default());
        assert!(!has_written(&directory, &pools(), &said));
        let error = device_info_files::synchronize(&directory, &pools()).unwrap_err();
        assert!(!said.is_new(&error.to_string()), "it was said");
        fs::remove_file(&root).unwrap();
        assert!(has_written(&directory, &pools(), &said));
        assert!(said.is_new(&error.to_string()), "the next failure is said again");
        fs::remove_dir_all(&root).unwrap();
    }
}
