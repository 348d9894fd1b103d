//! `shrink`: the smallest script that still breaks the same promise.

use super::{cores, say, script};
use crate::checker::Enforced;
use crate::shrink;
use std::fs::OpenOptions;
use std::io::Write;
use std::num::NonZeroUsize;
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
    jobs: Option<NonZeroUsize>,

    /// Hold it also to the promises that are not switched on yet
    #[arg(long)]
    all_promises: bool,
}

pub(super) fn run(flags: &Flags) -> Result<ExitCode, String> {
    if flags.all_promises {
        Enforced::ALL.choose();
    }
    let script = script(&flags.history)?;
    // Opened before the minutes of work that would be lost if it could not be, and emptied only after them.
    let file = match &flags.out {
        Some(path) => {
            let opened = OpenOptions::new().create(true).write(true).truncate(false).open(path);
            Some((path, opened.map_err(|error| format!("cannot write {}: {error}", path.display()))?))
        }
        None => None,
    };
    let jobs = flags.jobs.map_or_else(cores, NonZeroUsize::get);
    let told = |told: &str| eprintln!("{told}");
    let Some(smallest) = shrink::shrink(&script, jobs, &told) else {
        if let Some((path, file)) = &file
            && file.metadata().is_ok_and(|about| about.len() == 0)
        {
            // Nothing is lost: it was empty, or is ours. Best effort.
            let _ = std::fs::remove_file(path);
        }
        return Err(format!("{} breaks no promise: there is nothing to shrink", flags.history));
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
    eprintln!("{} has {events} acts and {faults} listed faults\n    multi-eni-sim replay {0}", path.display());
    Ok(ExitCode::SUCCESS)
}
