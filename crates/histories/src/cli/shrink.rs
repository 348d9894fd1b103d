//! `shrink`: the smallest script that still breaks the same promise.

use super::{cores, script};
use crate::shrink;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// A seed, or the file of a script
    history: String,

    /// Where the smallest script is written; by default to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Histories at a time; by default one a core
    #[arg(long)]
    jobs: Option<usize>,
}

pub(super) fn run(flags: &Flags) -> Result<ExitCode, String> {
    let jobs = flags.jobs.unwrap_or_else(cores).max(1);
    let said = |said: &str| eprintln!("{said}");
    let Some(smallest) = shrink::shrink(&script(&flags.history)?, jobs, &said) else {
        eprintln!("{} breaks no promise: there is nothing to shrink", flags.history);
        return Ok(ExitCode::SUCCESS);
    };
    let text = smallest.text();
    match &flags.out {
        Some(path) => {
            std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?
        }
        None => print!("{text}"),
    }
    Ok(ExitCode::SUCCESS)
}
