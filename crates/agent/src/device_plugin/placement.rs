//! Decides in which pool each device is offered, and whether a pod can have it: a device stays where a pod has got it, and of the devices
//! with one device node (an IOMMU group) one is offered. Given the pools as the ENIAttachments ask for them, and which devices pods have.

use crate::device_plugin::allocation_ledger::AllocationLedger;
use crate::device_plugin::placement_note::Note;
use crate::device_plugin::pool::{Device, Pool, Pools};
use crate::device_plugin::resource_name::ResourceName;
use crate::pci_address::PciAddress;
use std::collections::{BTreeMap, BTreeSet};

/// Where the devices are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placement {
    /// The pools. No device is in two of them.
    pub pools: Pools,
    /// What a person should know of a device.
    pub notes: BTreeMap<PciAddress, Note>,
    /// Whether a resource is served for its pods alone, because nothing of it is offered any more.
    pub has_resource_of_pods_alone: bool,
}

/// Whether kubelet tells which devices pods have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kubelet {
    /// It does, or it did and has a pause: the end of a pod will be seen.
    Tells,
    /// It has told nothing since the agent started.
    IsSilent,
}

/// Places the devices.
pub fn place(asked: &Pools, ledger: &AllocationLedger, kubelet: Kubelet) -> Placement {
    let mut placement = Placement::default();
    for (resource, pool) in asked {
        for (address, device) in pool {
            placement.add(resource, address, device, ledger, kubelet);
        }
    }
    placement.share_out_nodes(ledger);
    placement.keep_resources(ledger);
    placement
}

impl Placement {
    /// Whether kubelet has to be asked which devices pods have.
    pub fn is_about_pods(&self) -> bool {
        self.has_resource_of_pods_alone || self.notes.values().any(Note::ends_with_pod)
    }

    /// Kubelet starts a container with a device only if the device's resource has a plugin. So a resource by which a pod has a device
    /// stays, and without devices if nothing of it is offered.
    fn keep_resources(&mut self, ledger: &AllocationLedger) {
        for resource in ledger.own_resources().filter_map(|resource| resource.parse::<ResourceName>().ok()) {
            self.pools.entry(resource).or_insert_with(|| {
                self.has_resource_of_pods_alone = true;
                Pool::new()
            });
        }
    }

    fn add(
        &mut self,
        asked: &ResourceName,
        address: &PciAddress,
        device: &Device,
        ledger: &AllocationLedger,
        kubelet: Kubelet,
    ) {
        let mut device = device.clone();
        let mut place = asked.clone();
        if let Some(given) = ledger.at(address) {
            let now = device.access.node().map(str::to_owned);
            let note = match given.resource.parse::<ResourceName>() {
                Ok(resource) if resource != *asked && !given.is_of_others => {
                    place = resource.clone();
                    Some(Note::Kept { resource, asked: asked.clone() })
                }
                Ok(resource) if resource == *asked => None,
                Ok(_) | Err(_) => Some(Note::OfOthers { resource: given.resource.clone() }),
            };
            // Of an interface there is nothing that could be old. What makes a device unhealthy is said elsewhere.
            let old = given.node.clone().filter(|node| device.is_healthy && Some(node) != now.as_ref());
            let note = match old {
                Some(given) => Some(Note::OldNode { given, now }),
                None => note,
            };
            device.is_healthy &= match (&note, kubelet) {
                (Some(Note::OfOthers { .. }), _) | (Some(Note::OldNode { .. }), Kubelet::Tells) => false,
                // Kubelet gives the device to no other pod by this name, and the agent lets no container start with the old node. Without
                // kubelet's word the device would stay so for ever.
                (Some(Note::OldNode { .. }), Kubelet::IsSilent) => true,
                (Some(Note::Kept { .. } | Note::SharedNode { .. } | Note::NodeOfPod { .. }) | None, _) => true,
            };
            self.notes.extend(note.map(|note| (address.clone(), note)));
        }
        self.pools.entry(place).or_default().insert(address.clone(), device);
    }

    /// Of the devices with one device node, the one that a pod has is offered, else a healthy one, and among equals that with the lowest
    /// address.
    fn share_out_nodes(&mut self, ledger: &AllocationLedger) {
        let devices = self.pools.values().flatten();
        let nodes: BTreeSet<String> =
            devices.filter_map(|(_, device)| device.access.node().map(str::to_owned)).collect();
        for node in nodes {
            let is_of_node = |device: &Device| device.access.node() == Some(node.as_str());
            let of_node = || self.pools.values().flatten().filter(|(_, device)| is_of_node(device));
            // By its own number, or by kubelet's word.
            let held =
                ledger.with_node(&node).or_else(|| of_node().map(|(id, _)| id).find(|id| ledger.at(id).is_some()));
            // If none is healthy, each has a reason of its own.
            let first = || of_node().filter(|(_, device)| device.is_healthy).map(|(id, _)| id).min();
            let Some(chosen) = held.or_else(first).cloned() else { continue };
            let note = if of_node().any(|(id, _)| *id == chosen) {
                Note::SharedNode { node: node.clone(), with: chosen.clone(), is_held: held.is_some() }
            } else {
                Note::NodeOfPod { node: node.clone(), with: chosen.clone() }
            };
            for pool in self.pools.values_mut() {
                for (address, device) in pool.iter_mut().filter(|(id, device)| **id != chosen && is_of_node(device)) {
                    device.is_healthy = false;
                    self.notes.entry(address.clone()).or_insert_with(|| note.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device_plugin::allocation_ledger::PodDevice;
    use crate::device_plugin::pool::Access;
    use proptest::prelude::*;
    use std::time::Duration;

    const OLD: &str = "example.com/old";
    const NEW: &str = "example.com/new";

    fn id(number: u8) -> PciAddress {
        format!("0000:00:0{number}.0").parse().unwrap()
    }

    fn vfio(group: u8) -> Device {
        let node = format!("/dev/vfio/{group}");
        let access = Access::Vfio { host: node.clone(), container: node };
        Device { is_healthy: true, numa_node: None, driver: Some("vfio-pci".to_owned()), access }
    }

    fn link() -> Device {
        Device { access: Access::Interface, ..vfio(0) }
    }

    fn asked(devices: &[(&str, u8, Device)]) -> Pools {
        let mut pools = Pools::new();
        for (resource, number, device) in devices {
            pools.entry(resource.parse().unwrap()).or_default().insert(id(*number), device.clone());
        }
        pools
    }

    fn given(devices: &[(&str, u8, Option<&str>)]) -> AllocationLedger {
        let mut ledger = AllocationLedger::default();
        for (resource, number, node) in devices {
            ledger.give(id(*number), (*resource).to_owned(), node.map(str::to_owned), Duration::ZERO);
        }
        ledger
    }

    /// Each device: its resource, its number, and whether a pod can have it.
    fn shown(placement: &Placement) -> Vec<(String, PciAddress, bool)> {
        let of = |(resource, pool): (&ResourceName, &Pool)| {
            let resource = resource.to_string();
            pool.iter().map(|(id, device)| (resource.clone(), id.clone(), device.is_healthy)).collect::<Vec<_>>()
        };
        placement.pools.iter().flat_map(of).collect()
    }

    fn at(resource: &str, number: u8, is_healthy: bool) -> (String, PciAddress, bool) {
        (resource.to_owned(), id(number), is_healthy)
    }

    #[test]
    fn a_device_that_a_pod_has_stays_in_its_pool_until_the_pod_has_ended() {
        let wanted = asked(&[(NEW, 6, link()), (NEW, 7, link())]);
        let mut ledger = given(&[(OLD, 6, None)]);
        let placement = place(&wanted, &ledger, Kubelet::Tells);
        assert_eq!(shown(&placement), [at(NEW, 7, true), at(OLD, 6, true)]);
        let note = placement.notes[&id(6)].to_string();
        assert!(note.contains("as example.com/old and not yet as example.com/new, because a pod has it"), "{note}");
        assert!(placement.is_about_pods());
        ledger.learn(&[], Duration::from_secs(60));
        let placement = place(&wanted, &ledger, Kubelet::Tells);
        assert_eq!(shown(&placement), [at(NEW, 6, true), at(NEW, 7, true)]);
        assert_eq!(placement.notes, BTreeMap::new());
    }

    #[test]
    fn a_device_that_another_plugin_gave_to_a_pod_is_given_to_no_other() {
        let mut ledger = AllocationLedger::default();
        ledger.learn(&[PodDevice { resource: "intel.com/sriov".to_owned(), device: id(6) }], Duration::ZERO);
        let placement = place(&asked(&[(NEW, 6, link())]), &ledger, Kubelet::Tells);
        // A plugin of the agent for that resource would take it from the other one.
        assert_eq!(shown(&placement), [at(NEW, 6, false)]);
        assert!(placement.notes[&id(6)].to_string().contains("a pod has it as intel.com/sriov"));
        // An agent of before gave it by this name.
        ledger = AllocationLedger::default();
        ledger.learn(&[PodDevice { resource: NEW.to_owned(), device: id(6) }], Duration::ZERO);
        assert_eq!(shown(&place(&asked(&[(NEW, 6, link())]), &ledger, Kubelet::Tells)), [at(NEW, 6, true)]);
    }

    #[test]
    fn a_device_whose_node_has_changed_is_given_to_no_pod_while_one_has_the_old_node() {
        let ledger = given(&[(NEW, 6, Some("/dev/vfio/3"))]);
        let same = place(&asked(&[(NEW, 6, vfio(3))]), &ledger, Kubelet::Tells);
        assert_eq!((shown(&same), same.is_about_pods()), (vec![at(NEW, 6, true)], false));
        let other = place(&asked(&[(NEW, 6, vfio(5))]), &ledger, Kubelet::Tells);
        assert_eq!((shown(&other), other.is_about_pods()), (vec![at(NEW, 6, false)], true));
        let note = other.notes[&id(6)].to_string();
        assert!(note.contains("as /dev/vfio/3, and by now it is /dev/vfio/5: delete that pod"), "{note}");
        let unanswered = place(&asked(&[(NEW, 6, vfio(5))]), &ledger, Kubelet::IsSilent);
        assert_eq!((shown(&unanswered), unanswered.is_about_pods()), (vec![at(NEW, 6, true)], true));
        let ill = Device { is_healthy: false, ..link() };
        assert_eq!(
            place(&asked(&[(NEW, 6, ill)]), &ledger, Kubelet::Tells).notes,
            BTreeMap::new(),
            "its condition says why"
        );
        // In its pool of before it is not better.
        let moved = place(&asked(&[(OLD, 6, vfio(5))]), &ledger, Kubelet::Tells);
        assert_eq!(shown(&moved), [at(NEW, 6, false)]);
    }

    #[test]
    fn of_the_devices_of_a_group_one_is_offered_whatever_their_names_are() {
        let group = asked(&[(OLD, 7, vfio(3)), (NEW, 6, vfio(3)), (NEW, 8, vfio(4))]);
        let placement = place(&group, &AllocationLedger::default(), Kubelet::Tells);
        assert_eq!(shown(&placement), [at(NEW, 6, true), at(NEW, 8, true), at(OLD, 7, false)]);
        let note = placement.notes[&id(7)].to_string();
        assert!(note.contains("one IOMMU group with 0000:00:06.0, which pods can get: only one program"), "{note}");
        assert!(!placement.is_about_pods());
        // The one that a pod has stays.
        let placement = place(&group, &given(&[(OLD, 7, Some("/dev/vfio/3"))]), Kubelet::Tells);
        assert_eq!(shown(&placement), [at(NEW, 6, false), at(NEW, 8, true), at(OLD, 7, true)]);
        assert!(placement.is_about_pods());
        // A device that is not healthy is in nobody's way, and of two of them pods can get neither.
        let ill = Device { is_healthy: false, ..vfio(3) };
        let placement =
            place(&asked(&[(NEW, 6, ill), (NEW, 7, vfio(3))]), &AllocationLedger::default(), Kubelet::Tells);
        assert_eq!(shown(&placement), [at(NEW, 6, false), at(NEW, 7, true)]);
        let ill = || Device { is_healthy: false, ..vfio(3) };
        let both = asked(&[(NEW, 6, ill()), (NEW, 7, ill())]);
        assert_eq!(place(&both, &AllocationLedger::default(), Kubelet::Tells).notes, BTreeMap::new());
    }

    #[test]
    fn a_device_of_a_group_is_not_offered_while_a_pod_has_another_that_is_offered_no_more() {
        let placement = place(&asked(&[(NEW, 6, vfio(3))]), &given(&[(OLD, 7, Some("/dev/vfio/3"))]), Kubelet::Tells);
        assert_eq!(shown(&placement), [at(NEW, 6, false)]);
        let note = placement.notes[&id(6)].to_string();
        assert!(note.contains("a pod has its device node /dev/vfio/3 by the device 0000:00:07.0"), "{note}");
    }

    /// After a reboot the devices have their numbers in another order.
    #[test]
    fn a_device_with_the_node_that_a_pod_was_given_for_another_one_is_offered_to_nobody() {
        let uio = |number: u8| Device { access: Access::Uio { node: format!("/dev/uio{number}") }, ..link() };
        let wanted = asked(&[(NEW, 6, uio(1)), (NEW, 7, uio(0))]);
        let placement = place(&wanted, &given(&[(NEW, 6, Some("/dev/uio0"))]), Kubelet::Tells);
        assert_eq!(shown(&placement), [at(NEW, 6, false), at(NEW, 7, false)]);
        let note = placement.notes[&id(7)].to_string();
        assert!(note.contains("a pod has its device node /dev/uio0 by the device 0000:00:06.0"), "{note}");
        assert!(placement.is_about_pods());
    }

    #[test]
    fn a_resource_of_which_nothing_is_offered_is_served_until_its_pods_have_ended() {
        let mut ledger = given(&[(OLD, 6, None)]);
        ledger.learn(
            &[
                PodDevice { resource: OLD.to_owned(), device: id(6) },
                PodDevice { resource: "intel.com/sriov".to_owned(), device: id(8) },
            ],
            Duration::from_secs(60),
        );
        let placement = place(&asked(&[(NEW, 7, link())]), &ledger, Kubelet::Tells);
        assert_eq!(placement.pools.keys().map(ToString::to_string).collect::<Vec<_>>(), [NEW, OLD]);
        assert_eq!((shown(&placement), placement.is_about_pods()), (vec![at(NEW, 7, true)], true));
        ledger.learn(&[], Duration::from_secs(70));
        let placement = place(&asked(&[(NEW, 7, link())]), &ledger, Kubelet::Tells);
        assert_eq!((placement.pools.len(), placement.is_about_pods()), (1, false));
    }

    fn devices() -> impl Strategy<Value = Vec<(&'static str, u8, Device)>> {
        let device = (0_u8..3, any::<bool>()).prop_map(|(group, is_link)| if is_link { link() } else { vfio(group) });
        let one = (prop::sample::select(vec![OLD, NEW]), device, any::<bool>());
        prop::collection::vec(one, 4).prop_map(|all| {
            let number = |(at, (resource, device, is_healthy)): (usize, (&'static str, Device, bool))| {
                (resource, u8::try_from(at).unwrap_or_default() + 5, Device { is_healthy, ..device })
            };
            all.into_iter().enumerate().map(number).collect()
        })
    }

    proptest! {
        /// Kubelet gives healthy devices to pods, and names change. No device and no group is ever of two pods.
        #[test]
        fn no_device_and_no_group_is_given_twice(turns in prop::collection::vec((devices(), any::<u8>(), any::<u8>(), any::<bool>()), 1..12)) {
            let mut ledger = AllocationLedger::default();
            let mut pods: Vec<(PodDevice, Option<String>)> = Vec::new();
            for (at, (wanted, choice, ends, is_told)) in turns.into_iter().enumerate() {
                let now = Duration::from_secs(u64::try_from(at).unwrap_or_default() * 60);
                let told: Vec<PodDevice> = pods.iter().map(|(pod, _)| pod.clone()).collect();
                let kubelet = if is_told { Kubelet::Tells } else { Kubelet::IsSilent };
                if is_told {
                    ledger.learn(&told, now);
                }
                let placement = place(&asked(&wanted), &ledger, kubelet);
                prop_assert_eq!(placement.pools.values().map(Pool::len).sum::<usize>(), wanted.len(), "each is in one pool");
                let healthy: Vec<(String, PciAddress, Device)> = placement.pools.iter().flat_map(|(resource, pool)| {
                    let healthy = pool.iter().filter(|(_, device)| device.is_healthy);
                    healthy.map(move |(id, device)| (resource.to_string(), id.clone(), device.clone()))
                }).collect();
                // What kubelet counts as free: it knows pods by resource and device.
                let is_free = |resource: &str, id: &PciAddress| !pods.iter().any(|(pod, _)| pod.resource == resource && pod.device == *id);
                let free: Vec<_> = healthy.into_iter().filter(|(resource, id, _)| is_free(resource, id)).collect();
                if let Some((resource, device, seen)) = free.get(usize::from(choice) % free.len().max(1)).cloned() {
                    let node = seen.access.node().map(str::to_owned);
                    for (pod, of_pod) in &pods {
                        prop_assert_ne!(&pod.device, &device);
                        prop_assert!(node.is_none() || of_pod != &node, "{:?} {:?}", pod, node);
                    }
                    ledger.give(device.clone(), resource.clone(), node.clone(), now);
                    pods.push((PodDevice { resource, device }, node));
                }
                if ends % 3 == 0 && !pods.is_empty() {
                    pods.remove(usize::from(ends) % pods.len());
                }
            }
        }
    }
}
