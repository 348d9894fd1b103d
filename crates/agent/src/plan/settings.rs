//! The settings of the agent that decisions need.

use std::ops::RangeInclusive;

/// The protocol of the kernel's own routes, such as the one to fe80::/64.
pub(crate) const PROTOCOL_KERNEL: u8 = 2;

/// Protocol numbers that are in use: those of the kernel and of boot and static configuration, of routing daemons and DHCP clients, of
/// Babel, of Open/R, and of the protocols of FRR. The agent would take the routes of such a program for its own.
const PROTOCOLS_IN_USE: [RangeInclusive<u8>; 5] = [0..=4, 8..=18, 42..=42, 99..=99, 186..=192];

/// Whether a known program uses the protocol number. No node agent does.
pub(crate) fn is_protocol_in_use(protocol: u8) -> bool {
    PROTOCOLS_IN_USE.iter().any(|range| range.contains(&protocol))
}

/// Settings of the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The protocol number of the agent's routes, rules and addresses.
    pub protocol: u8,
    /// Kinds of virtual links that count as ENIs. Physical links always do.
    pub link_kinds: Vec<String>,
}
