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

    /// Run the real node agent on each node. The nodes are network namespaces and the ENIs are links in them, through which pings are
    /// sent. This needs root and `ip` of iproute2
    #[arg(long, env = "MULTI_ENI_WITH_AGENT", num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(super) with_agent: bool,

    /// The binary of the node agent [default: multi-eni-agent beside this program]
    #[arg(long, value_name = "FILE", env = "MULTI_ENI_AGENT_BINARY", requires = "with_agent")]
    pub(super) agent_binary: Option<PathBuf>,

    /// Show the controller's own log as well
    #[arg(long)]
    pub(super) log: bool,
}

impl Flags {
    /// The number of Availability Zones. Both examples give each node an ENI in each subnet, so they need one.
    pub(super) fn number_of_zones(&self) -> u8 {
        self.zones.unwrap_or(if self.file.is_some() { 3 } else { 1 })
    }

    /// The names of the nodes.
    pub(super) fn node_names(&self) -> Vec<String> {
        (1..=self.nodes).map(|number| format!("node{number}")).collect()
    }

    /// Whether the controller's log is shown.
    pub fn shows_log(&self) -> bool {
        self.log
    }
}
