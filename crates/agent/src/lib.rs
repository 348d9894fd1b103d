//! The node's half of Multi-ENI: an attached ENI becomes a usable interface. observe → plan → apply → report, as in the controller.
//!
//! - [`node`]: what the agent sees, as plain data. [`netlink`], [`sysfs`] and [`run_files`] are its sources.
//! - [`wanted`]: what an ENIAttachment asks for. [`watch`] and [`attachments_file`] are its sources.
//! - [`ledger`]: what the agent has changed. [`ledger_file`] stores it.
//! - [`plan`]: pure decisions.
//! - [`apply`]: makes the steps. [`node_agent`] joins observation, plan and steps to a turn.
//! - [`device_plugin`]: pods get the ENIs as extended resources of kubelet.
//! - [`status`]: the report as the API has it. [`report`] writes it.
//! - [`run`]: the loop, at the [`pace`] of events. [`doctor`], [`cli`] and [`rights`]: the commands.

pub mod apply;
pub mod attachments_file;
pub mod cli;
pub mod device_plugin;
pub mod doctor;
pub mod ledger;
pub mod ledger_file;
pub mod netlink;
pub mod node;
pub mod node_agent;
pub mod pace;
pub mod plan;
pub mod report;
pub mod rights;
pub mod run;
pub mod run_files;
pub mod status;
pub mod sysfs;
pub mod wanted;
pub mod watch;
pub mod writes;
