//! What the plan reports of an ENI: the device and the outcome, with what a user should know of it.

use super::attempts::StepError;
use super::bindings::Binding;
use super::driver::DpdkDriver;
use super::obstacle::{DpdkObstacle, listed};
use super::pci::Pci;
use super::step::Goal;
use crate::pci_address::PciAddress;
use crate::pci_device::PciDevice;
use crate::plan::report::{EniReport, LinkReport, Outcome};
use crate::wanted::WantedEni;

/// The report of an ENI.
pub(super) fn report(eni: &WantedEni, link: Option<LinkReport>, outcome: Outcome) -> EniReport {
    let (attachment, uid) = (eni.name.clone(), eni.uid.clone());
    EniReport { attachment, uid, generation: eni.generation, mac: eni.mac, link, outcome }
}

/// A device without a link.
pub(super) fn device_report(address: &PciAddress, device: &PciDevice) -> LinkReport {
    LinkReport {
        parent_device: Some(address.to_string()),
        driver: device.driver.clone(),
        numa_node: device.numa_node,
        ..LinkReport::default()
    }
}

/// The report of a device whose ENIAttachment asks for nothing any more.
pub(super) fn report_of_binding(binding: &Binding, link: Option<LinkReport>, outcome: Outcome) -> EniReport {
    let (attachment, uid) = (binding.attachment.clone(), binding.uid.clone());
    EniReport { attachment, uid, generation: None, mac: Some(binding.mac), link, outcome }
}

/// The device is bound as asked.
pub(super) fn bound(pci: &Pci, address: &PciAddress, device: &PciDevice) -> Outcome {
    let driver = device.driver.clone().unwrap_or_default();
    let is_noiommu = device.iommu_group.as_ref().is_some_and(|group| group.is_noiommu);
    let is_igb_uio = driver == DpdkDriver::IgbUio.name();
    let note = if !device.group_in_use.is_empty() && driver == DpdkDriver::VfioPci.name() {
        Some(format!(
            "no program can open it, because the kernel uses devices of its IOMMU group: {}",
            listed(&device.group_in_use)
        ))
    } else if is_noiommu {
        Some("without an IOMMU: the program can write to all memory of the node".to_owned())
    } else if is_igb_uio && pci.write_combining == Some(false) {
        Some("igb_uio maps without write-combining (wc_activate is 0), which makes ENA slow".to_owned())
    } else {
        None
    };
    Outcome::Bound { device: address.to_string(), driver, note }
}

/// The device is on its way.
pub(super) fn changing(goal: Goal) -> DpdkObstacle {
    DpdkObstacle::InProgress(match goal {
        Goal::Bind(driver) => format!("the device is on its way to {driver}"),
        Goal::Restore => "the device is on its way back to its kernel driver".to_owned(),
    })
}

/// Somebody gives the device back each time.
pub(super) fn contested(driver: DpdkDriver) -> DpdkObstacle {
    DpdkObstacle::InProgress(format!(
        "another program takes the device from {driver} again and again: the agent waits longer each time before it binds it"
    ))
}

/// Why the goal is not tried now.
pub(super) fn refused(why: &StepError, goal: Goal) -> DpdkObstacle {
    match (why, goal) {
        (StepError::Held(why), _) => DpdkObstacle::DeviceHeld(why.clone()),
        (StepError::Failed(why), Goal::Bind(_)) => DpdkObstacle::BindFailed(why.clone()),
        (StepError::Failed(why), Goal::Restore) => DpdkObstacle::RestoreFailed(why.clone()),
    }
}
