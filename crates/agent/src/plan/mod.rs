//! The plan: pure decisions over plain data. The input is the observed [`Node`](crate::node::Node), the [`Ledger`](crate::ledger::Ledger)
//! and the [`WantedEni`](crate::wanted::WantedEni)s; the output is ordered steps and a report for each ENI.
//!
//! - [`find_link`]: which link is the ENI's.
//! - [`desired`]: the addresses, routes and rules of an ENI.
//! - [`obstacles`]: why the agent leaves an ENI alone.
//! - [`set_up`]: the steps for one ENI.
//! - [`take_back`]: the steps that remove what nobody asks for any more.
//! - [`planner`]: all of it together. [`settings`], [`step`] and [`report`] have the types of input and output.

mod desired;
pub(crate) mod find_link;
#[cfg(test)]
pub(crate) mod model;
pub(crate) mod obstacles;
pub mod planner;
#[cfg(test)]
mod properties;
pub mod report;
mod set_up;
pub mod settings;
pub mod step;
mod take_back;
#[cfg(test)]
mod tests;

pub use planner::{Plan, plan};
pub use settings::Settings;
