//! One run of the sandbox, from the start of the servers to the exit code.

use super::checks::CheckResults;
use super::cli_flags::Flags;
use super::environment::Environment;
use super::manifests::{self, Manifests};
use super::node_network::{NodeNetwork, agent_binary};
use super::scenario;
use super::terminal::Terminal;
use std::io::IsTerminal;
use std::pin::pin;
use std::process::ExitCode;

/// Runs the scenario for each file. The exit code is 0 only if all checks hold.
pub async fn run(flags: Flags, interrupted: impl Future<Output = ()>) -> ExitCode {
    let terminal = Terminal::new(std::io::stderr().is_terminal());
    let files = match manifests::read(flags.file.as_deref(), flags.with_agent) {
        Ok(files) => files,
        Err(reason) => return terminal.fail(&reason),
    };
    let mut interrupted = pin!(interrupted);
    let started = tokio::select! {
        // First, so that a signal ends no start half-way: what has been made by then is removed.
        biased;
        () = &mut interrupted => return ExitCode::from(130),
        started = start(&flags, &files, &terminal) => started,
    };
    let environment = match started {
        Ok(environment) => environment,
        Err(reason) => return terminal.fail(&reason),
    };
    let mut results = CheckResults::new(terminal.clone());
    let scenario_run = async {
        for (number, file) in files.iter().enumerate() {
            scenario::run_file(&environment, &flags, number + 1, file, &mut results).await?;
        }
        scenario::check_idle(&environment, &mut results).await
    };
    let ended = tokio::select! {
        biased;
        () = &mut interrupted => None,
        ended = scenario_run => Some(ended),
    };
    let code = match ended {
        Some(Ok(())) => results.summary(),
        Some(Err(reason)) => {
            results.fail(&reason);
            results.summary()
        }
        None => {
            terminal.heading("Interrupted: cleaning up");
            match scenario::clean_up(&environment).await {
                Ok(()) => terminal.line("  ✓ every ENI of this cluster is detached and deleted"),
                Err(reason) => terminal.line(&format!("  ✗ {reason}")),
            }
            ExitCode::from(130)
        }
    };
    environment.shut_down().await;
    code
}

/// Starts the environment. The network of the nodes comes before the control plane, so that what is missing on this machine is said
/// at once.
async fn start(flags: &Flags, files: &[Manifests], terminal: &Terminal) -> Result<Environment, String> {
    let network = if flags.with_agent {
        let binary = agent_binary(flags.agent_binary.as_deref())?;
        Some(NodeNetwork::prepare(binary, &flags.node_names(), terminal.clone())?)
    } else {
        None
    };
    Environment::start(flags, files, terminal.clone(), network).await
}
