//! The planner of the devices: what it collects, and how a step or a report is added. [`first_bind`](super::first_bind) and
//! [`recorded_device`](super::recorded_device) decide for one device, and [`all_devices`](super::all_devices) for all.

use super::attempts::StepError;
use super::bindings::Binding;
use super::checks::Checks;
use super::plan::{DpdkPlan, Input, PlannedDpdkStep, Verdict};
use super::reports::{device_report, report, report_of_binding};
use super::step::{DeviceStep, DpdkStep, Goal};
use crate::node::Mac;
use crate::pci_address::PciAddress;
use crate::pci_device::PciDevice;
use crate::plan::find_link::{Found, find_link};
use crate::plan::report::{LinkReport, Obstacle, Outcome};
use crate::wanted::WantedEni;
use std::collections::BTreeSet;

/// Collects the plan.
pub(super) struct Planner<'a> {
    pub input: Input<'a>,
    pub plan: DpdkPlan,
    /// Devices of the ledger that an ENI has.
    pub claimed: BTreeSet<PciAddress>,
}

impl<'a> Planner<'a> {
    pub(super) fn new(input: Input<'a>) -> Self {
        Self { input, plan: DpdkPlan::default(), claimed: BTreeSet::new() }
    }

    pub(super) fn checks(&self) -> Checks<'a> {
        let Input { node, links, pci, network, settings, wanted, .. } = self.input;
        Checks { node, links, pci, network, settings, wanted }
    }

    pub(super) fn refusal(&self, address: &PciAddress, goal: Goal) -> Option<&'a StepError> {
        self.input.attempts.of(address)?.refusal(goal, self.input.now)
    }

    pub(super) fn find(&self, mac: Mac) -> Found<'a> {
        find_link(self.input.node, mac, &self.input.network.link_kinds)
    }

    /// A step towards the goal. A step that was made already had no effect, so that the goal is given up.
    pub(super) fn device_step(&mut self, attachment: &str, address: PciAddress, goal: Goal, step: DeviceStep) {
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

    pub(super) fn give_up(&mut self, attachment: &str, address: &PciAddress, goal: Goal, why: String) {
        self.push(attachment, DpdkStep::GiveUp { address: address.clone(), goal, why });
    }

    pub(super) fn push(&mut self, attachment: &str, step: DpdkStep) {
        self.plan.steps.push(PlannedDpdkStep { attachment: attachment.to_owned(), step });
    }

    /// Without a device, the link is that of the network's report.
    pub(super) fn blocked(&mut self, eni: &WantedEni, verdict: Verdict, link: Option<LinkReport>, obstacle: Obstacle) {
        self.plan.verdicts.insert(eni.uid.clone(), verdict);
        self.plan.reports.push(report(eni, link, Outcome::Blocked(obstacle)));
    }

    pub(super) fn report(&mut self, eni: Option<&WantedEni>, binding: &Binding, device: &PciDevice, outcome: Outcome) {
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
