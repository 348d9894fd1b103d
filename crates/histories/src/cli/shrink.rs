//! `shrink`: finds the smallest script that still violates the same invariant.

use super::stdout::say;
use super::values::{cores, script};
use crate::shrink;
use std::fs::OpenOptions;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// A seed or a script file
    history: String,

    /// File for the smallest script [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Number of histories that run at a time [default: one per core]
    #[arg(long)]
    jobs: Option<NonZeroUsize>,
}

pub(super) fn run(flags: &Flags) -> Result<ExitCode, String> {
    let script = script(&flags.history)?;
    // The file is opened first, so that minutes of work are not lost if it cannot be opened. It is emptied only after the work.
    let file = match &flags.out {
        Some(path) => {
            let opened = OpenOptions::new().create(true).write(true).truncate(false).open(path);
            Some((path, opened.map_err(|error| format!("cannot write {}: {error}", path.display()))?))
        }
        None => None,
    };
    let jobs = flags.jobs.map_or_else(cores, NonZeroUsize::get);
    let print = |line: &str| eprintln!("{line}");
    let Some(smallest) = shrink::shrink(&script, jobs, &print) else {
        if let Some((path, file)) = &file
            && file.metadata().is_ok_and(|about| about.len() == 0)
        {
            // The file is empty, so nothing is lost. An error does not matter.
            let _ = std::fs::remove_file(path);
        }
        return Err(format!("{} violates no invariant: there is nothing to shrink", flags.history));
    };
    let text = smallest.text();
    let Some((path, mut file)) = file else {
        say(text.trim_end())?;
        return Ok(ExitCode::SUCCESS);
    };
    if let Err(error) = file.set_len(0).and_then(|()| file.write_all(text.as_bytes())) {
        say(text.trim_end())?;
        return Err(format!("cannot write {}: {error}; the script is on standard output", path.display()));
    }
    let (events, faults) = (smallest.events.len(), smallest.trouble.listed.len());
    eprintln!("{} has {events} operations and {faults} listed faults\n    multi-eni-sim replay {0}", path.display());
    Ok(ExitCode::SUCCESS)
}
