//! DPDK: binds the PCI device of an ENI to a driver for DPDK, and gives it back. observe → plan → one step for each device → observe
//! again. The plan is level-triggered: it looks at what sysfs shows now, so it goes on from wherever a restart left the device.
//!
//! - [`driver`], [`pci`], [`upstream`]: plain data: the drivers, the devices, and what upstream has bound.
//! - [`bindings`]: what the agent has bound. [`bindings_file`] stores it. [`reported_device`]: what it has reported as bound.
//! - [`step`], [`obstacle`], [`attempts`], [`settings`]: the words of the plan: steps, reasons, and what was tried so far.
//! - [`move_device`]: the next step of one device towards a driver. [`checks`]: what must hold before the first step.
//! - [`plan`]: what the plan is made from, and what it consists of. [`planner`] collects it, with the [`reports`]; [`first_bind`] decides for
//!   an ENI whose device is not in the ledger, [`recorded_device`] for a device of the ledger, [`all_devices`] for all. All are pure.
//! - [`pci_files`], [`holders`]: sysfs and the processes that hold a device. [`worker`] makes steps on threads of their own, and
//!   [`override_reader`] reads what the kernel may not answer.
//! - [`binder`]: joins them. [`doctor`] and [`clean`]: the commands.

mod all_devices;
pub mod attempts;
pub mod binder;
pub mod bindings;
pub mod bindings_file;
mod checks;
pub mod clean;
pub mod doctor;
pub mod driver;
mod first_bind;
pub mod holders;
#[cfg(test)]
mod model;
mod move_device;
pub mod obstacle;
pub mod override_reader;
pub mod pci;
pub mod pci_files;
pub mod plan;
mod planner;
#[cfg(test)]
mod properties;
mod recorded_device;
pub mod reported_device;
mod reports;
pub mod settings;
pub mod step;
#[cfg(test)]
mod tests;
pub mod upstream;
pub mod worker;
