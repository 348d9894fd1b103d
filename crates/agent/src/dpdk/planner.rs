//! All ENIs together: at most one step for each device, and a report for each ENI that DPDK is about. It is pure.
//!
//! Only two kinds of devices are ever changed: one whose link has the MAC address of an ENIAttachment of this node, and one of the ledger.

use super::attempts::{Attempt, Attempts, StepError};
use super::bindings::{Binding, Bindings};
use super::checks::{Checked, Checks};
use super::driver::DpdkDriver;
use super::holders::unseen_sentence;
use super::move_device::next_step;
use super::obstacle::DpdkObstacle;
use super::pci::Pci;
use super::reports::{bound, changing, contested, device_report, refused, report, report_of_binding};
use super::settings::DpdkSettings;
use super::step::{DeviceStep, DpdkStep, Goal};
use super::upstream::{UpstreamBinding, original_driver};
use crate::ledger::Ledger;
use crate::node::{Mac, Node};
use crate::pci_address::PciAddress;
use crate::pci_device::PciDevice;
use crate::plan::Settings;
use crate::plan::find_link::{Found, find_link};
use crate::plan::report::{EniReport, LinkReport, Obstacle, Outcome};
use crate::wanted::{WantedDpdk, WantedEni};
use multi_eni_api::node_config::NodeMode;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What the plan is made from.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The node's network.
    pub node: &'a Node,
    /// The agent's ledger of links.
    pub links: &'a Ledger,
    /// The PCI devices.
    pub pci: &'a Pci,
    /// The agent's ledger of devices.
    pub bindings: &'a Bindings,
    /// What upstream has bound.
    pub upstream: &'a [UpstreamBinding],
    /// The ENIs.
    pub wanted: &'a [WantedEni],
    /// What was tried so far.
    pub attempts: &'a Attempts,
    /// The settings of the network.
    pub network: &'a Settings,
    /// The settings of DPDK.
    pub settings: &'a DpdkSettings,
    /// The time since the start of the process.
    pub now: Duration,
}

/// What the network's plan is to do with the link of an ENI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: the ENI cannot be bound now, so its link stays as it is.
    Leave,
    /// Take back what the agent has set: the link goes to a driver for DPDK.
    TakeBack,
}

/// A step, and the ENIAttachment for which it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedDpdkStep {
    /// Name of the ENIAttachment.
    pub attachment: String,
    /// The step.
    pub step: DpdkStep,
}

/// What to do, and what is so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DpdkPlan {
    /// The steps.
    pub steps: Vec<PlannedDpdkStep>,
    /// The reports. They replace those of the network for the same ENIs, and there is one for each device of a lost ENIAttachment.
    pub reports: Vec<EniReport>,
    /// What the network's plan is to do, by the UID of the ENIAttachment.
    pub verdicts: BTreeMap<String, Verdict>,
}

/// Plans the devices. With no ENI wanted, the steps give every device back.
pub fn plan(input: Input<'_>) -> DpdkPlan {
    let mut planner = Planner { input, plan: DpdkPlan::default(), claimed: BTreeSet::new() };
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

/// Whether a device may leave its kernel driver.
enum Leave {
    May,
    /// Its link is not to be seen here.
    NotSeen,
    MustNot(Obstacle),
}

struct Planner<'a> {
    input: Input<'a>,
    plan: DpdkPlan,
    /// Devices of the ledger that an ENI has.
    claimed: BTreeSet<PciAddress>,
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

    fn checks(&self) -> Checks<'a> {
        let Input { node, links, pci, network, settings, .. } = self.input;
        Checks { node, links, pci, network, settings }
    }

    /// An ENI that is to be bound, and whose device is not in the ledger.
    fn first(&mut self, eni: &'a WantedEni, dpdk: &WantedDpdk, driver: DpdkDriver) {
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
    fn adopt(&mut self, eni: &WantedEni) -> bool {
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

    /// A device of the ledger.
    fn follow(&mut self, eni: Option<&'a WantedEni>, binding: &Binding, goal: Goal) {
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

    fn refusal(&self, address: &PciAddress, goal: Goal) -> Option<&'a StepError> {
        self.input.attempts.of(address)?.refusal(goal, self.input.now)
    }

    fn find(&self, mac: Mac) -> Found<'a> {
        find_link(self.input.node, mac, &self.input.network.link_kinds)
    }

    /// A step towards the goal. A step that was made already had no effect, so that the goal is given up.
    fn device_step(&mut self, attachment: &str, address: PciAddress, goal: Goal, step: DeviceStep) {
        let attempt = self.input.attempts.of(&address);
        if attempt.is_some_and(|attempt| attempt.running().is_some()) {
            return;
        }
        if attempt.is_some_and(|attempt| attempt.has_done(goal, &step)) {
            let driver =
                self.input.pci.devices.get(&address).and_then(|device| device.driver.as_deref()).unwrap_or("none");
            let had_no_effect = || format!("to {step} had no effect: the driver of the device is {driver}");
            let error = attempt.and_then(|attempt| attempt.last_error(goal)).map_or_else(had_no_effect, str::to_owned);
            return self.give_up(
                attachment,
                &address,
                goal,
                format!("the agent could not {goal} (device {address}): {error}"),
            );
        }
        self.push(attachment, DpdkStep::Device { address, goal, step });
    }

    fn give_up(&mut self, attachment: &str, address: &PciAddress, goal: Goal, why: String) {
        self.push(attachment, DpdkStep::GiveUp { address: address.clone(), goal, why });
    }

    fn push(&mut self, attachment: &str, step: DpdkStep) {
        self.plan.steps.push(PlannedDpdkStep { attachment: attachment.to_owned(), step });
    }

    /// Without a device, the link is that of the network's report.
    fn blocked(&mut self, eni: &WantedEni, verdict: Verdict, link: Option<LinkReport>, obstacle: Obstacle) {
        self.plan.verdicts.insert(eni.uid.clone(), verdict);
        self.plan.reports.push(report(eni, link, Outcome::Blocked(obstacle)));
    }

    fn report(&mut self, eni: Option<&WantedEni>, binding: &Binding, device: &PciDevice, outcome: Outcome) {
        let link = Some(device_report(&binding.pci_address, device));
        match eni {
            Some(eni) => {
                if eni.dpdk.is_some() {
                    self.plan.verdicts.insert(eni.uid.clone(), Verdict::TakeBack);
                }
                self.plan.reports.push(report(eni, link, outcome));
            }
            None => self.plan.reports.push(report_of_binding(binding, link, outcome)),
        }
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
