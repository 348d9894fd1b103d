//! All ENIs together: at most one step for each device, and a report for each ENI that DPDK is about. It is pure.
//!
//! Only two kinds of devices are ever changed: one whose link has the MAC address of an ENIAttachment of this node, and one of the ledger.

use super::obstacle::DpdkObstacle;
use super::plan::{DpdkPlan, Input, Verdict};
use super::planner::Planner;
use super::step::Goal;
use crate::plan::report::Obstacle;
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
    planner.plan
}

impl<'a> Planner<'a> {
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
