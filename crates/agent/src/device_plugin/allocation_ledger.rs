//! Which devices pods have, as far as the agent knows: what its own plugins have given out, and what kubelet tells. A pod keeps a device for
//! as long as it is there, whatever becomes of the device's resource name, so the ledger outlives the agent. Data alone: no file, no clock.

use crate::pci_address::PciAddress;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long kubelet may take from the answer to Allocate until it tells of the device.
const GRACE: Duration = Duration::from_secs(10);

/// A device that a pod has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocatedDevice {
    /// The resource, as kubelet names it.
    pub resource: String,
    /// The device node of the host that the container has. None: it has none, or another program gave the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Whether kubelet has told of the device and this agent has not given it.
    #[serde(skip)]
    pub is_of_others: bool,
    /// When the device was given, since the start of the process.
    #[serde(skip)]
    pub since: Duration,
}

/// A device of the node's pods, as kubelet tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodDevice {
    /// The resource.
    pub resource: String,
    /// The device.
    pub device: PciAddress,
}

/// The devices.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AllocationLedger {
    #[serde(default)]
    devices: BTreeMap<PciAddress, AllocatedDevice>,
}

impl AllocationLedger {
    /// What is known of a device.
    pub fn at(&self, device: &PciAddress) -> Option<&AllocatedDevice> {
        self.devices.get(device)
    }

    /// The first device that was given with this device node.
    pub fn with_node(&self, node: &str) -> Option<&PciAddress> {
        self.devices.iter().find(|(_, given)| given.node.as_deref() == Some(node)).map(|(device, _)| device)
    }

    /// The resources by which the agent's own plugins have given devices.
    pub fn own_resources(&self) -> impl Iterator<Item = &str> {
        self.devices.values().filter(|given| !given.is_of_others).map(|given| given.resource.as_str())
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// A plugin of the agent gives a device.
    pub fn give(&mut self, device: PciAddress, resource: String, node: Option<String>, now: Duration) {
        self.devices.insert(device, AllocatedDevice { resource, node, is_of_others: false, since: now });
    }

    /// Kubelet tells which devices pods have. A device that it does not name is free, unless it was given a moment ago.
    pub fn learn(&mut self, told: &[PodDevice], now: Duration) {
        self.devices.retain(|device, given| {
            let is_new = !given.is_of_others && now.saturating_sub(given.since) < GRACE;
            is_new || told.iter().any(|pod| pod.device == *device && pod.resource == given.resource)
        });
        for PodDevice { resource, device } in told {
            self.devices.entry(device.clone()).or_insert_with(|| AllocatedDevice {
                resource: resource.clone(),
                node: None,
                is_of_others: true,
                since: now,
            });
        }
    }

    /// What is to be stored: what the agent itself has given.
    pub fn own(&self) -> Self {
        let own = self.devices.iter().filter(|(_, given)| !given.is_of_others);
        Self { devices: own.map(|(device, given)| (device.clone(), given.clone())).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(number: u8) -> PciAddress {
        format!("0000:00:0{number}.0").parse().unwrap()
    }

    fn pod(resource: &str, number: u8) -> PodDevice {
        PodDevice { resource: resource.to_owned(), device: device(number) }
    }

    fn given(now: u64) -> AllocationLedger {
        let mut ledger = AllocationLedger::default();
        ledger.give(device(6), "a/one".to_owned(), Some("/dev/vfio/3".to_owned()), Duration::from_secs(now));
        ledger
    }

    #[test]
    fn a_device_is_free_when_kubelet_tells_of_no_pod_with_it_and_not_while_it_is_given() {
        let mut ledger = given(100);
        ledger.learn(&[], Duration::from_secs(109));
        assert!(ledger.at(&device(6)).is_some(), "kubelet has not heard the answer yet");
        ledger.learn(&[pod("a/one", 6)], Duration::from_secs(200));
        assert_eq!(ledger.at(&device(6)).and_then(|given| given.node.as_deref()), Some("/dev/vfio/3"));
        ledger.learn(&[pod("a/one", 7)], Duration::from_secs(201));
        assert_eq!(ledger.at(&device(6)), None);
    }

    #[test]
    fn what_another_plugin_gave_is_known_as_long_as_kubelet_tells_of_it_and_is_not_stored() {
        let mut ledger = AllocationLedger::default();
        ledger.learn(&[pod("intel.com/sriov", 7)], Duration::ZERO);
        assert!(ledger.at(&device(7)).is_some_and(|given| given.is_of_others));
        assert!(ledger.own().is_empty());
        ledger.learn(&[], Duration::from_secs(1));
        assert_eq!(ledger.at(&device(7)), None);
        // A pod that has ended had the device before a pod of another plugin.
        let mut ledger = given(0);
        ledger.learn(&[pod("intel.com/sriov", 6)], Duration::from_secs(60));
        assert!(ledger.at(&device(6)).is_some_and(|given| given.is_of_others));
    }

    #[test]
    fn the_ledger_is_read_as_it_was_written() {
        let text = serde_json::to_string(&given(5).own()).unwrap();
        let read: AllocationLedger = serde_json::from_str(&text).unwrap();
        assert_eq!(read, given(0), "the time is of the process: {text}");
        assert_eq!(read.with_node("/dev/vfio/3"), Some(&device(6)));
        assert_eq!(read.with_node("/dev/vfio/33"), None);
    }
}
