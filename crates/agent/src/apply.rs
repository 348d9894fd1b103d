//! Executes the steps of a plan. A step that fails ends the steps of its ENI, and the other ENIs go on. A new observation after
//! that is what reads the steps back: a step that did not take is in the next plan again.

use crate::ledger::Ledger;
use crate::ledger_file::LedgerFile;
use crate::netlink::{NetlinkSocket, change};
use crate::plan::step::{PlannedStep, Step};
use crate::sysfs::KernelFiles;

/// A step that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedStep {
    /// Name of the ENIAttachment, if the step was made for one.
    pub attachment: Option<String>,
    /// The step, in words.
    pub step: String,
    /// The error.
    pub error: String,
}

/// How many steps of one kind succeeded, or failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepCount {
    /// What the steps change: as [`Step::kind`] says, or `device`.
    pub kind: &'static str,
    /// Whether they succeeded.
    pub is_done: bool,
    /// How many.
    pub steps: u64,
}

/// What became of the steps. Steps after a failed one of the same ENI are in neither list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// The steps that failed.
    pub failed: Vec<FailedStep>,
    /// How many steps were made.
    pub counts: Vec<StepCount>,
}

impl Applied {
    fn count(&mut self, kind: &'static str, is_done: bool) {
        match self.counts.iter_mut().find(|count| count.kind == kind && count.is_done == is_done) {
            Some(count) => count.steps = count.steps.saturating_add(1),
            None => self.counts.push(StepCount { kind, is_done, steps: 1 }),
        }
    }
}

/// Executes the steps in order. The ledger gets the protocol number with each link.
pub fn apply(
    steps: &[PlannedStep],
    protocol: u8,
    socket: &mut NetlinkSocket,
    ledger: &mut LedgerFile,
    files: &KernelFiles,
) -> Applied {
    let mut applied = Applied::default();
    for PlannedStep { attachment, step } in steps {
        let has_failed = applied.failed.iter().any(|failure| &failure.attachment == attachment);
        // What could not be taken back must stay in the ledger. The other steps that take back do not depend on each other.
        if has_failed && (attachment.is_some() || matches!(step, Step::Forget(_))) {
            continue;
        }
        let result = match step {
            Step::Remember(entry) => {
                let remember = |ledger: &mut Ledger| {
                    ledger.remember(entry.clone());
                    ledger.remember_protocol(protocol);
                };
                ledger.update(remember).map_err(|error| error.to_string())
            }
            Step::Forget(mac) => ledger.update(|ledger| ledger.forget(*mac)).map_err(|error| error.to_string()),
            Step::SetAcceptRa { name, value } => files.set_accept_ra(name, *value).map_err(|error| error.to_string()),
            Step::Kernel(wanted) => change::make(socket, wanted).map_err(|error| error.to_string()),
        };
        applied.count(step.kind(), result.is_ok());
        match result {
            Ok(()) => tracing::info!(attachment = attachment.as_deref().unwrap_or("-"), "{step}"),
            Err(error) => {
                tracing::warn!(attachment = attachment.as_deref().unwrap_or("-"), error, "could not {step}");
                applied.failed.push(FailedStep { attachment: attachment.clone(), step: step.to_string(), error });
            }
        }
    }
    applied
}
