//! All ENIs together: at most one step for each device, and a report for each ENI that DPDK is about. It is pure.
//!
//! Only two kinds of devices are ever changed: one whose link has the MAC address of an ENIAttachment of this node, and one of the ledger.

use super::obstacle::DpdkObstacle;
use super::plan::{DpdkPlan, Input, Verdict};
use super::planner::Planner;
use super::reported_device::ReportedDevice;
use super::reports::device_report;
use super::step::Goal;
use crate::pci_address::PciAddress;
use crate::plan::find_link::Found;
use crate::plan::report::{EniReport, Obstacle, Outcome};
use crate::wanted::WantedEni;
use multi_eni_api::node_config::NodeMode;

/// Plans the devices. With no ENI wanted, the steps give every device back.
pub fn plan(input: Input<'_>) -> DpdkPlan {
    let mut planner = Planner::new(input);
    for eni in input.wanted {
        planner.eni(eni);
    }
    for binding in &input.bindings.devices {
        if !planner.claimed.contains(&binding.pci_address) {
            planner.follow(None, binding, Goal::Restore);
        }
    }
    for reported in input.reported {
        planner.given_back_before(reported);
    }
    planner.plan
}

impl<'a> Planner<'a> {
    /// A device that has its link again, and whose last report says that it is bound: the agent ended before it could say more.
    fn given_back_before(&mut self, reported: &ReportedDevice) {
        if self.plan.reports.iter().any(|report| report.uid == reported.uid) {
            return;
        }
        let Found::One(link) = self.find(reported.mac) else { return };
        let address = link.parent_device.as_ref().and_then(|address| address.parse::<PciAddress>().ok());
        let device = address.and_then(|address| self.input.pci.devices.get_key_value(&address));
        let Some((address, device)) = device.filter(|(_, device)| device.has_kernel_driver()) else { return };
        self.plan.reports.push(EniReport {
            attachment: reported.attachment.clone(),
            uid: reported.uid.clone(),
            generation: None,
            mac: Some(reported.mac),
            link: Some(device_report(address, device)),
            outcome: Outcome::Restored { device: address.to_string() },
        });
    }

    fn eni(&mut self, eni: &'a WantedEni) {
        let binding = self.input.bindings.of(&eni.uid, eni.mac);
        let binding = binding.filter(|binding| self.claimed.insert(binding.pci_address.clone()));
        // An ENIAttachment that cannot be followed changes nothing.
        if eni.unusable.is_some() {
            return;
        }
        match (&eni.dpdk, binding) {
            (None, None) => {
                let _ = eni.mode != NodeMode::None && self.adopt(eni);
            }
            (None, Some(binding)) => self.follow(Some(eni), binding, Goal::Restore),
            (Some(dpdk), binding) => match (&dpdk.driver, binding) {
                (Err(error), _) => {
                    let obstacle = Obstacle::Dpdk(DpdkObstacle::DriverUnknown(error.clone()));
                    self.blocked(eni, Verdict::Leave, None, obstacle);
                }
                (Ok(driver), None) => self.first(eni, dpdk, *driver),
                (Ok(_), Some(binding)) if binding.rolling_back.is_some() => {
                    self.follow(Some(eni), binding, Goal::Restore);
                }
                (Ok(driver), Some(binding)) => self.follow(Some(eni), binding, Goal::Bind(*driver)),
            },
        }
    }
}
