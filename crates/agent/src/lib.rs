//! The node's half of Multi-ENI: an attached ENI becomes a usable interface. observe → plan → apply → report, as in the controller.
//!
//! - [`node`]: what the agent sees, as plain data. [`netlink`], [`sysfs`] and [`run_files`] are its sources.
//! - [`wanted`]: what an ENIAttachment asks for. [`watch`] and [`attachments_file`] are its sources.
//! - [`pci_address`], [`pci_device`]: the name of a device in sysfs, and the device. [`pci_sysfs`] is the source.
//! - [`route_destination`]: the networks that a route may have.
//! - [`ledger`]: what the agent has changed. [`ledger_file`] stores it, in a [`state_file`].
//! - [`plan`]: pure decisions.
//! - [`dpdk`]: binds devices to drivers for DPDK, with a plan and a ledger of its own.
//! - [`apply`]: makes the steps. [`node_agent`] joins observation, plan and steps to a turn.
//! - [`device_plugin`]: pods get the ENIs as extended resources of kubelet.
//! - [`status`]: the report as the API has it. [`report`] writes it, and [`events`] tells what a person should hear.
//! - `text_form`: types that stand as text in JSON.
//! - [`said_once`]: a warning that is not repeated.
//! - [`metrics`]: what `/metrics` and `/readyz` show.
//! - [`run`]: the loop, at the [`pace`] of events. [`kernel_events`] are those of the kernel. [`doctor`], [`cli`] and [`rights`]: the commands.
//! - [`state_lock`]: one process at a time changes the node.

pub mod apply;
pub mod attachments_file;
pub mod cli;
pub mod device_plugin;
pub mod doctor;
pub mod dpdk;
pub mod events;
pub mod kernel_events;
pub mod ledger;
pub mod ledger_file;
pub mod metrics;
pub mod netlink;
pub mod node;
pub mod node_agent;
pub mod pace;
pub mod pci_address;
pub mod pci_device;
pub mod pci_sysfs;
pub mod plan;
pub mod report;
pub mod rights;
pub mod route_destination;
pub mod run;
pub mod run_files;
pub mod said_once;
pub mod state_file;
pub mod state_lock;
pub mod status;
pub mod sysfs;
mod text_form;
pub mod wanted;
pub mod watch;
pub mod writes;
