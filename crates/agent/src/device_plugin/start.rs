//! Decides whether a container may start with the device nodes that kubelet keeps for it. Kubelet asks the plugin once, when the pod is
//! admitted, and starts each container of the pod with that answer, also after a restart of the node.

use crate::device_plugin::allocation_ledger::AllocationLedger;
use crate::device_plugin::resource_name::ResourceName;
use crate::pci_address::PciAddress;

/// Why a container must not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the pod has got the device {device} as {given}, and {}: delete the pod, so that kubelet asks for the device again",
    now.as_ref().map_or("it has no device node now".to_owned(), |now| format!("by now it is {now}"))
)]
pub struct OldNode {
    /// The device.
    pub device: PciAddress,
    /// The node that the container would get.
    pub given: String,
    /// The node of now.
    pub now: Option<String>,
}

/// Whether a container with these devices may start. `node` is the device node of now. A device of which the ledger does not know how it was
/// given may: another version of the agent gave it.
///
/// # Errors
/// If the container would get another device, or none.
pub fn may_start(
    resource: &ResourceName,
    ids: &[String],
    ledger: &AllocationLedger,
    node: impl Fn(&PciAddress) -> Option<String>,
) -> Result<(), OldNode> {
    for device in ids.iter().filter_map(|id| id.parse::<PciAddress>().ok()) {
        let of_resource = ledger.at(&device).filter(|given| given.resource == resource.to_string());
        let Some(given) = of_resource.and_then(|given| given.node.clone()) else { continue };
        let now = node(&device);
        if now.as_ref() != Some(&given) {
            return Err(OldNode { device, given, now });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_container_starts_only_with_the_nodes_of_now() {
        let (fast, id) = ("example.com/fast".parse().unwrap(), "0000:00:06.0".to_owned());
        let mut ledger = AllocationLedger::default();
        let may = |ledger: &AllocationLedger, now: Option<&str>| {
            may_start(&fast, std::slice::from_ref(&id), ledger, |_| now.map(str::to_owned))
                .map_err(|why| why.to_string())
        };
        assert_eq!(may(&ledger, Some("/dev/vfio/3")), Ok(()), "an earlier version gave it");
        ledger.give(id.parse().unwrap(), fast.to_string(), Some("/dev/vfio/3".to_owned()), Duration::ZERO);
        assert_eq!(may(&ledger, Some("/dev/vfio/3")), Ok(()));
        let error = may(&ledger, Some("/dev/vfio/5")).unwrap_err();
        assert!(error.contains("0000:00:06.0 as /dev/vfio/3, and by now it is /dev/vfio/5: delete the pod"), "{error}");
        assert!(may(&ledger, None).unwrap_err().contains("it has no device node now"));
        // A link has no node: the CNI plugin looks for it by the PCI address.
        ledger.give(id.parse().unwrap(), fast.to_string(), None, Duration::ZERO);
        assert_eq!(may(&ledger, None), Ok(()));
    }
}
