//! The commands of `multi-eni-sim`: run seeds, replay one, shrink one, check the kept ones.

mod interrupt;
mod keep;
mod replay;
mod run;
mod shrink;

use crate::generator;
use crate::script::Script;
use clap::{Parser, Subcommand};
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::process::ExitCode;

/// Simulated histories of the controller: one seed, one history, with a simulated API server, EC2 and clock
#[derive(Debug, Parser)]
#[command(name = "multi-eni-sim", version, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the histories of many seeds and report every promise that was broken
    Run(run::Flags),
    /// Tell one history, as it happens: a seed, or a script's file
    Replay(replay::Flags),
    /// Find the smallest script that still breaks the same promise
    Shrink(shrink::Flags),
    /// Print the script of a seed
    Script {
        /// The seed
        seed: u64,
    },
    /// Play the kept scenarios and compare their traces with the golden ones
    Scenarios(keep::Flags),
}

/// A reader that has seen enough (`| head`) ends the program, as it ends other tools; Rust ignores that by itself.
#[allow(unsafe_code, reason = "there is no safe way to set a signal's default")]
fn end_with_the_reader() {
    // SAFETY: before any thread is started, and SIG_DFL is no handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// Runs the command line.
pub fn main() -> ExitCode {
    end_with_the_reader();
    let done = match Cli::parse().command {
        Command::Run(flags) => run::run(&flags),
        Command::Replay(flags) => replay::run(&flags),
        Command::Shrink(flags) => shrink::run(&flags),
        Command::Script { seed } => say(generator::script(seed).text().trim_end()).map(|()| ExitCode::SUCCESS),
        Command::Scenarios(flags) => keep::run(&flags),
    };
    done.unwrap_or_else(|error| {
        eprintln!("multi-eni-sim: {error}");
        ExitCode::from(2)
    })
}

/// A line, or several, to standard output: a disk that is full is an error, not a panic.
fn say(lines: &str) -> Result<(), String> {
    writeln!(std::io::stdout(), "{lines}").map_err(|error| format!("cannot write to standard output: {error}"))
}

/// The script of a seed, or of a file.
fn script(named: &str) -> Result<Script, String> {
    if let Ok(seed) = named.parse::<u64>() {
        return Ok(generator::script(seed));
    }
    read(Path::new(named))
}

/// A script's file.
fn read(path: &Path) -> Result<Script, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{} is neither a seed nor a file that can be read: {error}", path.display()))?;
    let script = Script::parse(&text).map_err(|error| format!("{} is no script: {error}", path.display()))?;
    match script.senseless() {
        Some(why) => Err(format!("{} cannot be played: {why}", path.display())),
        None => Ok(script),
    }
}

/// `A..B`: from A to before B.
fn seeds(text: &str) -> Result<Range<u64>, String> {
    let parsed = text.split_once("..").and_then(|(from, to)| Some(from.parse::<u64>().ok()?..to.parse::<u64>().ok()?));
    match parsed {
        Some(range) if range.start < range.end => Ok(range),
        Some(_) => Err(format!("{text} has no seeds: the first must be smaller than the second")),
        None => Err(format!("{text} is no range of seeds such as 0..1000")),
    }
}

/// As many as this machine has cores.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
