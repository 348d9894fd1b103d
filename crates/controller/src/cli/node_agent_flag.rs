//! The flag that says whether the node agent runs on the nodes.

/// The flag about the node agent, which `controller`, `plan` and `explain` share.
#[derive(Debug, clap::Args)]
pub(super) struct NodeAgentFlag {
    /// The node agent runs on the nodes: an ENI is Ready only when the agent has configured its interface
    #[arg(long, env = "MULTI_ENI_NODE_AGENT", num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub node_agent: bool,
}
