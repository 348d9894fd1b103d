//! One node: observes, plans, applies, and observes again. It is synchronous, and it knows nothing of the API server.

use crate::apply::{Applied, FailedStep, StepCount, apply};
use crate::device_plugin::pods::Pods;
use crate::dpdk::binder::Binder;
use crate::dpdk::plan::{DpdkPlan, Verdict};
use crate::dpdk::settings::DpdkSettings;
use crate::ledger_file::LedgerFile;
use crate::netlink::{NetlinkError, NetlinkSocket, dump};
use crate::node::Node;
use crate::plan::own_protocols::with_current_protocol;
use crate::plan::report::EniReport;
use crate::plan::{Plan, Settings, plan};
use crate::run_files;
use crate::sysfs::KernelFiles;
use crate::wanted::WantedEni;
use multi_eni_api::node_config::NodeMode;
use std::io;
use std::path::PathBuf;

/// Where the agent finds and keeps things.
#[derive(Debug, Clone)]
pub struct Directories {
    /// sysfs and sysctls.
    pub kernel: KernelFiles,
    /// `/run`.
    pub run: PathBuf,
    /// The agent's own state.
    pub state: PathBuf,
}

/// Why the agent cannot work.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Netlink failed.
    #[error("netlink: {0}")]
    Netlink(#[from] NetlinkError),
    /// A file failed.
    #[error("{0}")]
    File(#[from] io::Error),
}

/// What one turn did and found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Turn {
    /// The steps of the network that were made, in words.
    pub steps: Vec<String>,
    /// The steps of devices that were made, in words.
    pub device_steps: Vec<String>,
    /// The steps that failed.
    pub failed: Vec<FailedStep>,
    /// How many steps of each kind succeeded or failed.
    pub counts: Vec<StepCount>,
    /// What was so after the steps.
    pub reports: Vec<EniReport>,
}

/// The most steps of one device in a turn are fewer.
const ROUNDS: usize = 24;

/// What the node shows and what is to be done.
struct Look {
    network: Plan,
    dpdk: DpdkPlan,
}

/// The agent in the network namespace in which it was opened.
pub struct NodeAgent {
    socket: NetlinkSocket,
    ledger: LedgerFile,
    directories: Directories,
    settings: Settings,
    boot_id: String,
    binder: Binder,
    pods: Option<Pods>,
}

impl NodeAgent {
    /// Opens the netlink socket and the ledger.
    ///
    /// # Errors
    /// If one of them cannot be opened.
    pub fn open(directories: Directories, settings: Settings) -> Result<Self, AgentError> {
        let boot_id = directories.kernel.boot_id()?;
        let ledger = LedgerFile::open(&directories.state, &boot_id)?;
        let sysfs = directories.kernel.sysfs.clone();
        let binder = Binder::open(sysfs, &directories.state, &boot_id, DpdkSettings::default())?;
        Ok(Self { socket: NetlinkSocket::open()?, ledger, directories, settings, boot_id, binder, pods: None })
    }

    /// Sets what the agent may do for DPDK.
    pub fn set_dpdk(&mut self, settings: DpdkSettings) {
        self.binder.set_settings(settings);
    }

    /// The part that binds devices to drivers for DPDK.
    pub fn binder(&mut self) -> &mut Binder {
        &mut self.binder
    }

    /// Offers the ENIs to pods from now on.
    pub fn set_pods(&mut self, pods: Pods) {
        self.pods = Some(pods);
    }

    /// What offers the ENIs to pods.
    pub fn pods(&mut self) -> Option<&mut Pods> {
        self.pods.as_mut()
    }

    /// Why an ENI with a resource name is not offered to pods.
    pub fn refusal_of_pods(&self, uid: &str) -> Option<String> {
        self.pods.as_ref()?.refusal(uid)
    }

    /// What a person should know of an ENI that is offered to pods.
    pub fn note_of_pods(&self, uid: &str) -> Option<String> {
        self.pods.as_ref()?.note(uid)
    }

    /// Whether an ENI is not offered to pods for a reason whose end no event tells.
    pub fn needs_look_for_pods(&self) -> bool {
        self.pods.as_ref().is_some_and(Pods::needs_look)
    }

    /// The kernel's ID of this boot.
    pub fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// Observes the node.
    ///
    /// # Errors
    /// If the kernel refuses a dump.
    pub fn observe(&mut self) -> Result<Node, AgentError> {
        let dump = dump::everything(&mut self.socket)?;
        let mut node = Node {
            links: dump.links,
            addresses: dump.addresses,
            routes: dump.routes,
            rules: dump.rules,
            devices_without_link: Vec::new(),
        };
        self.directories.kernel.complete(&mut node, self.ledger.ledger());
        for link in &mut node.links {
            link.managed_by = run_files::manager(&self.directories.run, link);
        }
        Ok(node)
    }

    /// Observes and plans. Nothing is changed.
    ///
    /// # Errors
    /// If the node cannot be observed.
    pub fn plan(&mut self, wanted: &[WantedEni]) -> Result<Plan, AgentError> {
        Ok(self.look(wanted)?.network)
    }

    fn look(&mut self, wanted: &[WantedEni]) -> Result<Look, AgentError> {
        let node = self.observe()?;
        let seen = self.binder.observe(wanted);
        let ledger = self.ledger.ledger();
        let as_of_now = with_current_protocol(&node, &self.settings, ledger);
        let dpdk = self.binder.plan(&seen, &as_of_now, ledger, wanted, &self.settings);
        let network = plan(&node, ledger, &followed(wanted, &dpdk), &self.settings);
        let network = Plan { reports: joined(network.reports, &dpdk.reports), ..network };
        Ok(Look { network, dpdk })
    }

    /// Makes the steps of a plan of the network, and observes what is so after them.
    ///
    /// # Errors
    /// If the node cannot be observed.
    pub fn apply(&mut self, plan: &Plan, wanted: &[WantedEni]) -> Result<Turn, AgentError> {
        let turn = self.make(plan);
        Ok(Turn { reports: self.plan(wanted)?.reports, ..turn })
    }

    /// Makes the steps of a plan of the network.
    fn make(&mut self, plan: &Plan) -> Turn {
        let Applied { failed, counts } =
            apply(&plan.steps, self.settings.protocol, &mut self.socket, &mut self.ledger, &self.directories.kernel);
        let steps = plan.steps.iter().map(|planned| planned.step.to_string()).collect();
        Turn { steps, failed, counts, ..Turn::default() }
    }

    /// Observes, makes the steps of the network, and observes again if there was one. The result has the plan of the devices, too.
    fn network(&mut self, wanted: &[WantedEni]) -> Result<(Turn, DpdkPlan), AgentError> {
        let look = self.look(wanted)?;
        if look.network.steps.is_empty() {
            return Ok((Turn { reports: look.network.reports, ..Turn::default() }, look.dpdk));
        }
        let turn = self.make(&look.network);
        let Look { network, dpdk } = self.look(wanted)?;
        Ok((Turn { reports: network.reports, ..turn }, dpdk))
    }

    /// Observes, plans, applies, and observes again: first the network, which gives links back, then the devices, and then the
    /// network of links that have come back.
    ///
    /// # Errors
    /// If the node cannot be observed.
    pub fn turn(&mut self, wanted: &[WantedEni]) -> Result<Turn, AgentError> {
        self.binder.take_finished();
        // Nothing is changed while a ledger is missing.
        if let Err(error) = self.ledger.restore().and_then(|_| self.binder.restore_ledger()) {
            let step = "write a ledger again that somebody has removed".to_owned();
            let failed = vec![FailedStep { attachment: None, step, error: error.to_string() }];
            return Ok(Turn { failed, reports: self.plan(wanted)?.reports, ..Turn::default() });
        }
        let (mut turn, dpdk) = self.network(wanted)?;
        let devices = self.devices(dpdk, wanted)?;
        turn.counts.extend(self.binder.take_counts());
        if devices.device_steps.is_empty() && devices.failed.is_empty() {
            return Ok(turn);
        }
        let (after, _) = self.network(wanted)?;
        turn.steps.extend(after.steps);
        turn.device_steps = devices.device_steps;
        turn.failed.extend(devices.failed.into_iter().chain(after.failed));
        turn.counts.extend(after.counts);
        Ok(Turn { reports: after.reports, ..turn })
    }

    /// Makes the steps of the devices, one for each device in a round. The first plan is from the last look at the node.
    fn devices(&mut self, mut dpdk: DpdkPlan, wanted: &[WantedEni]) -> Result<Turn, AgentError> {
        let mut turn = Turn::default();
        for _ in 0..ROUNDS {
            match self.binder.make(&dpdk) {
                Ok(round) => {
                    turn.device_steps.extend(round.steps);
                    if !round.goes_on {
                        break;
                    }
                }
                Err(error) => {
                    let step = "write the ledger of devices".to_owned();
                    turn.failed.push(FailedStep { attachment: None, step, error: error.to_string() });
                    break;
                }
            }
            dpdk = self.look(wanted)?.dpdk;
        }
        Ok(turn)
    }
}

/// The ENIs as the network's plan sees them: the link of an ENI that is going to a driver for DPDK is given back, and that of one that
/// cannot go stays as it is.
fn followed(wanted: &[WantedEni], dpdk: &DpdkPlan) -> Vec<WantedEni> {
    let follow = |eni: &WantedEni| match dpdk.verdicts.get(&eni.uid) {
        None => eni.clone(),
        Some(Verdict::TakeBack) => WantedEni { mode: NodeMode::None, ..eni.clone() },
        Some(Verdict::Leave) => WantedEni {
            unusable: Some(eni.unusable.clone().unwrap_or_else(|| "the device cannot be bound".to_owned())),
            ..eni.clone()
        },
    };
    wanted.iter().map(follow).collect()
}

/// The reports of the network, with those of the devices in their place.
fn joined(network: Vec<EniReport>, dpdk: &[EniReport]) -> Vec<EniReport> {
    let is_new = |report: &&EniReport| !network.iter().any(|of_network| of_network.uid == report.uid);
    let further: Vec<EniReport> = dpdk.iter().filter(is_new).cloned().collect();
    let replace = |of_network: EniReport| match dpdk.iter().find(|report| report.uid == of_network.uid) {
        Some(report) => {
            let link = report.link.clone().or(of_network.link);
            EniReport { link, ..report.clone() }
        }
        None => of_network,
    };
    network.into_iter().map(replace).chain(further).collect()
}
