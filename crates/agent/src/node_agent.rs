//! One node: observes, plans, applies, and observes again. It is synchronous, and it knows nothing of the API server.

use crate::apply::{FailedStep, apply};
use crate::device_plugin::pods::Pods;
use crate::ledger_file::LedgerFile;
use crate::netlink::{NetlinkError, NetlinkSocket, dump};
use crate::node::Node;
use crate::plan::report::EniReport;
use crate::plan::{Plan, Settings, plan};
use crate::run_files;
use crate::sysfs::KernelFiles;
use crate::wanted::WantedEni;
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
    /// The steps that were made, in words.
    pub steps: Vec<String>,
    /// The steps that failed.
    pub failed: Vec<FailedStep>,
    /// What was so after the steps.
    pub reports: Vec<EniReport>,
}

/// The agent in the network namespace in which it was opened.
pub struct NodeAgent {
    socket: NetlinkSocket,
    ledger: LedgerFile,
    directories: Directories,
    settings: Settings,
    boot_id: String,
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
        Ok(Self { socket: NetlinkSocket::open()?, ledger, directories, settings, boot_id, pods: None })
    }

    /// Offers the ENIs to pods from now on.
    pub fn set_pods(&mut self, pods: Pods) {
        self.pods = Some(pods);
    }

    /// What offers the ENIs to pods.
    pub fn pods(&mut self) -> Option<&mut Pods> {
        self.pods.as_mut()
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
        let node = self.observe()?;
        Ok(plan(&node, self.ledger.ledger(), wanted, &self.settings))
    }

    /// Makes the steps of a plan, and observes what is so after them.
    ///
    /// # Errors
    /// If the node cannot be observed.
    pub fn apply(&mut self, plan: &Plan, wanted: &[WantedEni]) -> Result<Turn, AgentError> {
        if plan.steps.is_empty() {
            return Ok(Turn { reports: plan.reports.clone(), ..Turn::default() });
        }
        let failed = apply(&plan.steps, &mut self.socket, &mut self.ledger, &self.directories.kernel);
        let steps = plan.steps.iter().map(|planned| planned.step.to_string()).collect();
        Ok(Turn { steps, failed, reports: self.plan(wanted)?.reports })
    }

    /// Observes, plans, applies, and observes again.
    ///
    /// # Errors
    /// If the node cannot be observed.
    pub fn turn(&mut self, wanted: &[WantedEni]) -> Result<Turn, AgentError> {
        let plan = self.plan(wanted)?;
        self.apply(&plan, wanted)
    }
}
