//! What the agent holds for pods: the device plugins, or the configuration of the SR-IOV network device plugin. Each turn offers what it
//! has found.

use crate::device_plugin::allocation_ledger::AllocationLedger;
use crate::device_plugin::allocations_file;
use crate::device_plugin::candidates::{Candidate, Candidates};
use crate::device_plugin::device_info_files::synchronize;
use crate::device_plugin::doctor::{Seen, SeenWay};
use crate::device_plugin::kubelet_look;
use crate::device_plugin::offer::pools;
use crate::device_plugin::placement::{Kubelet, Placement, place};
use crate::device_plugin::plugins::{Notes, PluginDirectories, Plugins, Waker};
use crate::device_plugin::pool::Pools;
use crate::device_plugin::refusal::{Refusal, Refused};
use crate::device_plugin::resource_name::ResourceName;
use crate::device_plugin::sriov_config_file::{preview, store};
use crate::pci_address::PciAddress;
use crate::pci_sysfs;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What mounts kubelet's directory.
const IN_CHART: &str = "the chart mounts it if nodeAgent.devicePlugin.enabled is set";

/// How pods get the ENIs.
pub struct Pods {
    sysfs: PathBuf,
    way: Way,
    /// The device that each ENI was offered with last, by the UID of its ENIAttachment.
    known: BTreeMap<String, PciAddress>,
    /// ENIs that are not offered.
    refused: Vec<Refused>,
    /// What was said last, so that it is said once.
    said: Vec<String>,
    /// What a person should know of the devices that are offered.
    notes: Notes,
    /// What is told when the device plugins have other notes.
    waker: Waker,
}

enum Way {
    /// The agent's own device plugins. A node on which no ENI has a resource name, and no pod a device, starts none.
    Plugins {
        /// Their directories.
        directories: PluginDirectories,
        /// The plugins, once there was something to offer, or a pod that has a device.
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
        Self {
            sysfs: sysfs.to_owned(),
            way,
            known: BTreeMap::new(),
            refused: Vec::new(),
            said: Vec::new(),
            notes: Notes::new(),
            waker: Arc::new(|| ()),
        }
    }

    /// Sets what is told when a device is offered in another way than its ENIAttachment asks.
    pub fn set_waker(&mut self, waker: Waker) {
        self.waker = waker;
    }

    /// What a person should know of the device of an ENI that is offered.
    pub fn note(&self, uid: &str) -> Option<String> {
        let device = self.known.get(uid)?;
        match &self.way {
            Way::Plugins { running, .. } => running.as_ref()?.notes().remove(device),
            Way::SriovConfig(_) => self.notes.get(device).cloned(),
        }
    }

    /// The device that an ENI was offered with last.
    pub fn known(&self, uid: &str) -> Option<PciAddress> {
        self.known.get(uid).cloned()
    }

    /// Why an ENI with a resource name is not offered, if the condition Configured does not say it already.
    pub fn refusal(&self, uid: &str) -> Option<String> {
        self.refused.iter().find(|refused| refused.uid == uid).map(|refused| refused.why.to_string())
    }

    /// Whether an ENI is not offered for a reason whose end no event tells.
    pub fn needs_look(&self) -> bool {
        self.refused.iter().any(|refused| !refused.why.ends_with_event())
    }

    /// Offers the ENIs of a turn, and no others.
    pub fn offer(&mut self, candidates: &Candidates) {
        self.known = candidates.enis.iter().map(|eni| (eni.uid.clone(), eni.device.clone())).collect();
        let pools = pools(&candidates.enis, |device| pci_sysfs::read(&self.sysfs, device));
        let failures = match &mut self.way {
            Way::Plugins { directories, running } => {
                offer_by(directories, running, pools, &self.waker).into_iter().collect()
            }
            Way::SriovConfig(path) => {
                // What pods have, that plugin knows.
                let Placement { pools, notes, .. } = place(&pools, &AllocationLedger::default(), Kubelet::Tells);
                self.notes = notes.into_iter().map(|(device, note)| (device, note.to_string())).collect();
                store_in(path, &pools)
            }
        };
        let of_failures = failures.iter().flat_map(|failure| failure.refused(&candidates.enis));
        let refused = candidates.refused.iter().filter(|refused| refused.why.is_news()).cloned();
        self.refused = refused.chain(of_failures).collect();
        let mut notes: Vec<String> =
            self.refused.iter().map(|refused| format!("{}: {}", refused.attachment, refused.why)).collect();
        if candidates.enis.is_empty() {
            notes.extend(failures.iter().map(|failure| failure.why.to_string()));
        }
        for note in notes.iter().filter(|note| !self.said.contains(note)) {
            tracing::warn!("an ENI is not offered to pods: {note}");
        }
        self.said = notes;
    }

    /// What `doctor` says of these ENIs: what [`offer`](Self::offer) would do with them. Nothing is changed.
    pub fn look(&self, candidates: Candidates) -> Seen {
        let look = |device: &PciAddress| pci_sysfs::read(&self.sysfs, device);
        let ledger = match &self.way {
            Way::Plugins { directories, .. } => allocations_file::stored(&directories.state),
            Way::SriovConfig(_) => AllocationLedger::default(),
        };
        let placement = place(&pools(&candidates.enis, look), &ledger, Kubelet::Tells);
        let way = match &self.way {
            Way::Plugins { directories, .. } => SeenWay::Plugins(kubelet_look::look(&directories.kubelet)),
            Way::SriovConfig(path) => SeenWay::SriovConfig {
                path: path.display().to_string(),
                preview: preview(path, &placement.pools).map_err(|error| error.to_string()),
            },
        };
        let devices = candidates.enis.iter().filter_map(|eni| Some((eni.device.clone(), look(&eni.device)?))).collect();
        Seen { candidates, devices, notes: placement.notes, way }
    }
}

/// ENIs are not offered.
struct Failure {
    /// Those of one resource, or all.
    resource: Option<ResourceName>,
    why: Refusal,
}

impl Failure {
    fn of_all(why: String) -> Self {
        Self { resource: None, why: Refusal::Failed(why) }
    }

    fn refused<'a>(&'a self, enis: &'a [Candidate]) -> impl Iterator<Item = Refused> + 'a {
        let is_of = |eni: &&Candidate| self.resource.as_ref().is_none_or(|resource| *resource == eni.resource);
        enis.iter().filter(is_of).map(|eni| Refused {
            attachment: eni.attachment.clone(),
            uid: eni.uid.clone(),
            why: self.why.clone(),
        })
    }
}

/// Offers the pools by device plugins.
fn offer_by(
    directories: &PluginDirectories,
    running: &mut Option<Plugins>,
    pools: Pools,
    waker: &Waker,
) -> Option<Failure> {
    // A ledger of before the plugins were switched off is no reason to look for kubelet.
    let has_pods = || directories.kubelet.is_dir() && allocations_file::is_there(&directories.state);
    if running.is_none() && pools.is_empty() && !has_pods() {
        // An earlier agent may have left files.
        let result = synchronize(&directories.device_info, &pools);
        return result.err().map(|error| Failure::of_all(format!("{}: {error}", directories.device_info.display())));
    }
    let plugins = match running.take().map_or_else(|| Plugins::start(directories.clone(), Arc::clone(waker)), Ok) {
        Ok(plugins) => plugins,
        Err(error) => {
            return Some(Failure::of_all(format!("the thread of the device plugins cannot be started: {error}")));
        }
    };
    running.insert(plugins).offer(pools);
    // The plugins look for it by themselves.
    let directory = &directories.kubelet;
    let missing = || format!("kubelet's directory {} is not there ({IN_CHART})", directory.display());
    (!directory.is_dir()).then(|| Failure::of_all(missing()))
}

/// Takes back what lies on the node for pods. The sockets go with the agent. The result is what was done, or why not.
pub fn take_back(device_info: &Path, state_dir: &Path, sriov_config: Option<&Path>) -> Vec<Result<String, String>> {
    let mut results = Vec::new();
    match synchronize(device_info, &Pools::new()) {
        Ok(0) => {}
        Ok(count) => results.push(Ok(format!("remove {count} device-info files"))),
        Err(error) => results.push(Err(format!("remove the device-info files in {}: {error}", device_info.display()))),
    }
    match allocations_file::remove(state_dir) {
        Ok(false) => {}
        Ok(true) => results.push(Ok("remove the ledger of what pods have".to_owned())),
        Err(error) => results.push(Err(format!("remove the ledger of what pods have: {error}"))),
    }
    match sriov_config.map(|path| store(path, &Pools::new()).map(|stored| (path, stored.is_changed))) {
        None | Some(Ok((_, false))) => {}
        Some(Ok((path, true))) => results.push(Ok(format!("remove the agent's entries from {}", path.display()))),
        Some(Err(error)) => results.push(Err(format!("remove the agent's entries: {error}"))),
    }
    results
}

/// Stores the pools.
fn store_in(path: &Path, pools: &Pools) -> Vec<Failure> {
    let shown = path.display().to_string();
    match store(path, pools) {
        Ok(stored) => {
            if stored.is_changed {
                tracing::info!(path = %shown, "the configuration is written; the SR-IOV network device plugin reads it when it starts");
            }
            let taken = |resource: ResourceName| Failure {
                why: Refusal::Taken { path: shown.clone(), resource: resource.clone() },
                resource: Some(resource),
            };
            stored.taken.into_iter().map(taken).collect()
        }
        Err(error) => vec![Failure::of_all(error.to_string())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device_plugin::pod_resources::PodResources;
    use std::fs;
    use std::os::unix::fs::symlink;

    const TAKEN: &str = r#"{"resourceList":[{"resourcePrefix":"example.com","resourceName":"fast"}]}"#;

    fn root(name: &str) -> PathBuf {
        let root = std::env::temp_dir().join(format!("multi-eni-pods-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).unwrap();
        root
    }

    fn candidate() -> Candidate {
        let (resource, device) = ("example.com/fast".parse().unwrap(), "0000:00:06.0".parse().unwrap());
        Candidate { attachment: "one".to_owned(), uid: "u".to_owned(), resource, device, is_configured: true }
    }

    fn refused(why: Refusal) -> Candidates {
        let refused = Refused { attachment: "one".to_owned(), uid: "u".to_owned(), why };
        Candidates { enis: Vec::new(), refused: vec![refused] }
    }

    #[test]
    fn a_refused_name_is_said_of_its_eni_until_it_is_mended() {
        let mut pods = Pods::with_sriov_config(&root("name"), root("name").join("config.json"));
        let error = "a/b/c".parse::<ResourceName>().unwrap_err();
        pods.offer(&refused(Refusal::Name(error.clone())));
        assert_eq!((pods.refusal("u"), pods.refusal("v")), (Some(error.to_string()), None));
        assert!(!pods.needs_look(), "an edit of the NodeENI is an event");
        // The condition Configured says it itself.
        pods.offer(&refused(Refusal::NotConfigured("LinkAbsent".to_owned())));
        assert_eq!(pods.refusal("u"), None);
    }

    #[test]
    fn without_kubelets_directory_each_eni_with_a_name_says_so() {
        let root = root("kubelet");
        let directories = PluginDirectories {
            kubelet: root.join("plugins"),
            device_info: root.join("info"),
            sysfs: root.clone(),
            state: root.join("state"),
            pod_resources: PodResources { socket: root.join("pod-resources.sock"), own_pod: None },
        };
        let mut pods = Pods::with_plugins(&root, directories);
        let offered = Candidates { enis: vec![candidate()], refused: Vec::new() };
        pods.offer(&offered);
        let said = pods.refusal("u").unwrap_or_default();
        assert!(said.contains("plugins is not there") && said.contains("devicePlugin.enabled"), "{said}");
        assert!(pods.needs_look());
        fs::create_dir(root.join("plugins")).unwrap();
        pods.offer(&offered);
        assert_eq!((pods.refusal("u"), pods.needs_look()), (None, false));
    }

    #[test]
    fn the_plugins_start_for_a_pod_that_has_a_device_although_nothing_is_offered() {
        let root = root("pod");
        let directories = PluginDirectories {
            kubelet: root.join("plugins"),
            device_info: root.join("info"),
            sysfs: root.clone(),
            state: root.join("state"),
            pod_resources: PodResources { socket: root.join("pod-resources.sock"), own_pod: None },
        };
        let mut pods = Pods::with_plugins(&root, directories);
        let is_running = |pods: &Pods| matches!(&pods.way, Way::Plugins { running: Some(_), .. });
        pods.offer(&Candidates::default());
        assert!(!is_running(&pods));
        fs::create_dir(root.join("state")).unwrap();
        let ledger = r#"{ "devices": { "0000:00:06.0": { "resource": "example.com/fast" } } }"#;
        fs::write(root.join("state/allocations.json"), ledger).unwrap();
        pods.offer(&Candidates::default());
        assert!(!is_running(&pods), "kubelet's directory is not mounted");
        fs::create_dir(root.join("plugins")).unwrap();
        pods.offer(&Candidates::default());
        assert!(is_running(&pods));
    }

    #[test]
    fn of_the_devices_of_a_group_one_is_in_the_file_of_the_sriov_network_device_plugin() {
        let root = root("group");
        for number in [6, 7] {
            let device = root.join(format!("bus/pci/devices/0000:00:0{number}.0"));
            fs::create_dir_all(&device).unwrap();
            symlink("../../../../bus/pci/drivers/vfio-pci", device.join("driver")).unwrap();
            symlink("../../../../kernel/iommu_groups/3", device.join("iommu_group")).unwrap();
        }
        let path = root.join("config.json");
        let mut pods = Pods::with_sriov_config(&root, path.clone());
        let other = Candidate { uid: "v".to_owned(), device: "0000:00:07.0".parse().unwrap(), ..candidate() };
        pods.offer(&Candidates { enis: vec![candidate(), other], refused: Vec::new() });
        let text = fs::read_to_string(path).unwrap();
        assert!(text.contains("0000:00:06.0") && !text.contains("0000:00:07.0"), "{text}");
        assert_eq!(pods.note("u"), None);
        assert!(pods.note("v").is_some_and(|note| note.contains("one IOMMU group with 0000:00:06.0")));
    }

    #[test]
    fn a_resource_or_a_file_of_somebody_else_is_said_and_looked_at_again() {
        let root = root("taken");
        let path = root.join("config.json");
        let mut pods = Pods::with_sriov_config(&root, path.clone());
        let offered = Candidates { enis: vec![candidate()], refused: Vec::new() };
        for (text, why) in [
            (TAKEN, Some("has an entry of somebody else for example.com/fast")),
            ("{ half", Some("is left as it is")),
            ("{}", None),
        ] {
            fs::write(&path, text).unwrap();
            pods.offer(&offered);
            let said = pods.refusal("u");
            assert_eq!((said.is_some(), pods.needs_look()), (why.is_some(), why.is_some()), "{text}: {said:?}");
            assert!(said.unwrap_or_default().contains(why.unwrap_or_default()), "{text}");
        }
    }
}
