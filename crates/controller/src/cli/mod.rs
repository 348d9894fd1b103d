//! The command line of `multi-eni`: one file for each command, and what several commands share in `runtime.rs`, `values.rs`,
//! `pod_flags.rs`, `output.rs`, `api_error.rs`, `missing_kind.rs` and `unanswered.rs`.

mod api_error;
mod controller;
mod crds;
mod drain;
mod iam_policy;
mod missing_kind;
mod nad;
mod node_agent_flag;
mod output;
mod plan;
mod pod_flags;
mod runtime;
#[cfg(feature = "sandbox")]
mod sandbox;
mod unanswered;
mod values;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Attaches AWS Elastic Network Interfaces to Kubernetes nodes by label, and removes them when they are no longer needed.
#[derive(Debug, Parser)]
#[command(name = "multi-eni", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

// A usage line of clap's own has every flag whose environment variable is set, as if it were required.
#[derive(Debug, Subcommand)]
enum Command {
    /// Run the controller, inside or outside a cluster
    #[command(override_usage = "multi-eni controller [OPTIONS]")]
    Controller(controller::Flags),
    #[cfg(feature = "sandbox")]
    #[command(override_usage = "multi-eni sandbox [OPTIONS]")]
    /// Run the controller against a simulated API server and a simulated EC2 on this machine: nodes are labelled, ENIs are
    /// created, attached, reported and removed. Exits with 0 only if all checks pass and no ENI is left
    Sandbox(crate::sandbox::Flags),
    /// Show what the controller would do now, with its EC2 calls, and the reason for everything that it would not do. Read-only
    #[command(override_usage = "multi-eni plan [OPTIONS]")]
    Plan(plan::Flags),
    /// Show the same for one Node or one NodeENI, with the ENIs that are in place already
    #[command(override_usage = "multi-eni explain [OPTIONS] <KIND/NAME>")]
    Explain(plan::ExplainFlags),
    /// Print NetworkAttachmentDefinitions, by which Multus gives the ENIs of NodeENIs to pods, for kubectl apply -f -. Read-only
    #[command(override_usage = "multi-eni nad [OPTIONS]")]
    Nad(nad::Flags),
    /// Remove the ENIs of this cluster, or of one NodeENI: deletes the NodeENIs, waits until the controller has detached and
    /// deleted their ENIs, and audits EC2
    #[command(override_usage = "multi-eni drain [OPTIONS]")]
    Drain(drain::Flags),
    /// Print the CRDs as YAML, for kubectl apply -f -
    Crds,
    /// Print the least IAM policy that the controller needs, as JSON. It asks neither the cluster nor AWS
    IamPolicy(iam_policy::Flags),
}

/// Runs the command line.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = match cli.command {
        Command::Controller(flags) => controller::run(flags),
        #[cfg(feature = "sandbox")]
        Command::Sandbox(flags) => sandbox::run(flags),
        Command::Plan(flags) => plan::plan(flags),
        Command::Explain(flags) => plan::explain(flags),
        Command::Nad(flags) => nad::run(&flags),
        Command::Drain(flags) => drain::run(flags),
        Command::Crds => crds::run(),
        Command::IamPolicy(flags) => iam_policy::run(&flags),
    };
    match ended {
        Ok(code) => code,
        Err(report) => {
            eprintln!("Error: {report:?}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// A flag whose environment variable is set counts as given.
    #[test]
    fn a_usage_line_names_no_flag_as_required() {
        let without_subject = ["multi-eni", "explain", "--cluster-name", "c", "--label-grace", "10s"];
        let error = Cli::try_parse_from(without_subject).unwrap_err().to_string();
        assert!(error.contains("Usage: multi-eni explain [OPTIONS] <KIND/NAME>\n"), "{error}");
        for command in Cli::command().get_subcommands() {
            if !command.get_arguments().any(|flag| flag.get_env().is_some()) {
                continue;
            }
            let (name, set) = (command.get_name(), ["--log", "error", "--no-such-flag"]);
            let error = Cli::try_parse_from(["multi-eni", name].into_iter().chain(set)).unwrap_err().to_string();
            assert!(error.contains(&format!("Usage: multi-eni {name} [OPTIONS]")), "{name}: {error}");
        }
    }
}
