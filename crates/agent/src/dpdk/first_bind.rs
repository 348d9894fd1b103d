//! An ENI that is to be bound and whose device is not in the ledger: its device is recorded, or what upstream has bound is adopted.

use super::bindings::Binding;
use super::checks::Checked;
use super::driver::DpdkDriver;
use super::obstacle::DpdkObstacle;
use super::plan::Verdict;
use super::planner::Planner;
use super::reports::{changing, device_report, refused};
use super::step::{DpdkStep, Goal};
use super::upstream::{UpstreamBinding, original_driver};
use crate::node::Mac;
use crate::pci_address::PciAddress;
use crate::pci_device::PciDevice;
use crate::plan::find_link::Found;
use crate::plan::report::Obstacle;
use crate::wanted::{WantedDpdk, WantedEni};

impl<'a> Planner<'a> {
    /// An ENI that is to be bound, and whose device is not in the ledger.
    pub(super) fn first(&mut self, eni: &'a WantedEni, dpdk: &WantedDpdk, driver: DpdkDriver) {
        let Some(mac) = eni.mac else { return };
        let goal = Goal::Bind(driver);
        match self.checks().check(mac, driver, dpdk) {
            Err(obstacle) => self.blocked(eni, Verdict::Leave, None, obstacle),
            Ok(Checked::NoLink) => self.without_link(eni, dpdk),
            Ok(Checked::Ready { address, .. } | Checked::First { address, .. })
                if self.refusal(&address, goal).is_some() =>
            {
                let why = self.refusal(&address, goal).map_or_else(|| changing(goal), |why| refused(why, goal));
                self.blocked(eni, Verdict::Leave, None, Obstacle::Dpdk(why));
            }
            Ok(Checked::First { address, step, .. }) => {
                self.device_step(&eni.name, address, goal, step);
                self.blocked(eni, Verdict::Leave, None, Obstacle::Dpdk(changing(goal)));
            }
            Ok(Checked::Ready { address, device, .. }) => {
                // The ledger of links is empty when the link is as it was before the agent came.
                if self.input.links.entry(mac).is_none() && self.input.bindings.at(&address).is_none() {
                    let binding = new_binding(eni, mac, &address, device, driver.name(), device.driver.clone());
                    self.push(&eni.name, DpdkStep::Remember(binding));
                }
                self.blocked(eni, Verdict::TakeBack, None, Obstacle::Dpdk(changing(goal)));
            }
        }
    }

    /// An ENI that is to be bound has no link: upstream may have bound it.
    fn without_link(&mut self, eni: &WantedEni, dpdk: &WantedDpdk) {
        if self.adopt(eni) {
            return;
        }
        let Some(named) = &dpdk.pci_address else { return };
        let Some(device) = self.input.pci.devices.get(named) else { return };
        if let Some(driver) = device.driver.clone().filter(|_| device.has_dpdk_driver())
            && self.input.bindings.at(named).is_none()
        {
            let obstacle = DpdkObstacle::NotOurs { device: named.clone(), driver };
            self.blocked(eni, Verdict::Leave, None, Obstacle::Dpdk(obstacle));
        }
    }

    /// Records a device that upstream has bound for this ENI. The device itself is not changed.
    pub(super) fn adopt(&mut self, eni: &WantedEni) -> bool {
        let Some(mac) = eni.mac.filter(|mac| self.find(*mac) == Found::Absent) else { return false };
        let theirs = self.input.upstream.iter().find(|theirs| Some(&theirs.eni_id) == eni.eni_id.as_ref());
        let Some(UpstreamBinding { pci_address, .. }) = theirs else { return false };
        let Some(device) = self.input.pci.devices.get(pci_address) else { return false };
        let Some(driver) = device.driver.clone().filter(|_| device.has_dpdk_driver()) else { return false };
        if !device.links.is_empty() || self.input.bindings.at(pci_address).is_some() {
            return false;
        }
        if let Some(wanted) = eni.dpdk.as_ref().and_then(|dpdk| dpdk.pci_address.as_ref()).filter(|a| *a != pci_address)
        {
            let (wanted, actual) = (wanted.clone(), pci_address.clone());
            let obstacle = Obstacle::Dpdk(DpdkObstacle::PciAddressMismatch { wanted, actual });
            self.blocked(eni, Verdict::Leave, Some(device_report(pci_address, device)), obstacle);
            return true;
        }
        let original = original_driver(device.vendor, device.device);
        let binding = new_binding(eni, mac, pci_address, device, &driver, original);
        self.push(&eni.name, DpdkStep::Remember(binding));
        let what = format!("adopting the device {pci_address}, which upstream has bound to {driver}");
        let obstacle = Obstacle::Dpdk(DpdkObstacle::InProgress(what));
        self.blocked(eni, Verdict::Leave, Some(device_report(pci_address, device)), obstacle);
        true
    }
}

fn new_binding(
    eni: &WantedEni,
    mac: Mac,
    address: &PciAddress,
    device: &PciDevice,
    driver: &str,
    original_driver: Option<String>,
) -> Binding {
    Binding {
        pci_address: address.clone(),
        mac,
        eni_id: eni.eni_id.clone(),
        attachment: eni.name.clone(),
        uid: eni.uid.clone(),
        vendor: device.vendor,
        device: device.device,
        original_driver,
        driver: driver.to_owned(),
        rolling_back: None,
    }
}
