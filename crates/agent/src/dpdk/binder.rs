//! Joins the parts: observes the devices, plans, and makes steps until nothing is left to do or a step takes long.

use super::all_devices::plan;
use super::attempts::Attempts;
use super::bindings::{Binding, Bindings};
use super::bindings_file::BindingsFile;
use super::holders::{self, Holders};
use super::override_reader::{Locked, OverrideReader};
use super::pci::Pci;
use super::pci_files::PciFiles;
use super::plan::{DpdkPlan, Input, PlannedDpdkStep};
use super::reported_device::ReportedDevice;
use super::settings::DpdkSettings;
use super::step::{DpdkStep, Goal};
use super::upstream::{self, UpstreamBinding};
use super::worker::{Waker, Worker};
use crate::apply::StepCount;
use crate::ledger::Ledger;
use crate::node::Node;
use crate::pci_address::PciAddress;
use crate::pci_device::PciDevice;
use crate::plan::Settings;
use crate::plan::report::{EniReport, Outcome};
use crate::wanted::WantedEni;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long one turn waits for steps. The kernel makes most within milliseconds; what takes longer goes on beside the agent.
const WAITS: Duration = Duration::from_secs(3);
/// The most reports of devices that were given back for ENIAttachments that are being deleted.
const KEPT_REPORTS: usize = 64;

/// What was seen of PCI.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// The devices.
    pub pci: Pci,
    /// What upstream has bound.
    pub upstream: Vec<UpstreamBinding>,
}

/// What a round did.
#[derive(Debug, Default)]
pub struct Round {
    /// The steps, in words.
    pub steps: Vec<String>,
    /// Whether another round may find something to do.
    pub goes_on: bool,
}

/// The part of the agent that binds devices.
pub struct Binder {
    files: PciFiles,
    bindings: BindingsFile,
    attempts: Attempts,
    worker: Worker,
    reader: OverrideReader,
    start: Instant,
    given_back: Vec<EniReport>,
    reported: Vec<ReportedDevice>,
    /// How many steps of each kind have ended, by whether they succeeded, since somebody asked.
    ended: BTreeMap<(&'static str, bool), u64>,
}

impl Binder {
    /// Opens the ledger.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn open(sysfs: PathBuf, state_dir: &Path, boot_id: &str, settings: DpdkSettings) -> io::Result<Self> {
        Ok(Self {
            files: PciFiles { sysfs, settings },
            bindings: BindingsFile::open(state_dir, boot_id)?,
            attempts: Attempts::default(),
            worker: Worker::default(),
            reader: OverrideReader::default(),
            start: Instant::now(),
            given_back: Vec::new(),
            reported: Vec::new(),
            ended: BTreeMap::new(),
        })
    }

    /// Sets what the agent may do, and how long it waits.
    pub fn set_settings(&mut self, settings: DpdkSettings) {
        self.files.settings = settings;
    }

    /// Sets what is told when a step ends after its turn.
    pub fn set_waker(&mut self, waker: Waker) {
        self.worker.set_waker(waker);
    }

    /// How long a device may be held.
    pub fn deadline(&self) -> Duration {
        self.files.settings.deadline
    }

    /// What the agent has bound.
    pub fn bindings(&self) -> &Bindings {
        self.bindings.bindings()
    }

    /// The devices that the agent has bound, as they are now.
    pub fn devices(&self) -> Vec<(Binding, PciDevice)> {
        let devices = self.bindings().devices.iter();
        devices.map(|binding| (binding.clone(), self.files.device(&binding.pci_address))).collect()
    }

    /// The processes that hold a device.
    pub fn holders(&self, device: &PciDevice) -> Holders {
        holders::of(&self.files.settings.proc, &device.device_files())
    }

    /// Observes the devices. If no ENI is about DPDK and upstream has left no file, nothing is looked at.
    pub fn observe(&mut self, wanted: &[WantedEni]) -> Seen {
        let upstream = self.upstream();
        let is_about = !self.bindings().devices.is_empty()
            || wanted.iter().any(|eni| eni.dpdk.is_some())
            || !(upstream.is_empty() && self.reported.is_empty());
        let pci = if is_about { self.observe_pci() } else { Pci::default() };
        Seen { pci, upstream }
    }

    /// All devices, and `driver_override` of those of the ledger.
    fn observe_pci(&mut self) -> Pci {
        let mut pci = self.files.observe();
        if !self.files.settings.reads_overrides {
            return pci;
        }
        for binding in &self.bindings.bindings().devices {
            let address = &binding.pci_address;
            let is_running = self.attempts.of(address).is_some_and(|attempt| attempt.running().is_some());
            let Some(device) = pci.devices.get_mut(address).filter(|_| !is_running) else { continue };
            match self.reader.read(&self.files, address, self.worker.waker()) {
                Ok(content) => device.driver_override = content,
                Err(Locked) => device.is_locked = true,
            }
        }
        let busy = |(address, device): (&PciAddress, &PciDevice)| {
            let is_running = self.attempts.of(address).is_some_and(|attempt| attempt.running().is_some());
            (is_running || device.is_locked).then(|| self.holders(device).unseen)
        };
        pci.unseen_processes = pci.devices.iter().filter_map(busy).max().unwrap_or(0);
        pci
    }

    /// Observes all devices, whatever the ENIs are about.
    pub fn observe_all(&mut self) -> Seen {
        Seen { pci: self.observe_pci(), upstream: self.upstream() }
    }

    fn upstream(&self) -> Vec<UpstreamBinding> {
        let path = &self.files.settings.upstream;
        let Ok(text) = std::fs::read_to_string(path) else { return Vec::new() };
        upstream::read(&text).unwrap_or_else(|error| {
            tracing::debug!(%error, path = %path.display(), "upstream's file cannot be read");
            Vec::new()
        })
    }

    /// Plans. Nothing is changed.
    pub fn plan(&self, seen: &Seen, node: &Node, links: &Ledger, wanted: &[WantedEni], network: &Settings) -> DpdkPlan {
        let mut planned = plan(Input {
            node,
            links,
            pci: &seen.pci,
            bindings: self.bindings(),
            upstream: &seen.upstream,
            wanted,
            reported: &self.reported,
            attempts: &self.attempts,
            network,
            settings: &self.files.settings,
            now: self.start.elapsed(),
        });
        let is_new = |old: &&EniReport| !planned.reports.iter().any(|report| report.uid == old.uid);
        let old: Vec<EniReport> = self.given_back.iter().filter(is_new).cloned().collect();
        planned.reports.extend(old);
        planned
    }

    /// Sets the devices that the last reports of ENIAttachments that are being deleted have as bound.
    pub fn set_reported(&mut self, reported: Vec<ReportedDevice>) {
        self.reported = reported;
    }

    /// Keeps the reports of devices that were given back for these ENIAttachments. Nobody reads those of others.
    pub fn keep_given_back(&mut self, is_watched: impl Fn(&str) -> bool) {
        self.given_back.retain(|report| is_watched(&report.uid));
    }

    /// How many steps have ended since the last call. A step may end after its turn.
    pub fn take_counts(&mut self) -> Vec<StepCount> {
        let ended = std::mem::take(&mut self.ended);
        ended.into_iter().map(|((kind, is_done), steps)| StepCount { kind, is_done, steps }).collect()
    }

    fn count(&mut self, kind: &'static str, is_done: bool) {
        let steps = self.ended.entry((kind, is_done)).or_default();
        *steps = steps.saturating_add(1);
    }

    /// Writes the ledger again if somebody has removed it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn restore_ledger(&self) -> io::Result<bool> {
        self.bindings.restore()
    }

    /// Takes in the steps that have ended since the last turn.
    pub fn take_finished(&mut self) {
        while self.take_one(Duration::ZERO) {}
    }

    /// Makes the steps of a plan.
    ///
    /// # Errors
    /// If the ledger cannot be written. No step follows then.
    pub fn make(&mut self, planned: &DpdkPlan) -> io::Result<Round> {
        let mut round = Round::default();
        let mut running = 0_usize;
        for report in &planned.reports {
            self.note(report);
        }
        for PlannedDpdkStep { attachment, step } in &planned.steps {
            let now = self.start.elapsed();
            match step {
                DpdkStep::Remember(binding) => self.write(|ledger| ledger.remember(binding.clone()))?,
                DpdkStep::Forget(address) => {
                    self.write(|ledger| ledger.forget(address))?;
                    self.attempts.given_back(address);
                }
                DpdkStep::GiveUp { address, goal, why } => {
                    tracing::warn!(attachment, device = %address, why, "giving up for a time");
                    self.roll_back(address, *goal, why)?;
                    self.attempts.give_up(address, *goal, why.clone(), now);
                }
                DpdkStep::Device { address, goal, step } => {
                    self.attempts.start(address, *goal, step.clone(), now);
                    self.worker.start(&self.files, address, step);
                    running = running.saturating_add(1);
                }
            }
            tracing::info!(attachment, "{step}");
            round.steps.push(step.to_string());
        }
        round.goes_on = !planned.steps.is_empty() && running == 0;
        let until = Instant::now().checked_add(WAITS);
        while running > 0 {
            let left = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
            if !self.take_one(left) {
                break;
            }
            running = running.saturating_sub(1);
            round.goes_on = true;
        }
        Ok(round)
    }

    fn write(&mut self, change: impl FnOnce(&mut Bindings)) -> io::Result<()> {
        let result = self.bindings.update(change);
        self.count("ledger", result.is_ok());
        result
    }

    /// A device that cannot be bound goes back to its kernel driver, and the ledger says so in case the agent ends before that.
    fn roll_back(&mut self, address: &PciAddress, goal: Goal, why: &str) -> io::Result<()> {
        match goal {
            Goal::Restore => Ok(()),
            Goal::Bind(_) => self.write(|ledger| {
                if let Some(binding) = ledger.at(address).cloned() {
                    ledger.remember(Binding { rolling_back: Some(why.to_owned()), ..binding });
                }
            }),
        }
    }

    fn note(&mut self, report: &EniReport) {
        match &report.outcome {
            Outcome::Bound { device, .. } => {
                if let Ok(address) = device.parse() {
                    self.attempts.settle(&address, self.start.elapsed());
                }
            }
            Outcome::Restored { .. } => {
                self.given_back.retain(|old| old.uid != report.uid);
                self.given_back.push(report.clone());
                let surplus = self.given_back.len().saturating_sub(KEPT_REPORTS);
                self.given_back.drain(..surplus);
            }
            Outcome::Configured
            | Outcome::NotManaged
            | Outcome::InUse { .. }
            | Outcome::Changing { .. }
            | Outcome::Blocked(_) => {}
        }
    }

    fn take_one(&mut self, timeout: Duration) -> bool {
        let Some(finished) = self.worker.wait(timeout) else { return false };
        self.count("device", finished.result.is_ok());
        let now = self.start.elapsed();
        if let Some(step) = self.attempts.finish(&finished.address, &finished.result, now)
            && let Err(error) = &finished.result
        {
            tracing::warn!(device = %finished.address, ?error, "could not {step}");
        }
        true
    }
}
