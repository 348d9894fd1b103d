//! `replay`: one history, told.

use super::{say, script};
use crate::checker::{Detail, Enforced};
use crate::history;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// A seed, or the file of a script
    history: String,

    /// Tell every request, every answer and every object as it is stored
    #[arg(long)]
    everything: bool,

    /// Hold it also to the promises that are not switched on yet
    #[arg(long)]
    all_promises: bool,
}

pub(super) fn run(flags: &Flags) -> Result<ExitCode, String> {
    if flags.all_promises {
        Enforced::ALL.choose();
    }
    let detail = if flags.everything { Detail::Everything } else { Detail::Story };
    let verdict = history::run(&script(&flags.history)?, detail);
    say(&verdict.trace.join("\n"))?;
    let (taken, in_vain) = verdict.acts;
    eprintln!("{taken} acts took effect and {in_vain} came to nothing; {} faults", verdict.befallen.len());
    match (&verdict.breach, verdict.converged_after) {
        (Some(breach), _) => {
            eprintln!("broken: {breach}");
            Ok(ExitCode::FAILURE)
        }
        (None, converged) => {
            eprintln!("all promises held; converged {} s after the calm", converged.unwrap_or(0) / 1000);
            Ok(ExitCode::SUCCESS)
        }
    }
}
