//! The commands of `multi-eni`.

mod controller;
mod crds;
mod plan;
mod pods;
mod sandbox;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Attaches AWS Elastic Network Interfaces to Kubernetes nodes by label, and cleans up after itself.
#[derive(Debug, Parser)]
#[command(name = "multi-eni", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the controller, in a cluster or out of it
    Controller(controller::Flags),
    /// Show the whole story on this machine, with no cluster and no AWS account: nodes are labelled, ENIs created,
    /// attached, reported and cleaned up. Exit 0 only if all of it happened and nothing leaked
    Sandbox(crate::sandbox::Flags),
    /// Tell what the controller would do now, with its EC2 calls, and for everything that it would not do, why. Read-only
    Plan(plan::Flags),
    /// Tell the same for one Node or one NodeENI, with everything that is in place
    Explain(plan::ExplainFlags),
    /// Print the CRDs as YAML, for kubectl apply -f -
    Crds,
}

/// Runs the command line.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = match cli.command {
        Command::Controller(flags) => controller::run(flags),
        Command::Sandbox(flags) => sandbox::run(flags),
        Command::Plan(flags) => plan::plan(flags),
        Command::Explain(flags) => plan::explain(flags),
        Command::Crds => crds::run(),
    };
    match ended {
        Ok(code) => code,
        Err(report) => {
            eprintln!("Error: {report:?}");
            ExitCode::FAILURE
        }
    }
}

/// A runtime for one command.
fn runtime() -> miette::Result<tokio::runtime::Runtime> {
    use miette::IntoDiagnostic;
    tokio::runtime::Builder::new_multi_thread().enable_all().build().into_diagnostic()
}

/// A runtime on this thread alone. The controller decides on one task anyway; a thread for each core of a large node, with its own
/// share of the heap, would only cost memory.
fn runtime_on_this_thread() -> miette::Result<tokio::runtime::Runtime> {
    use miette::IntoDiagnostic;
    tokio::runtime::Builder::new_current_thread().enable_all().build().into_diagnostic()
}

/// SIGINT or SIGTERM.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
