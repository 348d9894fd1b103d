//! Which program has set a rule or a route, as the priority, the table and the protocol number say. The decision whether it is in the
//! way is made elsewhere: this file only names the program.

use super::settings::is_protocol_in_use;
use super::shape::{RULE_PRIORITY, has_shape_of_route, has_shape_of_rule};
use crate::node::{Route, Rule};
use crate::wanted::WantedEni;
use std::collections::BTreeSet;
use std::fmt;

/// The priority of the VPC CNI's rules for the addresses of pods. For the address of an ENI it has the same one as the agent.
const CNI_POD_PRIORITY: u32 = 1536;
/// The protocol of a rule for which no program names one. The VPC CNI names none.
const PROTOCOL_UNSPECIFIED: u8 = 0;
/// The protocol of routes for which a program names none, such as those of the VPC CNI and of `ip route add`.
const PROTOCOL_BOOT: u8 = 3;

/// A program that sets rules and routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Author {
    /// The AWS VPC CNI.
    VpcCni,
    /// A node agent with another protocol number, of which the ledger does not know.
    OtherAgent {
        /// Its protocol number.
        protocol: u8,
    },
    /// A program that cannot be told.
    Unknown {
        /// Its protocol number.
        protocol: u8,
    },
}

impl Author {
    /// The program that has set a rule for an address of the ENI. The rule is not the agent's own.
    pub(super) fn of_rule(rule: &Rule, wanted: &WantedEni) -> Self {
        let protocol = rule.protocol;
        let is_of_cni = rule.is_plain
            && protocol == PROTOCOL_UNSPECIFIED
            && [CNI_POD_PRIORITY, RULE_PRIORITY].contains(&rule.priority)
            && rule.table == cni_table(wanted);
        if is_of_cni {
            Self::VpcCni
        } else if has_shape_of_rule(rule) && !is_protocol_in_use(protocol) {
            Self::OtherAgent { protocol }
        } else {
            Self::Unknown { protocol }
        }
    }

    /// The program that has set a route. The route is not the agent's own. `of_rules` are the programs with rules for the same ENI: the
    /// VPC CNI's routes have no number of their own, but it never sets a route without a rule.
    pub(super) fn of_route(route: &Route, of_rules: &BTreeSet<Self>) -> Self {
        let protocol = route.protocol;
        if protocol == PROTOCOL_BOOT && of_rules.contains(&Self::VpcCni) {
            Self::VpcCni
        } else if has_shape_of_route(route) && !is_protocol_in_use(protocol) {
            Self::OtherAgent { protocol }
        } else {
            Self::Unknown { protocol }
        }
    }

    /// Whether the program is known.
    pub(super) fn is_known(self) -> bool {
        !matches!(self, Self::Unknown { .. })
    }
}

/// The route table that the VPC CNI gives to the ENI.
fn cni_table(wanted: &WantedEni) -> u32 {
    if wanted.card == 0 { wanted.index.saturating_add(1) } else { wanted.table() }
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VpcCni => write!(f, "amazon-vpc-cni-k8s"),
            Self::OtherAgent { protocol } => write!(f, "multi-eni-agent with the protocol {protocol}"),
            Self::Unknown { protocol } => write!(f, "another program (protocol {protocol})"),
        }
    }
}

/// Who has set the rules and routes that an ENI needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoutedBy {
    /// Whether the agent has set one of them, or is to.
    pub agent: bool,
    /// The other programs that have set one of them.
    pub others: BTreeSet<Author>,
}

impl RoutedBy {
    /// Whether other programs have set all of them.
    pub fn is_others_alone(&self) -> bool {
        !self.agent && !self.others.is_empty()
    }
}

impl fmt::Display for RoutedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let agent = (!self.is_others_alone()).then(|| "multi-eni".to_owned());
        let names: Vec<String> = agent.into_iter().chain(self.others.iter().map(Author::to_string)).collect();
        write!(f, "{}", names.join(", "))
    }
}
