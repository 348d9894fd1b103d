//! `replay`: prints the trace of one history.

use super::stdout::say;
use super::values::script;
use crate::checker::Detail;
use crate::history;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// A seed or a script file
    history: String,

    /// Also print every request, every answer and every stored object
    #[arg(long)]
    everything: bool,
}

pub(super) fn run(flags: &Flags) -> Result<ExitCode, String> {
    let detail = if flags.everything { Detail::Everything } else { Detail::Story };
    let report = history::run(&script(&flags.history)?, detail);
    say(&report.trace.join("\n"))?;
    let (taken, in_vain) = report.operations;
    eprintln!("{taken} operations took effect, {in_vain} did not; {} faults", report.injected.len());
    match (&report.breach, report.converged_after) {
        (Some(breach), _) => {
            eprintln!("violated: {breach}");
            Ok(ExitCode::FAILURE)
        }
        (None, converged) => {
            eprintln!(
                "no invariant was violated; converged {} s after the faults stopped",
                converged.unwrap_or(0) / 1000
            );
            Ok(ExitCode::SUCCESS)
        }
    }
}
