//! The plan: pure decisions over plain data. The input is the observed [`Node`](crate::node::Node), the [`Ledger`](crate::ledger::Ledger)
//! and the [`WantedEni`](crate::wanted::WantedEni)s; the output is ordered steps and a report for each ENI.
//!
//! - [`find_link`]: which link is the ENI's.
//! - [`desired`]: the addresses, routes and rules of an ENI.
//! - [`obstacles`]: why the agent leaves an ENI alone, for its link. [`node_network`]: what a route of the table main must not cover.
//! - [`routing`]: the rules and routes of an ENI: what is in the way, what is missing, who has set what is there ([`author`]).
//! - [`own_protocols`], [`shape`]: which rules and routes are the agent's own.
//! - [`set_up`]: the steps for one ENI.
//! - [`take_back`]: the steps that remove what nobody asks for any more.
//! - [`planner`]: all of it together. [`settings`], [`step`] and [`report`] have the types of input and output.

pub mod author;
mod desired;
pub(crate) mod find_link;
#[cfg(test)]
pub(crate) mod model;
mod node_network;
pub(crate) mod obstacles;
pub(crate) mod own_protocols;
pub mod planner;
#[cfg(test)]
mod properties;
pub mod report;
mod routing;
#[cfg(test)]
mod routing_tests;
mod set_up;
pub mod settings;
mod shape;
pub mod step;
mod take_back;
#[cfg(test)]
mod tests;

pub use planner::{Plan, plan};
pub use settings::Settings;
