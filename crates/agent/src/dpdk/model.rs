//! A node for the tests, and what steps do to its devices: the part of the kernel that the plan relies on, with faults.

use super::all_devices::plan;
use super::attempts::{Attempts, StepError};
use super::bindings::Bindings;
use super::driver::DpdkDriver;
use super::pci::Pci;
use super::plan::{DpdkPlan, Input, Verdict};
use super::reported_device::ReportedDevice;
use super::settings::DpdkSettings;
use super::step::{DeviceStep, DpdkStep, Goal};
use super::upstream::UpstreamBinding;
use crate::ledger::Ledger;
use crate::node::{Link, Node};
use crate::pci_address::PciAddress;
use crate::pci_device::{IommuGroup, PciDevice};
use crate::plan::model::{eni, new_link, node, settings};
use crate::plan::report::Outcome;
use crate::wanted::{WantedDpdk, WantedEni};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The PCI address of the ENI with this number. Number 0 is the primary interface, and 9 is a device of others.
pub(super) fn address(number: u8) -> PciAddress {
    format!("0000:00:{:02x}.0", number + 5).parse().unwrap()
}

/// The ENI with this number, to be bound to vfio-pci.
pub(super) fn dpdk_eni(number: u8) -> WantedEni {
    let dpdk = Some(WantedDpdk { driver: Ok(DpdkDriver::VfioPci), pci_address: None });
    WantedEni { dpdk, ..eni(number) }
}

/// What goes wrong.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    /// Devices that a process holds, as the agent sees.
    pub held: BTreeSet<PciAddress>,
    /// Devices whose unbind never returns.
    pub hangs: BTreeSet<PciAddress>,
    /// Drivers that take no device: the probe fails.
    pub refusing: BTreeSet<String>,
    /// The driver that takes devices although `driver_override` names another one.
    pub thief: Option<String>,
    /// Devices whose link does not come back.
    pub lost_links: BTreeSet<PciAddress>,
    /// Modules cannot be loaded.
    pub no_modules: bool,
}

/// A node.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub node: Node,
    pub links: Ledger,
    pub pci: Pci,
    pub bindings: Bindings,
    pub upstream: Vec<UpstreamBinding>,
    pub reported: Vec<ReportedDevice>,
    pub attempts: Attempts,
    pub settings: DpdkSettings,
    pub faults: Faults,
    pub now: Duration,
    /// The steps that were made.
    pub made: Vec<String>,
}

impl World {
    /// A Nitro instance with an IOMMU, the links of the ENIs 1, 2 and 3, and a device that others have bound to vfio-pci.
    pub(super) fn new() -> Self {
        let mut pci = Pci { has_iommu: true, no_iommu: Some(false), ..Pci::default() };
        pci.drivers.extend(["ena", "nvme", "vfio-pci", "igb_uio", "uio_pci_generic"].map(str::to_owned));
        for number in 0..4 {
            let device = PciDevice {
                vendor: Some(0x1d0f),
                device: Some(0xec20),
                driver: Some("ena".to_owned()),
                numa_node: Some(0),
                iommu_group: Some(IommuGroup { number: u32::from(number), is_noiommu: false }),
                links: vec![new_link(number).name],
                ..PciDevice::default()
            };
            pci.devices.insert(address(number), device);
        }
        let others = PciDevice { driver: Some("vfio-pci".to_owned()), ..PciDevice::default() };
        pci.devices.insert(address(9), others);
        Self {
            node: node(&[1, 2, 3]),
            links: Ledger::default(),
            pci,
            bindings: Bindings::default(),
            upstream: Vec::new(),
            reported: Vec::new(),
            attempts: Attempts::default(),
            settings: DpdkSettings::default(),
            faults: Faults::default(),
            now: Duration::ZERO,
            made: Vec::new(),
        }
    }

    pub(super) fn device(&mut self, number: u8) -> &mut PciDevice {
        self.pci.devices.get_mut(&address(number)).unwrap()
    }

    pub(super) fn plan(&self, wanted: &[WantedEni]) -> DpdkPlan {
        plan(Input {
            node: &self.node,
            links: &self.links,
            pci: &self.pci,
            bindings: &self.bindings,
            upstream: &self.upstream,
            wanted,
            reported: &self.reported,
            attempts: &self.attempts,
            network: &settings(),
            settings: &self.settings,
            now: self.now,
        })
    }

    /// Plans and makes the steps, and checks that each may be made. The result is the plan.
    pub(super) fn round(&mut self, wanted: &[WantedEni]) -> DpdkPlan {
        let planned = self.plan(wanted);
        for (uid, verdict) in &planned.verdicts {
            let eni = wanted.iter().find(|eni| &eni.uid == uid).unwrap();
            // The network's half of a turn.
            if let (Verdict::TakeBack, Some(mac)) = (verdict, eni.mac) {
                self.links.forget(mac);
            }
        }
        for report in &planned.reports {
            if let Outcome::Bound { device, .. } = &report.outcome {
                self.attempts.settle(&device.parse().unwrap(), self.now);
            }
        }
        for step in &planned.steps {
            self.made.push(step.step.to_string());
            match step.step.clone() {
                DpdkStep::Remember(binding) => self.bindings.remember(binding),
                DpdkStep::Forget(address) => {
                    self.bindings.forget(&address);
                    self.attempts.given_back(&address);
                }
                DpdkStep::GiveUp { address, goal, why } => {
                    if let (Goal::Bind(_), Some(binding)) = (goal, self.bindings.at(&address).cloned()) {
                        let binding = super::bindings::Binding { rolling_back: Some(why.clone()), ..binding };
                        self.bindings.remember(binding);
                    }
                    self.attempts.give_up(&address, goal, why, self.now);
                }
                DpdkStep::Device { address, goal, step } => {
                    self.check(&address, &step, wanted);
                    self.attempts.start(&address, goal, step.clone(), self.now);
                    if matches!(step, DeviceStep::Unbind(_)) && self.faults.hangs.contains(&address) {
                        continue;
                    }
                    let result = self.make(&address, &step);
                    self.attempts.finish(&address, &result, self.now);
                }
            }
        }
        planned
    }

    /// Rounds until nothing is left to do. The result is the outcome of each ENI that DPDK is about.
    pub(super) fn settle(&mut self, wanted: &[WantedEni]) -> BTreeMap<String, Outcome> {
        for _ in 0..60 {
            let links = self.links.clone();
            let planned = self.round(wanted);
            if planned.steps.is_empty() && self.links == links {
                let outcomes = planned.reports.into_iter().map(|report| (report.attachment, report.outcome));
                return outcomes.collect();
            }
        }
        panic!("the steps do not end: {:#?}", self.made.iter().rev().take(12).collect::<Vec<_>>());
    }

    /// A step of a device needs an entry of the ledger. A kernel driver is taken away only if the link with the MAC address is seen.
    fn check(&self, address: &PciAddress, step: &DeviceStep, wanted: &[WantedEni]) {
        if !step.is_of_device() {
            return;
        }
        let binding = self.bindings.at(address).unwrap_or_else(|| panic!("{address} is not in the ledger: {step:?}"));
        if let DeviceStep::Unbind(driver) = step
            && !DpdkDriver::is_name(driver)
        {
            let is_wanted = wanted.iter().any(|eni| eni.mac == Some(binding.mac) && eni.dpdk.is_some());
            let is_ours = |link: &Link| {
                link.permanent_mac == Some(binding.mac) && link.parent_device.as_deref() == Some(address.as_str())
            };
            assert!(is_wanted && self.node.links.iter().any(is_ours), "{address} lost {driver}, and is not ours");
        }
    }

    fn make(&mut self, address: &PciAddress, step: &DeviceStep) -> Result<(), StepError> {
        let failed = |text: &str| Err(StepError::Failed(text.to_owned()));
        let loaded = self.pci.drivers.clone();
        match step {
            DeviceStep::LoadModule(_) if self.faults.no_modules => failed("no module"),
            DeviceStep::LoadModule(driver) => {
                self.pci.drivers.insert(driver.name().to_owned());
                Ok(())
            }
            DeviceStep::EnableNoIommu => {
                self.pci.no_iommu = Some(true);
                Ok(())
            }
            DeviceStep::SetOverride(driver) => {
                self.pci.devices.get_mut(address).unwrap().driver_override = Some(driver.clone());
                Ok(())
            }
            DeviceStep::ClearOverride => {
                self.pci.devices.get_mut(address).unwrap().driver_override = None;
                Ok(())
            }
            DeviceStep::Unbind(driver) => {
                if DpdkDriver::is_name(driver) && self.faults.held.contains(address) {
                    return Err(StepError::Held("process 7".to_owned()));
                }
                let device = self.pci.devices.get_mut(address).unwrap();
                if device.driver.as_ref() != Some(driver) {
                    return failed("ENODEV");
                }
                device.driver = None;
                device.links.clear();
                self.node.links.retain(|link| link.parent_device.as_deref() != Some(address.as_str()));
                Ok(())
            }
            DeviceStep::Probe => {
                let device = self.pci.devices.get_mut(address).unwrap();
                let asked = device.driver_override.clone().unwrap_or_else(|| "ena".to_owned());
                let driver = self.faults.thief.clone().unwrap_or(asked);
                if device.driver.is_some() || self.faults.refusing.contains(&driver) || !loaded.contains(&driver) {
                    return failed("no driver has taken the device");
                }
                device.driver = Some(driver.clone());
                if !DpdkDriver::is_name(&driver) && !self.faults.lost_links.contains(address) {
                    let number = u8::from_str_radix(&address.as_str()[8..10], 16).unwrap() - 5;
                    // The kernel may give it another name than before.
                    let name = format!("eth{}", number + 40);
                    device.links = vec![name.clone()];
                    self.node.links.push(Link { name, index: u32::from(number) + 100, ..new_link(number) });
                }
                Ok(())
            }
        }
    }
}
