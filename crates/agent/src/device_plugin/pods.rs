//! What the agent holds for pods: the device plugins, or the configuration of the SR-IOV network device plugin. Each turn offers what it
//! has found.

use crate::device_plugin::candidates::Candidates;
use crate::device_plugin::device_info_files::synchronize;
use crate::device_plugin::offer::pools;
use crate::device_plugin::pci_sysfs;
use crate::device_plugin::plugins::{PluginDirectories, Plugins};
use crate::device_plugin::pool::Pools;
use crate::device_plugin::sriov_config_file::store;
use crate::pci_address::PciAddress;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How pods get the ENIs.
pub struct Pods {
    sysfs: PathBuf,
    way: Way,
    /// The device that each ENI was offered with last, by the UID of its ENIAttachment.
    known: BTreeMap<String, PciAddress>,
    /// What was said last, so that it is said once.
    said: Vec<String>,
}

enum Way {
    /// The agent's own device plugins. A node on which no ENI has a resource name starts none.
    Plugins {
        /// Their directories.
        directories: PluginDirectories,
        /// The plugins, once there was something to offer.
        running: Option<Plugins>,
    },
    /// The SR-IOV network device plugin, by its configuration file.
    SriovConfig(PathBuf),
}

impl Pods {
    /// By device plugins of the agent.
    pub fn with_plugins(sysfs: &Path, directories: PluginDirectories) -> Self {
        Self::by(sysfs, Way::Plugins { directories, running: None })
    }

    /// By the SR-IOV network device plugin, with this configuration file.
    pub fn with_sriov_config(sysfs: &Path, path: PathBuf) -> Self {
        Self::by(sysfs, Way::SriovConfig(path))
    }

    fn by(sysfs: &Path, way: Way) -> Self {
        Self { sysfs: sysfs.to_owned(), way, known: BTreeMap::new(), said: Vec::new() }
    }

    /// The device that an ENI was offered with last.
    pub fn known(&self, uid: &str) -> Option<PciAddress> {
        self.known.get(uid).cloned()
    }

    /// Offers the ENIs of a turn, and no others.
    pub fn offer(&mut self, candidates: &Candidates) {
        self.known = candidates.enis.iter().map(|eni| (eni.uid.clone(), eni.device.clone())).collect();
        let pools = pools(&candidates.enis, |device| pci_sysfs::read(&self.sysfs, device));
        let mut notes: Vec<String> =
            candidates.refused.iter().map(|(attachment, why)| format!("{attachment}: {why}")).collect();
        match &mut self.way {
            Way::Plugins { directories, running } => notes.extend(offer_by(directories, running, pools)),
            Way::SriovConfig(path) => notes.extend(store_in(path, &pools)),
        }
        for note in notes.iter().filter(|note| !self.said.contains(note)) {
            tracing::warn!("an ENI is not offered to pods: {note}");
        }
        self.said = notes;
    }
}

/// Offers the pools by device plugins. The result is what a person has to know.
fn offer_by(directories: &PluginDirectories, running: &mut Option<Plugins>, pools: Pools) -> Option<String> {
    if running.is_none() && pools.is_empty() {
        // An earlier agent may have left files.
        let result = synchronize(&directories.device_info, &pools);
        return result.err().map(|error| format!("{}: {error}", directories.device_info.display()));
    }
    let plugins = match running.take().map_or_else(|| Plugins::start(directories.clone()), Ok) {
        Ok(plugins) => plugins,
        Err(error) => return Some(format!("the thread of the device plugins cannot be started: {error}")),
    };
    running.insert(plugins).offer(pools);
    None
}

/// Takes back what lies on the node for pods. The sockets go with the agent. The result is what was done, or why not.
pub fn take_back(device_info: &Path, sriov_config: Option<&Path>) -> Vec<Result<String, String>> {
    let mut results = Vec::new();
    match synchronize(device_info, &Pools::new()) {
        Ok(0) => {}
        Ok(count) => results.push(Ok(format!("remove {count} device-info files"))),
        Err(error) => results.push(Err(format!("remove the device-info files in {}: {error}", device_info.display()))),
    }
    match sriov_config.map(|path| store(path, &Pools::new()).map(|stored| (path, stored.is_changed))) {
        None | Some(Ok((_, false))) => {}
        Some(Ok((path, true))) => results.push(Ok(format!("remove the agent's entries from {}", path.display()))),
        Some(Err(error)) => results.push(Err(format!("remove the agent's entries: {error}"))),
    }
    results
}

/// Stores the pools. The result is what a person has to know.
fn store_in(path: &Path, pools: &Pools) -> Vec<String> {
    match store(path, pools) {
        Ok(stored) => {
            if stored.is_changed {
                let path = path.display();
                tracing::info!(%path, "the configuration is written; the SR-IOV network device plugin reads it when it starts");
            }
            let note = |name| format!("{} has an entry of somebody else for {name}", path.display());
            stored.taken.iter().map(note).collect()
        }
        Err(error) => vec![error.to_string()],
    }
}
