//! The kubelet device plugin: pods get the node's ENIs as extended resources. The ENIs of one `dpdkResourceName` are one pool.
//!
//! Pure:
//! - [`resource_name`], [`pool`], [`refusal`]: plain data.
//! - [`candidates`]: which ENIs are offered, from the reports of a turn. [`offer`]: the pools, from the ENIs and their devices.
//! - [`allocation_ledger`]: which devices pods have. [`placement`]: in which pool each device is, and whether a pod can have it.
//!   [`placement_note`]: what is said of a device that is not offered as asked.
//! - [`start`]: whether a container may start with what it was given before.
//! - [`allocate`]: what a container gets. [`prefer`]: which devices kubelet should take.
//! - [`registration`]: when to serve and when to register. [`device_info`]: the files that Multus reads.
//! - [`json_array`], [`sriov_config`]: entries in the configuration of the SR-IOV network device plugin.
//! - [`doctor`]: what `multi-eni-agent doctor` says of all this.
//!
//! The shell:
//! - [`device_info_files`], [`sriov_config_file`]: files.
//! - [`allocations_file`]: the ledger of what pods have. [`pod_resources`]: what kubelet tells of it.
//! - [`messages`], [`service`], [`kubelet`]: gRPC. [`socket`], [`directory_events`], [`kubelet_look`]: kubelet's directory.
//! - [`plugin`]: one pool. [`plugins`]: all of them, in a thread of their own. [`pods`]: what the agent holds.

pub mod allocate;
pub mod allocation_ledger;
mod allocations_file;
pub mod candidates;
pub mod device_info;
pub mod device_info_files;
mod directory_events;
pub mod doctor;
pub mod json_array;
mod kubelet;
mod kubelet_look;
pub mod messages;
pub mod offer;
pub mod placement;
pub mod placement_note;
mod plugin;
pub mod plugins;
pub mod pod_resources;
pub mod pods;
pub mod pool;
pub mod prefer;
pub mod refusal;
pub mod registration;
pub mod resource_name;
mod service;
mod socket;
pub mod sriov_config;
pub mod sriov_config_file;
pub mod start;
