//! The settings of the agent that decisions need.

/// The protocol of the kernel's own routes, such as the one to fe80::/64.
pub(crate) const PROTOCOL_KERNEL: u8 = 2;

/// Settings of the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The protocol number of the agent's routes, rules and addresses.
    pub protocol: u8,
    /// Kinds of virtual links that count as ENIs. Physical links always do.
    pub link_kinds: Vec<String>,
}
