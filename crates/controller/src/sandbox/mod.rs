//! `multi-eni sandbox`: the whole story on a laptop, with no cluster and no AWS account.
//!
//! - [`scenario`]: what a person does, step by step, and what must come of it.
//! - [`manifests`]: the page's own, or the user's.
//! - [`environment`]: the API server and EC2, over HTTP, and the real controller between them.
//! - [`kubectl`]: what a person does on the API server, by kube's client.
//! - [`terminal`]: the running account in the terminal.
//! - [`ec2_state`]: the account in the decisions' own terms.
//! - [`checks`]: the checks; nothing in the summary is said that was not looked at.

mod checks;
pub mod ec2_state;
mod environment;
mod kubectl;
pub(crate) mod manifests;
mod scenario;
mod terminal;

use checks::Verdict;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use terminal::Account;

/// What the user asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct Flags {
    /// NodeENIs of your own instead of the architecture page's
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// Simulated nodes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=200))]
    nodes: u16,

    /// Stop when the ENIs are attached and leave everything running, with a kubeconfig, until Ctrl-C
    #[arg(long)]
    keep: bool,

    /// Tell the simulated EC2 to lose an ENI (a Delete that is answered and not done), to see the checks fail
    #[arg(long)]
    lose_eni: bool,

    /// Show the controller's own log, too
    #[arg(long)]
    log: bool,
}

impl Flags {
    /// Whether the controller's log is wanted.
    pub fn shows_log(&self) -> bool {
        self.log
    }
}

/// Runs the story. Exit 0 only if all of it happened and nothing leaked.
pub async fn run(flags: Flags, interrupted: impl Future<Output = ()>) -> ExitCode {
    let account = Account::new(std::io::stderr().is_terminal());
    let files = match manifests::read(flags.file.as_deref()) {
        Ok(files) => files,
        Err(reason) => return account.fail(&reason),
    };
    let environment = match environment::Environment::set(&flags, &files, account.clone()).await {
        Ok(environment) => environment,
        Err(reason) => return account.fail(&reason),
    };
    let mut verdict = Verdict::new(account.clone());
    let story = async {
        for (number, file) in files.iter().enumerate() {
            scenario::play(&environment, &flags, number + 1, file, &mut verdict).await?;
        }
        scenario::epilogue(&environment, &mut verdict).await
    };
    let ended = tokio::select! {
        biased;
        () = interrupted => None,
        ended = story => Some(ended),
    };
    let code = match ended {
        Some(Ok(())) => verdict.summary(),
        Some(Err(reason)) => {
            verdict.broken(&reason);
            verdict.summary()
        }
        None => {
            account.headline("Interrupted: cleaning up");
            match scenario::clean_up(&environment).await {
                Ok(()) => account.line("  ✓ every ENI of ours is detached and deleted"),
                Err(reason) => account.line(&format!("  ✗ {reason}")),
            }
            ExitCode::from(130)
        }
    };
    environment.strike().await;
    code
}
