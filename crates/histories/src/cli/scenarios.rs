//! `scenarios`: runs the kept scenarios and compares their traces with the golden ones, or updates the golden ones.

use super::stdout::say;
use super::values::read;
use crate::golden_trace::{self, Outcome};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// Directory with NAME.yaml (scripts) and NAME.trace (golden traces)
    #[arg(default_value = "crates/histories/scenarios")]
    directory: PathBuf,

    /// Write the golden traces anew instead of comparing with them
    #[arg(long)]
    update: bool,
}

pub(super) fn run(flags: &Flags) -> Result<ExitCode, String> {
    let mut failed = 0;
    let files = golden_trace::files(&flags.directory)?;
    let update = format!("multi-eni-sim scenarios {} --update", flags.directory.display());
    for path in &files {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let (is_well, line) = match play(path, flags.update) {
            Ok(Outcome::AsKept) => (true, format!("ok       {name}")),
            Ok(Outcome::Written) => (true, format!("written  {name}")),
            Ok(Outcome::New) => (false, format!("NEW      {name}: it has no golden trace\n    to write it: {update}")),
            Ok(Outcome::Broke(breach)) => {
                (false, format!("BROKEN   {name}: {breach}\n    multi-eni-sim replay {}", path.display()))
            }
            Ok(Outcome::Differs { line, kept, now }) => {
                let differs = format!("DIFFERS  {name} at line {line}\n  - {kept}\n  + {now}");
                (false, format!("{differs}\n    if the new trace is correct, write it: {update}"))
            }
            // A file that cannot be read does not stop the other scenarios.
            Err(error) => (false, format!("UNREAD   {name}: {error}")),
        };
        failed += usize::from(!is_well);
        say(&line)?;
    }
    say(&format!("{} scenarios, {failed} failed", files.len()))?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn play(path: &Path, update: bool) -> Result<Outcome, String> {
    let script = read(path)?;
    if script.about.is_empty() {
        return Err("its `about` must say in a sentence why the scenario is kept".to_owned());
    }
    golden_trace::play(path, &script, update)
}
