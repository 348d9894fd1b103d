//! The command line of `multi-eni-sim`: run many seeds, replay one history, shrink a script, check the kept scenarios.

mod interrupt;
mod replay;
mod run;
mod scenarios;
mod shrink;
mod stdout;
mod values;

use crate::generator;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Runs simulated histories of the controller, with a simulated API server, EC2 and clock: each seed gives one history
#[derive(Debug, Parser)]
#[command(name = "multi-eni-sim", version, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the histories of many seeds and report each violation of an invariant
    Run(run::Flags),
    /// Print the trace of one history, given by a seed or a script file
    Replay(replay::Flags),
    /// Find the smallest script that still violates the same invariant
    Shrink(shrink::Flags),
    /// Print the script of a seed
    Script {
        /// The seed
        seed: u64,
    },
    /// Run the kept scenarios and compare their traces with the golden ones
    Scenarios(scenarios::Flags),
}

/// Makes SIGPIPE end the program, as it ends other tools (`| head`). Rust ignores the signal by default.
#[allow(unsafe_code, reason = "there is no safe way to set a signal's default")]
fn end_with_the_reader() {
    // SAFETY: no thread is started yet, and SIG_DFL is no handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// Runs the command line.
pub fn main() -> ExitCode {
    end_with_the_reader();
    let done = match Cli::parse().command {
        Command::Run(flags) => run::run(&flags),
        Command::Replay(flags) => replay::run(&flags),
        Command::Shrink(flags) => shrink::run(&flags),
        Command::Script { seed } => stdout::say(generator::script(seed).text().trim_end()).map(|()| ExitCode::SUCCESS),
        Command::Scenarios(flags) => scenarios::run(&flags),
    };
    done.unwrap_or_else(|error| {
        eprintln!("multi-eni-sim: {error}");
        ExitCode::from(2)
    })
}
