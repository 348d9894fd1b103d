//! Flags of `multi-eni sandbox`.

use std::path::PathBuf;

/// Flags of the sandbox.
#[derive(Debug, Clone, clap::Args)]
pub struct Flags {
    /// NodeENIs of your own instead of the architecture page's
    #[arg(short, long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,

    /// Simulated nodes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub(super) nodes: u16,

    /// Stop when the ENIs are attached and leave everything running, with a kubeconfig, until Ctrl-C
    #[arg(long)]
    pub(super) keep: bool,

    /// Make the simulated EC2 lose an ENI (a Delete that is answered but not done), to see the checks fail
    #[arg(long)]
    pub(super) lose_eni: bool,

    /// Show the controller's own log, too
    #[arg(long)]
    pub(super) log: bool,
}

impl Flags {
    /// Whether the controller's log is shown.
    pub fn shows_log(&self) -> bool {
        self.log
    }
}
