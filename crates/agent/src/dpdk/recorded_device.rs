//! A device of the ledger: the next step towards its driver for DPDK or back to the kernel, and the report.

use super::attempts::Attempt;
use super::bindings::Binding;
use super::checks::Checked;
use super::driver::DpdkDriver;
use super::holders::unseen_sentence;
use super::move_device::next_step;
use super::obstacle::DpdkObstacle;
use super::planner::Planner;
use super::reports::{bound, changing, contested, refused};
use super::step::{DeviceStep, DpdkStep, Goal};
use crate::pci_device::PciDevice;
use crate::plan::report::{Obstacle, Outcome};
use crate::wanted::WantedEni;

/// Whether a device may leave its kernel driver.
enum Leave {
    May,
    /// Its link is not to be seen here.
    NotSeen,
    MustNot(Obstacle),
}

impl<'a> Planner<'a> {
    /// A device of the ledger.
    pub(super) fn follow(&mut self, eni: Option<&'a WantedEni>, binding: &Binding, goal: Goal) {
        let (pci, now, address) = (self.input.pci, self.input.now, &binding.pci_address);
        let name = eni.map_or(&binding.attachment, |eni| &eni.name);
        let Some(device) = pci.devices.get(address).filter(|_| !self.is_stale(binding)) else {
            // The device is gone, or another one by now: the entry says nothing any more.
            self.push(name, DpdkStep::Forget(address.clone()));
            return;
        };
        let attempt = self.input.attempts.of(address);
        if let Some(running) = attempt.and_then(Attempt::running) {
            let taken = now.saturating_sub(running.since);
            let obstacle = if taken < self.input.settings.deadline {
                changing(goal)
            } else {
                let (step, seconds) = (&running.step, taken.as_secs());
                self.held(format!("the kernel has not finished to {step} (device {address}) for {seconds} s"))
            };
            return self.report(eni, binding, device, Outcome::Blocked(Obstacle::Dpdk(obstacle)));
        }
        if device.is_locked {
            let what = "which another process began to bind or to unbind";
            let held = self.held(format!("the kernel is still busy with the device {address}, {what}"));
            let outcome = Outcome::Blocked(Obstacle::Dpdk(held));
            return self.report(eni, binding, device, outcome);
        }
        if let Some(eni) = eni
            && (binding.uid != eni.uid || binding.attachment != eni.name)
        {
            // The ENI has a new ENIAttachment.
            let binding = Binding { uid: eni.uid.clone(), attachment: eni.name.clone(), ..binding.clone() };
            self.push(name, DpdkStep::Remember(binding));
        }
        if let Some(why) = self.refusal(address, goal) {
            let outcome = Outcome::Blocked(Obstacle::Dpdk(refused(why, goal)));
            return self.report(eni, binding, device, outcome);
        }
        if let (Goal::Bind(driver), Some(eni)) = (goal, eni)
            && device.driver.is_some()
            && !device.has_dpdk_driver()
        {
            if attempt.is_some_and(|attempt| attempt.is_contested(now)) {
                let outcome = Outcome::Blocked(Obstacle::Dpdk(contested(driver)));
                return self.report(Some(eni), binding, device, outcome);
            }
            match self.may_leave_kernel(eni, binding, driver) {
                Leave::May => {}
                Leave::NotSeen => return self.link_not_back(Some(eni), binding, device, goal),
                Leave::MustNot(obstacle) => {
                    self.give_up(name, address, goal, obstacle.to_string());
                    return self.report(Some(eni), binding, device, Outcome::Blocked(obstacle));
                }
            }
        }
        let next = next_step(device, goal, binding.original_driver.as_deref(), &pci.drivers);
        let has_done = |step: &DeviceStep| attempt.is_some_and(|attempt| attempt.has_done(goal, step));
        match (next, goal) {
            (None, Goal::Bind(_)) => self.report(eni, binding, device, bound(pci, address, device)),
            // The device works. A driver_override that stays says no more than which driver the device has.
            (Some(step @ DeviceStep::ClearOverride), Goal::Bind(_)) if has_done(&step) => {
                self.report(eni, binding, device, bound(pci, address, device));
            }
            (None, Goal::Restore) if device.links.is_empty() => self.link_not_back(eni, binding, device, goal),
            (None, Goal::Restore) => {
                self.push(name, DpdkStep::Forget(address.clone()));
                let outcome = match (eni, &binding.rolling_back) {
                    (Some(_), Some(why)) => Outcome::Blocked(Obstacle::Dpdk(DpdkObstacle::BindFailed(why.clone()))),
                    (Some(_), None) => return,
                    (None, _) => Outcome::Restored { device: address.to_string() },
                };
                self.report(eni, binding, device, outcome);
            }
            (Some(step), _) => {
                self.device_step(name, address.clone(), goal, step);
                let outcome = match &binding.rolling_back {
                    Some(why) => DpdkObstacle::BindFailed(why.clone()),
                    None => changing(goal),
                };
                self.report(eni, binding, device, Outcome::Blocked(Obstacle::Dpdk(outcome)));
            }
        }
    }

    /// The kernel waits. The agent has seen no process that holds the device.
    fn held(&self, what: String) -> DpdkObstacle {
        let unseen = unseen_sentence(self.input.pci.unseen_processes).map(|sentence| format!("; {sentence}"));
        let unseen = unseen.unwrap_or_default();
        DpdkObstacle::DeviceHeld(format!(
            "{what}: a process holds the device, or the driver waits for something{unseen}"
        ))
    }

    /// Whether a device of the ledger may leave its kernel driver. It was checked before the device came into the ledger, and again now.
    fn may_leave_kernel(&self, eni: &WantedEni, binding: &Binding, driver: DpdkDriver) -> Leave {
        let Some(dpdk) = &eni.dpdk else { return Leave::NotSeen };
        match self.checks().check(binding.mac, driver, dpdk) {
            Err(obstacle) => Leave::MustNot(obstacle),
            Ok(Checked::Ready { address, .. }) if address == binding.pci_address => Leave::May,
            Ok(Checked::First { step, .. }) => {
                Leave::MustNot(Obstacle::Dpdk(DpdkObstacle::BindFailed(format!("to {step} has to come first"))))
            }
            Ok(Checked::NoLink | Checked::Ready { .. }) => Leave::NotSeen,
        }
    }

    /// Whether the entry of the ledger is of another device: the device has a link of another ENI, or the ENI is elsewhere.
    fn is_stale(&self, binding: &Binding) -> bool {
        let is_at = |parent: &Option<String>| parent.as_deref() == Some(binding.pci_address.as_str());
        let kinds = &self.input.network.link_kinds;
        self.input.node.links.iter().any(|link| {
            let counts = link.kind.as_ref().is_none_or(|kind| kinds.contains(kind)) && link.parent_device.is_some();
            let has_mac = link.permanent_mac.or(link.mac) == Some(binding.mac);
            counts && is_at(&link.parent_device) != has_mac
        })
    }

    fn link_not_back(&mut self, eni: Option<&WantedEni>, binding: &Binding, device: &PciDevice, goal: Goal) {
        let attempt = self.input.attempts.of(&binding.pci_address);
        let since = attempt.and_then(Attempt::last_end).map(|end| self.input.now.saturating_sub(end));
        let is_new = since.is_some_and(|since| since < self.input.settings.deadline);
        let driver = device.driver.clone().unwrap_or_default();
        let late = DpdkObstacle::LinkNotBack { device: binding.pci_address.clone(), driver };
        let obstacle = if is_new { changing(goal) } else { late };
        self.report(eni, binding, device, Outcome::Blocked(Obstacle::Dpdk(obstacle)));
    }
}
