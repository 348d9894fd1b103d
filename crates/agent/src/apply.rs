//! Executes the steps of a plan. A step that fails ends the steps of its ENI, and the other ENIs go on. A new observation after
//! that is what reads the steps back: a step that did not take is in the next plan again.

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

/// Executes the steps in order. The result is the steps that failed.
pub fn apply(
    steps: &[PlannedStep],
    socket: &mut NetlinkSocket,
    ledger: &mut LedgerFile,
    files: &KernelFiles,
) -> Vec<FailedStep> {
    let mut failed: Vec<FailedStep> = Vec::new();
    for PlannedStep { attachment, step } in steps {
        let has_failed = failed.iter().any(|failure| &failure.attachment == attachment);
        // What could not be taken back must stay in the ledger. The other steps that take back do not depend on each other.
        if has_failed && (attachment.is_some() || matches!(step, Step::Forget(_))) {
            continue;
        }
        let result = match step {
            Step::Remember(entry) => {
                ledger.update(|ledger| ledger.remember(entry.clone())).map_err(|error| error.to_string())
            }
            Step::Forget(mac) => ledger.update(|ledger| ledger.forget(*mac)).map_err(|error| error.to_string()),
            Step::SetAcceptRa { name, value } => files.set_accept_ra(name, *value).map_err(|error| error.to_string()),
            Step::Kernel(wanted) => change::make(socket, wanted).map_err(|error| error.to_string()),
        };
        match result {
            Ok(()) => tracing::info!(attachment = attachment.as_deref().unwrap_or("-"), "{step}"),
            Err(error) => {
                tracing::warn!(attachment = attachment.as_deref().unwrap_or("-"), error, "could not {step}");
                failed.push(FailedStep { attachment: attachment.clone(), step: step.to_string(), error });
            }
        }
    }
    failed
}
