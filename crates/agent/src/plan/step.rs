//! One step of a plan: a change of the kernel's state, of a sysctl, or of the ledger.

use crate::ledger::LedgerEntry;
use crate::netlink::Change;
use crate::node::{Mac, Route, Rule};
use std::fmt;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Writes an entry of the ledger. It comes before the first change of a link.
    Remember(LedgerEntry),
    /// Removes an entry of the ledger. It comes after the last change of a link.
    Forget(Mac),
    /// Writes the sysctl `accept_ra` of a link.
    SetAcceptRa {
        /// Name of the link.
        name: String,
        /// The value.
        value: i32,
    },
    /// A change by netlink.
    Kernel(Change),
}

/// A step, and the ENIAttachment for which it is made. Steps that remove what no ENIAttachment asks for have none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedStep {
    /// Name of the ENIAttachment.
    pub attachment: Option<String>,
    /// The step.
    pub step: Step,
}

impl Step {
    /// What the step changes, in one word. The words are label values of a metric.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Remember(_) | Self::Forget(_) => "ledger",
            Self::SetAcceptRa { .. } => "sysctl",
            Self::Kernel(change) => match change {
                Change::SetUp { .. } | Change::SetMtu { .. } => "link",
                Change::AddAltName { .. } | Change::RemoveAltName { .. } => "alternative_name",
                Change::AddAddress { .. } | Change::RemoveAddress { .. } => "address",
                Change::AddRoute(_) | Change::RemoveRoute(_) => "route",
                Change::AddRule(_) | Change::RemoveRule(_) => "rule",
            },
        }
    }

    /// Whether the step is of the ledger alone.
    pub fn is_bookkeeping(&self) -> bool {
        matches!(self, Self::Remember(_) | Self::Forget(_))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remember(entry) => write!(f, "record link {} in the ledger", entry.mac),
            Self::Forget(mac) => write!(f, "remove link {mac} from the ledger"),
            Self::SetAcceptRa { name, value } => write!(f, "set accept_ra of {name} to {value}"),
            Self::Kernel(change) => match change {
                Change::SetUp { link, up } => write!(f, "set link {link} {}", if *up { "up" } else { "down" }),
                Change::SetMtu { link, mtu } => write!(f, "set the MTU of link {link} to {mtu}"),
                Change::AddAltName { link, name } => write!(f, "add the alternative name {name} to link {link}"),
                Change::RemoveAltName { link, name } => {
                    write!(f, "remove the alternative name {name} from link {link}")
                }
                Change::AddAddress { link, cidr, .. } => write!(f, "add address {cidr} to link {link}"),
                Change::RemoveAddress { link, cidr } => write!(f, "remove address {cidr} from link {link}"),
                Change::AddRoute(route) => write!(f, "add {}", Shown(route)),
                Change::RemoveRoute(route) => write!(f, "remove {}", Shown(route)),
                Change::AddRule(rule) => write!(f, "add {}", Shown(rule)),
                Change::RemoveRule(rule) => write!(f, "remove {}", Shown(rule)),
            },
        }
    }
}

/// Shows a route or a rule in one line.
pub struct Shown<'a, T>(pub &'a T);

impl fmt::Display for Shown<'_, Route> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Route { table, destination, gateway, link, source, protocol, metric } = self.0;
        write!(f, "route {destination} of table {table} on link {link}")?;
        if let Some(gateway) = gateway {
            write!(f, " via {gateway}")?;
        }
        if let Some(source) = source {
            write!(f, " from {source}")?;
        }
        write!(f, " (metric {metric}, protocol {protocol})")
    }
}

impl fmt::Display for Shown<'_, Rule> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rule { source, table, priority, protocol, .. } = self.0;
        match source {
            Some(source) => write!(f, "rule from {source}")?,
            None => write!(f, "rule from all")?,
        }
        write!(f, " to table {table} (priority {priority}, protocol {protocol})")
    }
}
