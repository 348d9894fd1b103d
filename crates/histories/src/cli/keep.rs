//! `scenarios`: the histories worth keeping, and their golden traces.

use super::read;
use crate::scenario::{self, Outcome};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// The directory with NAME.yaml (scripts) and NAME.trace (golden traces)
    #[arg(default_value = "crates/histories/scenarios")]
    directory: PathBuf,

    /// Write the traces as they are now instead of comparing them
    #[arg(long)]
    update: bool,
}

pub(super) fn run(flags: &Flags) -> Result<ExitCode, String> {
    let mut failed = 0;
    let files = scenario::files(&flags.directory)?;
    for path in &files {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        match scenario::play(path, &read(path)?, flags.update)? {
            Outcome::AsKept => println!("ok       {name}"),
            Outcome::Written => println!("written  {name}"),
            Outcome::Broke(breach) => {
                failed += 1;
                println!("BROKEN   {name}: {breach}\n    multi-eni-sim replay {}", path.display());
            }
            Outcome::Differs { line, kept, now } => {
                failed += 1;
                println!("DIFFERS  {name} at line {line}\n  - {kept}\n  + {now}");
                println!("    if that is as it should be: multi-eni-sim scenarios --update");
            }
        }
    }
    println!("{} scenarios, {failed} failed", files.len());
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
