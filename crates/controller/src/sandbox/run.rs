//! One run of the sandbox, from the start of the servers to the exit code.

use super::checks::CheckResults;
use super::cli_flags::Flags;
use super::environment::Environment;
use super::terminal::Terminal;
use super::{manifests, scenario};
use std::io::IsTerminal;
use std::process::ExitCode;

/// Runs the scenario for each file. The exit code is 0 only if all checks hold.
pub async fn run(flags: Flags, interrupted: impl Future<Output = ()>) -> ExitCode {
    let terminal = Terminal::new(std::io::stderr().is_terminal());
    let files = match manifests::read(flags.file.as_deref()) {
        Ok(files) => files,
        Err(reason) => return terminal.fail(&reason),
    };
    let environment = match Environment::start(&flags, &files, terminal.clone()).await {
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
        () = interrupted => None,
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
