//! What the plan of the devices is made from, and what it consists of: plain data.

use super::attempts::Attempts;
use super::bindings::Bindings;
use super::pci::Pci;
use super::reported_device::ReportedDevice;
use super::settings::DpdkSettings;
use super::step::DpdkStep;
use super::upstream::UpstreamBinding;
use crate::ledger::Ledger;
use crate::node::Node;
use crate::plan::Settings;
use crate::plan::report::EniReport;
use crate::wanted::WantedEni;
use std::collections::BTreeMap;
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
    /// The devices that the last reports of ENIAttachments that are being deleted have as bound.
    pub reported: &'a [ReportedDevice],
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
