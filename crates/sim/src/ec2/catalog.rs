//! A few instance types and their network limits.

/// An instance type and its network limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceType {
    /// The name, for example `m5.large`.
    pub name: &'static str,
    /// The limit of interfaces for each network card, by card index.
    pub cards: &'static [u32],
    /// The limit of IPv4 addresses per interface.
    pub ipv4_per_interface: u32,
    /// Whether the type supports EFA interfaces.
    pub efa: bool,
}

impl InstanceType {
    /// The limit of interfaces on all cards together.
    pub fn interfaces(&self) -> u32 {
        self.cards.iter().sum()
    }
}

const fn of(name: &'static str, cards: &'static [u32], ipv4_per_interface: u32, efa: bool) -> InstanceType {
    InstanceType { name, cards, ipv4_per_interface, efa }
}

/// The known types, sorted by name. The limits are from AWS's "IP addresses per network interface per instance type".
pub const TYPES: &[InstanceType] = &[
    of("c5.4xlarge", &[8], 30, false),
    of("c5.large", &[3], 10, false),
    of("c5.xlarge", &[4], 15, false),
    of("c5n.18xlarge", &[15], 50, true),
    of("c6in.32xlarge", &[8, 8], 50, true),
    of("m5.24xlarge", &[15], 50, false),
    of("m5.2xlarge", &[4], 15, false),
    of("m5.4xlarge", &[8], 30, false),
    of("m5.large", &[3], 10, false),
    of("m5.xlarge", &[4], 15, false),
    of("p4d.24xlarge", &[15, 15, 15, 15], 50, true),
    of("t3.large", &[3], 12, false),
    of("t3.medium", &[3], 6, false),
    of("t3.micro", &[2], 2, false),
    of("t3.small", &[3], 4, false),
];

/// Finds an instance type by its name.
pub fn instance_type(name: &str) -> Option<&'static InstanceType> {
    TYPES.iter().find(|found| found.name == name)
}
