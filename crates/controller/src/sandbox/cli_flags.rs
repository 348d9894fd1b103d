//! Flags of `multi-eni sandbox`.

use std::path::PathBuf;

/// Flags of the sandbox.
#[derive(Debug, Clone, clap::Args)]
pub struct Flags {
    /// File of NodeENIs to apply instead of the two examples (- for standard input)
    #[arg(short, long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,

    /// Number of simulated nodes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub(super) nodes: u16,

    /// Number of Availability Zones of the simulated account, 1 to 3 [default: 3 with -f, 1 for the examples]
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=3))]
    pub(super) zones: Option<u8>,

    /// Stop when the ENIs are attached and leave everything running, with a kubeconfig, until Ctrl-C
    #[arg(long)]
    pub(super) keep: bool,

    /// Make the simulated EC2 lose an ENI (it answers a Delete and does not delete the ENI), to show how the checks fail
    #[arg(long)]
    pub(super) lose_eni: bool,

    /// Show the controller's own log as well
    #[arg(long)]
    pub(super) log: bool,
}

impl Flags {
    /// The number of Availability Zones. Both examples give each node an ENI in each subnet, so they need one.
    pub(super) fn number_of_zones(&self) -> u8 {
        self.zones.unwrap_or(if self.file.is_some() { 3 } else { 1 })
    }

    /// Whether the controller's log is shown.
    pub fn shows_log(&self) -> bool {
        self.log
    }
}
