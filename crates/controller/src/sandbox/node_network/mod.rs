//! The network of the sandbox's nodes, for `--with-agent`: each node is a network namespace in which the real node agent runs, and
//! each attached ENI is a veth between that namespace and a router.
//!
//! - [`eni_link`]: the link of each attached ENI, as plain data. [`link_changes`]: which links are to be made, removed or routed anew.
//! - [`router_rules`]: the commands of `ip` for these changes. [`foundation`]: those for the namespaces themselves.
//! - [`namespaces`]: makes, enters and removes namespaces. [`leftovers`]: removes those of a sandbox that was killed.
//! - [`ip_command`]: runs `ip`. [`requirements`]: what must be there.
//! - [`forwarder`]: the API server in each namespace. [`agents`]: the processes of the agents.
//! - [`ping`]: an ICMP echo. [`traces`]: what an agent has left on a node.
//! - [`network`]: the whole, from start to removal.

mod agents;
mod eni_link;
mod forwarder;
mod foundation;
mod ip_command;
mod leftovers;
mod link_changes;
mod namespaces;
mod network;
mod ping;
mod requirements;
mod router_rules;
mod traces;

pub use network::{EniProbe, NodeNetwork};
pub use requirements::agent_binary;
