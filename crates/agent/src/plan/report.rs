//! The report of one ENI: what is so on the node, and what is not and why.

use crate::dpdk::obstacle::DpdkObstacle;
use crate::node::{Cidr, Mac, Manager, Route, Rule};
use crate::plan::author::{Author, RoutedBy};
use crate::plan::step::Shown;
use multi_eni_api::configured_reason::ConfiguredReason;
use std::fmt;
use std::net::IpAddr;

/// The report of one ENI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EniReport {
    /// Name of the ENIAttachment.
    pub attachment: String,
    /// UID of the ENIAttachment.
    pub uid: String,
    /// Generation of its spec that the report is about.
    pub generation: Option<i64>,
    /// The MAC address that the report is about.
    pub mac: Option<Mac>,
    /// What is so.
    pub link: Option<LinkReport>,
    /// The result.
    pub outcome: Outcome,
}

/// What is so on the ENI's link.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinkReport {
    /// The kernel's index.
    pub index: u32,
    /// The kernel's name. Empty: the device has no link here.
    pub name: String,
    /// The wanted alternative name, if the link has it.
    pub alternative_name: Option<String>,
    /// The device below.
    pub parent_device: Option<String>,
    /// The driver of the device below.
    pub driver: Option<String>,
    /// The NUMA node of the device below.
    pub numa_node: Option<u32>,
    /// The MTU.
    pub mtu: u32,
    /// Addresses of the ENI that the link has.
    pub addresses: Vec<IpAddr>,
    /// The table of the ENI, in the mode addresses.
    pub route_table: Option<u32>,
    /// Another program that manages the link.
    pub managed_by: Option<Manager>,
    /// Who has set the rules and routes, in the mode addresses.
    pub routed_by: RoutedBy,
}

/// The result for one ENI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that is asked for is so.
    Configured,
    /// The mode is `none`.
    NotManaged,
    /// A pod or another network namespace has the link.
    InUse {
        /// The device.
        device: String,
    },
    /// The device is bound to a driver for DPDK, as asked.
    Bound {
        /// The device.
        device: String,
        /// The driver.
        driver: String,
        /// What a user should know of it.
        note: Option<String>,
    },
    /// The ENIAttachment is being deleted, and the device has its kernel driver and its link again.
    Restored {
        /// The device.
        device: String,
    },
    /// Steps are left to do.
    Changing {
        /// What they do.
        steps: Vec<String>,
    },
    /// The agent leaves the ENI as it is.
    Blocked(Obstacle),
}

/// Why the agent leaves an ENI as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// The ENIAttachment cannot be followed.
    Unusable(String),
    /// No link has the MAC address.
    LinkAbsent,
    /// The ENIAttachment has no MAC address yet.
    NoMac,
    /// Several links have the MAC address.
    SeveralLinks(Vec<String>),
    /// The link has a default route of the node.
    HasDefaultRoute(Route),
    /// The link is a port of a bond, a bridge or a VRF.
    IsPort {
        /// Index of the controller.
        controller: u32,
    },
    /// Another program manages the link, and not everything that is asked for is so.
    ManagedByOther {
        /// The program.
        manager: Manager,
        /// What is not so.
        missing: Vec<String>,
    },
    /// The device cannot have the MTU.
    MtuOutOfBounds {
        /// The wanted MTU.
        mtu: u32,
        /// The least of the device.
        min: Option<u32>,
        /// The most of the device.
        max: Option<u32>,
    },
    /// Another ENI or link has the name.
    NameTaken {
        /// The name.
        name: String,
        /// Who has it, or wants it too.
        by: String,
    },
    /// The ENIAttachment has no address.
    NoAddresses,
    /// The CIDR of the subnet is not known, or does not have the addresses.
    SubnetUnknown,
    /// The link has no IPv6.
    NoIpv6,
    /// A route of the table main would take the node's own network.
    RouteCoversNode {
        /// The destination of the route.
        to: Cidr,
        /// What of the node is in it, in words.
        own: String,
    },
    /// Another program has a rule that sends the ENI's traffic to another table.
    ForeignRule {
        /// The rule.
        rule: Rule,
        /// The program.
        author: Author,
    },
    /// Another program uses the ENI's route table for something else.
    ForeignRoute {
        /// The route.
        route: Route,
        /// The program.
        author: Author,
    },
    /// The device is not bound, or not given back.
    Dpdk(DpdkObstacle),
}

impl Obstacle {
    /// The reason of the condition Configured.
    pub fn configured_reason(&self) -> ConfiguredReason {
        match self {
            Self::Unusable(_) => ConfiguredReason::InvalidNodeConfig,
            Self::LinkAbsent => ConfiguredReason::LinkAbsent,
            Self::NoMac => ConfiguredReason::WaitingForEni,
            Self::SeveralLinks(_) => ConfiguredReason::SeveralLinks,
            Self::HasDefaultRoute(_) => ConfiguredReason::HasDefaultRoute,
            Self::IsPort { .. } => ConfiguredReason::IsPort,
            Self::ManagedByOther { .. } => ConfiguredReason::ManagedByOther,
            Self::MtuOutOfBounds { .. } => ConfiguredReason::MtuOutOfBounds,
            Self::NameTaken { .. } => ConfiguredReason::InterfaceNameTaken,
            Self::NoAddresses => ConfiguredReason::NoAddresses,
            Self::SubnetUnknown => ConfiguredReason::SubnetUnknown,
            Self::NoIpv6 => ConfiguredReason::NoIpv6,
            Self::RouteCoversNode { .. } => ConfiguredReason::RouteCoversNode,
            Self::ForeignRule { .. } => ConfiguredReason::ForeignRule,
            Self::ForeignRoute { .. } => ConfiguredReason::ForeignRoute,
            Self::Dpdk(obstacle) => obstacle.configured_reason(),
        }
    }

    /// The same as text.
    pub fn reason(&self) -> &'static str {
        self.configured_reason().as_str()
    }

    /// The other program that routes the ENI's traffic, if that is the obstacle.
    pub fn author(&self) -> Option<Author> {
        match self {
            Self::ForeignRule { author, .. } | Self::ForeignRoute { author, .. } => Some(*author),
            Self::Unusable(_)
            | Self::LinkAbsent
            | Self::NoMac
            | Self::SeveralLinks(_)
            | Self::HasDefaultRoute(_)
            | Self::IsPort { .. }
            | Self::ManagedByOther { .. }
            | Self::MtuOutOfBounds { .. }
            | Self::NameTaken { .. }
            | Self::NoAddresses
            | Self::SubnetUnknown
            | Self::NoIpv6
            | Self::RouteCoversNode { .. }
            | Self::Dpdk(_) => None,
        }
    }
}

/// Names the program if it is known.
fn write_known(f: &mut fmt::Formatter<'_>, author: Author) -> fmt::Result {
    if author.is_known() { write!(f, "; by its form it is of {author}") } else { Ok(()) }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unusable(why) => write!(f, "{why}"),
            Self::LinkAbsent => write!(f, "no physical link of the node has the MAC address of the ENI"),
            Self::NoMac => write!(f, "the ENI has no MAC address yet"),
            Self::SeveralLinks(names) => {
                write!(f, "several links have the MAC address of the ENI: {}", names.join(", "))
            }
            Self::HasDefaultRoute(route) => {
                write!(f, "the link has a default route of the node, so the agent does not touch it: {}", Shown(route))
            }
            Self::IsPort { controller } => {
                write!(
                    f,
                    "the link is a port of link {controller} (a bond, a bridge or a VRF), so the agent does not touch it"
                )
            }
            Self::ManagedByOther { manager, missing } => write!(
                f,
                "{manager} manages the link, so the agent does not change it; this is missing: {}",
                missing.join("; ")
            ),
            Self::MtuOutOfBounds { mtu, min, max } => {
                let bound = |bound: &Option<u32>| bound.map_or("unknown".to_owned(), |bound| bound.to_string());
                write!(
                    f,
                    "the device cannot have the MTU {mtu}: its least is {}, its most is {}",
                    bound(min),
                    bound(max)
                )
            }
            Self::NameTaken { name, by } => write!(f, "the name {name} belongs to {by}"),
            Self::NoAddresses => write!(f, "the ENIAttachment has no address of the ENI"),
            Self::SubnetUnknown => {
                write!(
                    f,
                    "the ENIAttachment has no IPv4 CIDR of the subnet, or one without the addresses, so the gateway is unknown"
                )
            }
            Self::NoIpv6 => write!(f, "the ENI has IPv6 addresses, and IPv6 is off on the link"),
            Self::RouteCoversNode { to, own } => write!(
                f,
                "nodeConfig.routes: a route to {to} in the table main would cut the node off, because {own} is in it"
            ),
            Self::ForeignRule { rule, author } => {
                write!(f, "another program sends the traffic of the ENI to another table: {}", Shown(rule))?;
                write_known(f, *author)
            }
            Self::ForeignRoute { route, author } => {
                write!(f, "another program uses the route table of the ENI: {}", Shown(route))?;
                write_known(f, *author)
            }
            Self::Dpdk(obstacle) => write!(f, "{obstacle}"),
        }
    }
}
