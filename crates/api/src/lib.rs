//! The API group `networking.k8s.aws/v1alpha1`: [`NodeENI`] and [`ENIAttachment`] with their conditions, the names and EC2 tags
//! that the controller uses, and the CRDs. This crate has no client and makes no decision. Start reading in [`nodeeni`] and
//! [`eniattachment`].

#![allow(clippy::duplicated_attributes, reason = "kube's printcolumn(name = …) repeats its keys by design")]

pub mod conditions;
pub mod configured_reason;
pub mod connection_tracking;
pub mod crds;
#[cfg(test)]
mod device_index_policy_tests;
pub mod ec2_selector_terms;
pub mod eniattachment;
pub mod ids;
pub mod names;
pub mod node_config;
pub mod node_selector_term;
#[cfg(test)]
mod node_selector_tests;
pub mod node_status;
pub mod nodeeni;
pub mod nodeeni_status;
#[cfg(test)]
mod reference_docs;
#[cfg(test)]
mod refused_docs;
pub mod resource_name;
mod schema;

pub use connection_tracking::ConnectionTracking;
pub use ec2_selector_terms::{SecurityGroupSelectorTerm, SubnetSelectorTerm};
pub use eniattachment::{ENIAttachment, EniAttachmentSpec, EniAttachmentStatus, EniRequest, NodeSettings};
pub use node_selector_term::{LabelRequirement, NodeSelectorTerm};
pub use nodeeni::{DeviceIndexPolicy, NodeENI, NodeEniSpec};
pub use nodeeni_status::NodeEniStatus;
